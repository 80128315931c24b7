"""Which rows of a weight an optimizer leaves as they are.

To a layer such a weight is trainable. One whose state follows a weight, as the
balance of a router does, asks here whether it must stay too.
"""

from typing import Any

import numpy as np


def mark_frozen(variable: Any, rows: np.ndarray | None) -> None:
    """Note which rows of a weight do not change.

    Args:
        variable: A Keras variable.
        rows: True where a row is frozen, one value or one for each row of the
            first axis; None if none is.
    """
    variable.frozen_rows = rows


def frozen_rows_of(variable: Any) -> np.ndarray | None:
    """The rows of a weight that do not change.

    Args:
        variable: A Keras variable.

    Returns:
        True where a row is frozen, one value or one for each row, shape `(1,)`
        or `(rows,)`; None if none is.

    Example:
        >>> import keras, numpy as np
        >>> from keras_imp.layers._runtime.frozen_rows import (
        ...     frozen_rows_of, mark_frozen)
        >>> kernel = keras.Variable(np.zeros((2, 4, 3)))
        >>> mark_frozen(kernel, np.array([True, False])[:, None, None])
        >>> frozen_rows_of(kernel).tolist()
        [True, False]
    """
    rows = getattr(variable, "frozen_rows", None)
    return None if rows is None else np.reshape(rows, (-1,))
