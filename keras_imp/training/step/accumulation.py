"""Cut a batch into parts of examples, and put predictions together again."""

from typing import Any

import keras
from keras import ops

from keras_imp.typing import Tensor


def split(arrays: Any, parts: int) -> Any:
    """Give each array a leading axis of parts.

    Examples are split by a stride: where devices share a batch, they share
    each part alike, and no example moves.

    Args:
        arrays: Nested tensors of shape `(batch, ...)`, or None; `parts`
            divides `batch`.
        parts: Number of parts.

    Returns:
        The same structure, shapes `(parts, batch / parts, ...)`.

    Example:
        >>> import keras
        >>> from keras_imp.training.step.accumulation import split
        >>> tuple(split(keras.ops.ones((6, 4)), 3).shape)
        (3, 2, 4)
    """

    def cut(array: Tensor | None) -> Tensor | None:
        if array is None:
            return None
        size = array.shape[0] // parts
        array = ops.reshape(array, (size, parts, *array.shape[1:]))
        return ops.swapaxes(array, 0, 1)

    return keras.tree.map_structure(cut, arrays)


def merge(arrays: Any) -> Any:
    """Undo `split`.

    Args:
        arrays: Nested tensors of shape `(parts, examples, ...)`.

    Returns:
        The same structure, shapes `(parts * examples, ...)`.

    Example:
        >>> import keras
        >>> from keras_imp.training.step.accumulation import merge
        >>> tuple(merge(keras.ops.ones((3, 2, 4))).shape)
        (6, 4)
    """

    def join(array: Tensor | None) -> Tensor | None:
        if array is None:
            return None
        return ops.reshape(ops.swapaxes(array, 0, 1), (-1, *array.shape[2:]))

    return keras.tree.map_structure(join, arrays)


def is_float(array: Tensor) -> bool:
    """Whether a gradient can flow through a tensor.

    Args:
        array: Any tensor.

    Returns:
        True for floating point, False for integers and booleans.

    Example:
        >>> import keras
        >>> from keras_imp.training.step.accumulation import is_float
        >>> is_float(keras.ops.ones(2)), is_float(keras.ops.arange(2))
        (True, False)
    """
    return keras.backend.is_float_dtype(
        keras.backend.standardize_dtype(array.dtype)
    )
