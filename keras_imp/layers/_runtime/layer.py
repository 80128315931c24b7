"""The base of the layers of the package."""

from typing import Any

import keras


class WideInputs:
    """Lets a layer take floats in no less than float32, whatever it computes.

    Keras casts what a layer is called with to its compute dtype. Waveforms in
    bfloat16 would have three digits on their way to a spectrogram, which is
    computed in float32; so whatever is between a batch and the layers that
    compute passes floats on as they are.
    """

    @property
    def input_dtype(self) -> str:
        """The dtype that floats are cast to when the layer is called."""
        dtype = self.compute_dtype  # type: ignore[attr-defined]
        return "float32" if dtype in ("float16", "bfloat16") else dtype


class Layer(keras.layers.Layer):
    """A Keras layer that can be saved if its `dtype` is a policy object.

    Keras writes the config of a layer by itself if all its arguments are
    plain. A policy is none to it, though what it writes of `dtype` is not the
    argument but the policy that the layer has.

    Example:
        >>> import keras, keras_imp
        >>> layer = keras_imp.layers.FeedForward(
        ...     8, dtype=keras.DTypePolicy("mixed_bfloat16"))
        >>> layer.get_config()["intermediate_dim"]
        8
    """

    def __new__(cls, *args: Any, **kwargs: Any):
        # What Keras looks at is given here; `__init__` gets the policy itself.
        policy = kwargs.get("dtype")
        if isinstance(policy, keras.DTypePolicy):
            kwargs["dtype"] = policy.name
        return super().__new__(cls, *args, **kwargs)
