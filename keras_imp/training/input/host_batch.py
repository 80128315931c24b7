"""What a source gave, as one batch of NumPy arrays."""

from typing import Any

from keras_imp._arrays import as_array, is_plain
from keras_imp._errors import message

PARTS = ("`x`", "`y`", "`sample_weight`")


def host_batch(batch: Any) -> tuple:
    """A batch of NumPy arrays.

    Args:
        batch: `(x,)`, `(x, y)`, `(x, y, sample_weight)`, a list of these parts
            as a torch DataLoader gives it, or `x` alone. Each part is an array,
            a tensor, nested lists, or a dict of them.

    Returns:
        A tuple of one to three parts.

    Raises:
        ValueError: If it has more parts, or one is no array.

    Example:
        >>> import numpy as np
        >>> from keras_imp.training.input.host_batch import host_batch
        >>> x, y = host_batch([{"text": [[1, 2], [3, 0]]}, [0, 1]])
        >>> x["text"].shape, y.shape
        ((2, 2), (2,))
    """
    parts = tuple(batch) if isinstance(batch, list | tuple) else (batch,)
    if not 1 <= len(parts) <= len(PARTS):
        raise ValueError(
            message(
                "A batch must be (x,), (x, y) or (x, y, sample_weight).",
                "Put several targets into a dict.",
                parts=len(parts),
            )
        )
    named = zip(parts, PARTS, strict=False)
    return tuple(host_arrays(part, name) for part, name in named)


def host_arrays(part: Any, name: str) -> Any:
    """A part of a batch as NumPy arrays, without a copy where it has them.

    Args:
        part: An array, a tensor, nested lists, or a dict of them; or None.
        name: What it is, in backticks, for the message.

    Returns:
        The same with arrays.

    Raises:
        ValueError: If a value is no array.

    Example:
        >>> from keras_imp.training.input.host_batch import host_arrays
        >>> host_arrays({"text": [[1, 2]]}, "`x`")["text"].shape
        (1, 2)
    """
    if isinstance(part, dict):
        return {
            key: value
            if is_plain(value)
            else host_arrays(value, f"{name[:-1]}[{key!r}]`")
            for key, value in part.items()
        }
    return None if part is None else as_array(part, name)
