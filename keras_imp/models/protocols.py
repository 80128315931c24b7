"""What a model of this package needs of its encoder.

`AlternatingModel` trains any `Encoder`. Some features need more, parts of a
`TokenEncoder`: dropped tokens, masked modeling, padded passes.
"""

import inspect
from collections.abc import Mapping
from typing import Any, Protocol

from keras_imp._errors import message
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
    is said in `IMPEncoder`, which has them all.

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
