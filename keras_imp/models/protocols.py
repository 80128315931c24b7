"""What a model of this package needs of its encoder.

`AlternatingModel` trains any `Encoder`. Some features need more, parts of a
`TokenEncoder`: dropped tokens, masked modeling, padded passes.
"""

import inspect
from collections.abc import Mapping
from typing import Any, Protocol

import keras

from keras_imp._errors import message, outline
from keras_imp._keras_private import all_layers
from keras_imp.models.embedders import Embedded, Embedder
from keras_imp.models.patching import Patching
from keras_imp.typing import Tensor

Features = dict[str, dict[str, Tensor]]


class Encoder(Protocol):
    """Inputs by modality to features by modality.

    Call arguments:
        inputs: A dict with any of `modalities`.
        training: Whether the encoder trains.

    Returns:
        By modality a dict with `pooled_output`, shape `(batch, hidden_dim)`.
        `IMPEncoder` adds `sequence_output` and `padding_mask`.

    Attributes:
        modalities: Names of the modalities.
        hidden_dim: Width of the pooled output.

    Example:
        >>> import keras_imp
        >>> encoder: keras_imp.models.Encoder = keras_imp.IMPEncoder(
        ...     8, 16, 1, 2, modalities=("image",))
        >>> encoder.hidden_dim
        8
    """

    @property
    def modalities(self) -> tuple[str, ...]: ...

    @property
    def hidden_dim(self) -> int: ...

    def __call__(
        self, inputs: dict[str, Any], training: bool | None = None
    ) -> Features: ...


class TokenEncoder(Encoder, Protocol):
    """An encoder that shows how it makes and encodes tokens.

    A call is `embed`, `body` and `finish` of each modality. What each returns
    is said in `IMPEncoder`, which has them all. One with padding should have
    its `padding_mask` too: tokens are dropped of padding first.

    Call arguments:
        inputs: A dict with any of `modalities`.
        training: Whether the encoder trains.
        kept: Which tokens to encode, by modality: indices, int, shape
            `(batch, kept)`.

    Example:
        >>> import keras_imp
        >>> encoder: keras_imp.models.TokenEncoder = keras_imp.IMPEncoder(
        ...     8, 16, 1, 2, modalities=("image",))
        >>> encoder.num_tokens("image", (None, 32, 32, 3))
        4
    """

    @property
    def body(self) -> Any: ...

    @property
    def patchings(self) -> Mapping[str, Patching]: ...

    def __call__(
        self,
        inputs: dict[str, Any],
        training: bool | None = None,
        kept: dict[str, Tensor] | None = None,
    ) -> Features: ...

    def embed(
        self, name: str, inputs: Any, kept: Tensor | None = None
    ) -> Embedded: ...

    def finish(
        self, embedded: Embedded, tokens: Tensor
    ) -> dict[str, Tensor]: ...

    def embedder_of(self, modality: str) -> Embedder: ...

    def num_tokens(
        self, name: str, shape: tuple[int | None, ...]
    ) -> int | None: ...


def check_any_encoder(encoder: Any) -> None:
    """Raise unless something can be the encoder of a model.

    Args:
        encoder: What a user gave.

    Raises:
        TypeError: If it is no Keras layer, or its `modalities` are one string.
        ValueError: If some of its weights are not there yet.

    Example:
        >>> import keras_imp
        >>> from keras_imp.models.protocols import check_any_encoder
        >>> check_any_encoder(
        ...     keras_imp.IMPEncoder(8, 16, 1, 2, modalities=("image",)))
    """
    if not isinstance(encoder, keras.Layer):
        raise TypeError(
            message(
                "`encoder` must be a Keras layer or model.",
                'Use keras_imp.IMPEncoder.from_preset("imp_tiny"), or an '
                "instance of a layer of your own: see "
                "keras_imp.models.Encoder.",
                encoder=outline(encoder),
            )
        )
    names = getattr(encoder, "modalities", ())
    if isinstance(names, str):
        raise TypeError(
            message(
                "`modalities` of an encoder must be a tuple of names.",
                f'Use ("{names}",), with a comma.',
                modalities=names,
            )
        )
    unbuilt = finish_building(encoder)
    if unbuilt:
        raise ValueError(
            message(
                "The encoder must have all its weights before a model is made "
                "of it: a run meets one task at a time.",
                "Build its layers in its constructor, such as "
                f"self.{unbuilt[0]}.build(input_shape), or call it on inputs "
                "of every modality before.",
                encoder=type(encoder).__name__,
                not_built=unbuilt,
            )
        )


def finish_building(layer: keras.Layer) -> list[str]:
    """Count layers as built that have nothing to build.

    Keras does so in the first call. `fit` on JAX and torch needs it before.

    Args:
        layer: A layer that was built by its constructor or `build`.

    Returns:
        Names of the layers in it that lack weights, in order.

    Example:
        >>> import keras
        >>> from keras_imp.models.protocols import finish_building
        >>> finish_building(keras.layers.Flatten())
        []
        >>> finish_building(keras.layers.Dense(2, name="head"))
        ['head']
    """
    open_layers = [one for one in all_layers(layer) if not one.built]
    lacking = [one for one in open_layers if has_own_build(one)]
    if not lacking:
        for one in open_layers:
            one.built = True
    return [one.name for one in lacking]


def has_own_build(layer: keras.Layer) -> bool:
    """Whether a class of layers says how it is built.

    Args:
        layer: A layer.

    Returns:
        False if it has Keras' `build`, which makes no weights.

    Example:
        >>> import keras
        >>> from keras_imp.models.protocols import has_own_build
        >>> has_own_build(keras.layers.Dense(2))
        True
    """
    defaults = (keras.Layer.build, keras.Model.build)
    build = inspect.unwrap(type(layer).build)
    return build not in [inspect.unwrap(default) for default in defaults]


def check_features(
    encoder: Any, inputs: dict[str, Any], features: Any
) -> Features:
    """Raise unless an encoder returned what tasks need.

    Args:
        encoder: The encoder.
        inputs: What it was called with, by modality.
        features: What it returned.

    Returns:
        The features.

    Raises:
        ValueError: If a modality lacks a `pooled_output` of shape `(batch,
            hidden_dim)`.

    Example:
        >>> import keras, keras_imp
        >>> from keras_imp.models.protocols import check_features
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2, modalities=("image",))
        >>> image = {"image": keras.ops.zeros((2, 16, 16, 3))}
        >>> features = check_features(encoder, image, encoder(image))
    """
    width = getattr(encoder, "hidden_dim", None)
    for name in inputs:
        pooled = _pooled_output(features, name)
        shape = tuple(getattr(pooled, "shape", ()))
        if len(shape) == 2 and width in (None, shape[-1]):
            continue
        raise ValueError(
            message(
                "An encoder must return {modality: {'pooled_output': "
                "features}} for its inputs, with features of shape (batch, "
                f"{'hidden_dim' if width is None else width}).",
                f"Return {{{name!r}: {{'pooled_output': features}}}}.",
                encoder=type(encoder).__name__,
                inputs=tuple(inputs),
                returned=outline(features),
            )
        )
    return features


def _pooled_output(features: Any, name: str) -> Any:
    for key in (name, "pooled_output"):
        features = features.get(key) if isinstance(features, dict) else None
    return features


def check_encoder(
    encoder: Any, needs: tuple[str, ...], purpose: str, hint: str = ""
) -> TokenEncoder:
    """Raise unless an encoder has what something needs of it.

    Args:
        encoder: The encoder.
        needs: Members of `TokenEncoder`; `"kept"` is the argument of its call.
        purpose: What needs them, as the subject of a sentence.
        hint: What else to do without them.

    Returns:
        The encoder.

    Raises:
        ValueError: If it lacks some.

    Example:
        >>> import keras_imp
        >>> from keras_imp.models.protocols import check_encoder
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2, modalities=("image",))
        >>> check_encoder(
        ...     encoder, needs=("num_tokens", "kept"), purpose="Dropping",
        ... ) is encoder
        True
    """
    missing = [name for name in needs if not _has(encoder, name)]
    if missing:
        raise ValueError(
            message(
                f"{purpose} needs an encoder with {', '.join(needs)}; see "
                "keras_imp.models.TokenEncoder.",
                f"Use an IMPEncoder, or add what is missing. {hint}".rstrip(),
                encoder=type(encoder).__name__,
                missing=missing,
            )
        )
    return encoder


def _has(encoder: Any, name: str) -> bool:
    if name != "kept":
        return hasattr(encoder, name)
    call = getattr(encoder, "call", encoder)
    return name in inspect.signature(call).parameters
