"""From what a user has to a NumPy array, or words that say what to write."""

from typing import Any

import numpy as np

from keras_imp._errors import message


def as_array(values: Any, name: str) -> np.ndarray:
    """Values as an array that has all of them.

    Args:
        values: An array, a tensor, a column of a data frame, or nested lists.
        name: What they are, for the message.

    Returns:
        The array, without a copy where there is one.

    Raises:
        ValueError: If rows differ in length, or some values are masked.

    Example:
        >>> from keras_imp._arrays import as_array
        >>> as_array([[1, 2], [3, 4]], "`x`").shape
        (2, 2)
    """
    if is_plain(values):
        return values
    check_not_masked(values, name)
    try:
        array = np.asarray(values)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        raise ValueError(_ragged(values, name)) from error
    # Such as a column of a data frame with a list in each row.
    is_rows = array.dtype == object and array.ndim == 1 and len(array)
    if is_rows and isinstance(array[0], (list, tuple, np.ndarray)):
        return as_array(array.tolist(), name)
    return array


def is_plain(values: Any) -> bool:
    """Whether values are an array that needs neither a check nor a change.

    Args:
        values: Anything.

    Returns:
        True for a NumPy array that is not masked, and not of objects.

    Example:
        >>> import numpy as np
        >>> from keras_imp._arrays import is_plain
        >>> is_plain(np.zeros(2)), is_plain(np.ma.masked_array([1, 2]))
        (True, False)
    """
    return type(values) is np.ndarray and values.dtype.kind != "O"


def check_not_masked(values: Any, name: str) -> None:
    """Raise if values of a NumPy masked array are masked.

    Args:
        values: Anything.
        name: What they are, for the message.

    Raises:
        ValueError: If some are: the mask would be lost.

    Example:
        >>> import numpy as np
        >>> from keras_imp._arrays import check_not_masked
        >>> check_not_masked(np.ma.masked_array([1, 2]), "`y`")
    """
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError(
            message(
                f"{name} must not be a masked array: what is masked would "
                "count as any other value.",
                "Fill it, x.filled(0); 0 is padding in token ids. To leave "
                "examples out, give them a `sample_weight` of 0.",
                masked=int(np.ma.count_masked(values)),
            )
        )


def _ragged(rows: Any, name: str) -> str:
    lengths = [len(row) for row in rows if hasattr(row, "__len__")] or [0]
    return message(
        f"{name} must be one array, but its rows differ in length.",
        'Pad them: keras.utils.pad_sequences(rows, padding="post") puts 0 '
        "behind token ids.",
        shortest=min(lengths),
        longest=max(lengths),
    )
