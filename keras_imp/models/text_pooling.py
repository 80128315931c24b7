"""Where a text is pooled: at one of its tokens."""

from typing import Any

from keras import ops

from keras_imp._errors import message
from keras_imp.typing import Tensor

TEXT_POOLINGS = ("eos", "last")


def pooled_places(
    ids: Tensor, padding_mask: Tensor | None, pooling: str
) -> Tensor:
    """The token of each text that stands for it.

    Args:
        ids: Token ids, int, shape `(batch, tokens)`.
        padding_mask: True where a token is real, shape `(batch, tokens)`, or
            None if all are.
        pooling: `"eos"`, the first token with the largest id, which ends the
            text where the vocabulary ends with that token; or `"last"`, the
            last real one.

    Returns:
        Indices, int32, shape `(batch,)`.

    Example:
        >>> import keras
        >>> from keras_imp.models.text_pooling import pooled_places
        >>> ids = keras.ops.array([[4, 9, 9, 0]])
        >>> mask = ids != 0
        >>> [int(pooled_places(ids, mask, p)[0]) for p in ("eos", "last")]
        [1, 2]
    """
    if pooling == "eos":
        return ops.cast(ops.argmax(ids, axis=1), "int32")
    count = ops.shape(ids)[1]
    places = ops.broadcast_to(
        ops.arange(0, count, dtype="int32"), ops.shape(ids)
    )
    if padding_mask is not None:
        places = ops.where(padding_mask, places, 0)
    return ops.max(places, axis=1)


def tokens_at(tokens: Tensor, places: Tensor) -> Tensor:
    """One token of each example.

    Args:
        tokens: Shape `(batch, tokens, hidden_dim)`.
        places: Indices, int, shape `(batch,)`.

    Returns:
        Shape `(batch, hidden_dim)`.

    Example:
        >>> import keras
        >>> from keras_imp.models.text_pooling import tokens_at
        >>> tokens = keras.ops.array([[[1.0], [2.0]], [[3.0], [4.0]]])
        >>> tokens_at(tokens, keras.ops.array([1, 0]))[:, 0].tolist()
        [2.0, 3.0]
    """
    return ops.take_along_axis(tokens, places[:, None, None], axis=1)[:, 0]


def check_all_kept(name: str, kept: Any, pooling: str | None) -> None:
    """Raise if tokens of a text are dropped that is pooled at one of them.

    Args:
        name: Modality.
        kept: Which tokens are kept, or None for all.
        pooling: One of `TEXT_POOLINGS`.

    Raises:
        ValueError: If some are dropped.
    """
    if kept is not None:
        raise ValueError(
            message(
                "Tokens of a text must not be dropped where it is pooled at "
                "one of them.",
                "Drop tokens of other modalities only.",
                modality=name,
                text_pooling=pooling,
            )
        )
