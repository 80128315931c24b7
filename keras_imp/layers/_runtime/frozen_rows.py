"""Which rows of a weight an optimizer leaves as they are.

To a layer such a weight is trainable. One whose state follows a weight, as the
balance of a router does, asks here whether it must stay too.
"""

import weakref
from typing import Any

import numpy as np


def mark_frozen(variable: Any, rows: np.ndarray | None, optimizer: Any) -> None:
    """Note which rows of a weight do not change, as long as an optimizer is.

    Args:
        variable: A Keras variable.
        rows: True where a row is frozen, one value or one for each row of the
            first axis; None if none is.
        optimizer: What leaves them as they are.
    """
    # Weakly: what takes its place in a model does not tell.
    variable.frozen_rows = (
        None if rows is None else (weakref.ref(optimizer), rows)
    )


def frozen_rows_of(variable: Any) -> np.ndarray | None:
    """The rows of a weight that do not change.

    Args:
        variable: A Keras variable.

    Returns:
        True where a row is frozen, one value or one for each row, shape `(1,)`
        or `(rows,)`; None if none is, or the optimizer is gone.

    Example:
        >>> import keras, numpy as np
        >>> from keras_imp.layers._runtime.frozen_rows import (
        ...     frozen_rows_of, mark_frozen)
        >>> kernel = keras.Variable(np.zeros((2, 4, 3)))
        >>> optimizer = keras.optimizers.SGD()
        >>> rows = np.array([True, False])[:, None, None]
        >>> mark_frozen(kernel, rows, optimizer)
        >>> frozen_rows_of(kernel).tolist()
        [True, False]
    """
    mark = getattr(variable, "frozen_rows", None)
    if mark is None:
        return None
    optimizer, rows = mark
    return None if optimizer() is None else np.reshape(rows, (-1,))
