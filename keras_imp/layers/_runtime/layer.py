"""The base of the layers of the package."""

from typing import Any

import keras


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
