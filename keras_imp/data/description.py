"""What data is, in a few facts: a resumed run must read the data it began with.

A description is what JSON can hold. It is cheap, whatever the size of the
data: of a large array, some rows stand for all.
"""

import functools
import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

# Rows of a large array, and bytes of a row, that are looked at; an array of
# fewer bytes is looked at as a whole.
ROWS = 64
ROW_BYTES = 1 << 16
SMALL = 1 << 20
# Numbers that stand for an array which may have been computed.
NUMBERS = 64


def describe_array(values: Any) -> dict[str, Any]:
    """Type, shape and content of an array.

    Args:
        values: An array, or what NumPy makes one of.

    Returns:
        `dtype`, `shape` and `content`: a checksum, if it is large of 64 rows.
        What may have been computed or decoded, floats and arrays of three axes
        or more, differs in its last digits from machine to machine: of those,
        up to 64 numbers after their root mean square, for
        `content_difference`. None for objects that are no text.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data.description import describe_array
        >>> describe_array(np.arange(6).reshape(3, 2))["shape"]
        [3, 2]
    """
    array = np.asarray(values)
    return {
        "dtype": array.dtype.name if array.dtype.kind not in "UST" else "text",
        "shape": list(array.shape),
        "content": _content(array),
    }


def describe_function(function: Callable | None) -> Any:
    """What an object with a method `describe` tells, or a function's name.

    Of a plain function, no more can be known.

    Args:
        function: A function, an object that can be called, or None.

    Returns:
        What `function.describe()` returns; else the name, without the module.
        None for None.

    Example:
        >>> from keras_imp.data.description import describe_function
        >>> describe_function(describe_function)
        'describe_function'
    """
    if function is None:
        return None
    if hasattr(function, "describe"):
        return function.describe()
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__qualname__", type(function).__qualname__)


def content_difference(first: Any, second: Any) -> tuple[str, Any, Any] | None:
    """Where two contents of `describe_array` differ first.

    Args:
        first: One of them.
        second: The other one.

    Returns:
        The index as text, `""` for the whole, and the two values there. None
        if they agree, numbers within a hundredth of their root mean square.

    Example:
        >>> from keras_imp.data.description import content_difference
        >>> content_difference([1.0, 0.5], [1.0, 0.501])
        >>> content_difference([1.0, 0.5], [1.0, 0.7])
        ('[1]', 0.5, 0.7)
    """
    numbers = isinstance(first, list) and isinstance(second, list)
    if not numbers or len(first) != len(second):
        return None if first == second else ("", first, second)
    size = max(abs(first[0]), abs(second[0]))
    equal = np.isclose(first, second, rtol=0, atol=0.01 * size, equal_nan=True)
    if equal.all():
        return None
    at = int(np.argmin(equal))
    return f"[{at}]", first[at], second[at]


def _content(array: np.ndarray) -> Any:
    dtype = array.dtype
    # By name: to NumPy, the floats of ml_dtypes are of no known kind.
    is_float = dtype.kind in "fc" or "float" in dtype.name
    if array.size and (is_float or (dtype.kind in "biu" and array.ndim > 2)):
        return _numbers(array)
    rows = _some_rows(array)
    if dtype.kind in "OUST":
        if not all(isinstance(text, str | bytes) for text in rows):
            return None
        rows = [np.frombuffer(str(text).encode(), "uint8") for text in rows]
    checksum = hashlib.sha256()
    for row in rows:
        checksum.update(np.ascontiguousarray(row).tobytes())
    return checksum.hexdigest()[:16]


def _some_rows(array: np.ndarray) -> list:
    """Rows spread over a large array, cut; all of a small one."""
    is_text = array.dtype.kind in "OUST"
    if array.ndim == 0 or (array.nbytes <= SMALL and not is_text):
        return [array]
    count = min(len(array), ROWS)
    places = np.linspace(0, len(array) - 1, count).astype(int)
    if is_text:
        return [text for i in places for text in np.ravel(array[i])]
    return [np.ravel(array[i])[: ROW_BYTES // array.itemsize] for i in places]


def _numbers(array: np.ndarray) -> list[float]:
    """Root mean square of some numbers, and the numbers."""
    places = np.linspace(0, array.size - 1, min(array.size, NUMBERS))
    values = array.flat[places.astype(int)]
    if array.dtype.kind == "c":
        values = np.concatenate([values.real, values.imag])
    values = values.astype("float64")
    finite = values[np.isfinite(values)]
    size = float(np.sqrt(np.mean(finite**2))) if len(finite) else 0.0
    return [size, *(float(value) for value in values)]
