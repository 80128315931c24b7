"""Checks on the host that token ids fit a vocabulary."""

from typing import Any

import numpy as np

from keras_imp._errors import message
from keras_imp.layers._runtime.host_values import has_values, host_values
from keras_imp.layers.token_embedding import TokenEmbedding


def check_token_ids(name: str, ids: Any, tokens: TokenEmbedding) -> None:
    """Raise unless token ids are in the vocabulary.

    Args:
        name: Modality, for the message.
        ids: Token ids, an array or a tensor. Of one that has no values yet,
            only the form is checked.
        tokens: The layer that embeds them.

    Raises:
        ValueError: If an id is outside the vocabulary, or is none.

    Example:
        >>> import numpy as np
        >>> from keras_imp.layers import TokenEmbedding
        >>> from keras_imp.models.token_ids import check_token_ids
        >>> check_token_ids("text", np.array([[1, 9]]), TokenEmbedding(10, 4))
    """
    if isinstance(ids, np.ndarray) and ids.dtype.kind in "OSUT":
        raise ValueError(
            message(
                f"The input {name!r} must be token ids, not text.",
                "Turn text into ids with keras_imp.data.Tokenizer.",
                dtype=str(ids.dtype),
            )
        )
    tokens.check_ids(ids)
    if not has_values(ids) or 0 in ids.shape:
        return
    values = host_values(ids)
    size = tokens.vocabulary_size
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= size:
        wrong = low if low < 0 else high
        row = int(np.argwhere(values == wrong)[0][0])
        raise ValueError(
            message(
                f"Token ids of {name!r} must be in [0, {size}), the size "
                "of the vocabulary.",
                "Use the tokenizer that the model was built for, or set "
                "`vocabulary_size`.",
                id=wrong,
                row=row,
            )
        )
