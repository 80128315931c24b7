"""Whether labels are numbers to be predicted, or classes with numbers."""

import math
from collections.abc import Collection

# More whole numbers than this, and more than one in so many rows, are no
# classes.
CLASSES, ROWS_OF_CLASS = 50, 10


def as_number(label: str) -> float | None:
    """A label as a number.

    Args:
        label: The label.

    Returns:
        The number; None if it is none, or not finite.

    Example:
        >>> from keras_imp.data.manifest.numbers import as_number
        >>> as_number("2.5"), as_number("twelve"), as_number("nan")
        (2.5, None, None)
    """
    try:
        number = float(label)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def are_targets(numbers: Collection[float], rows: int) -> bool:
    """Whether numbers are to be predicted, rather than names of classes.

    Args:
        numbers: The distinct ones.
        rows: How many rows have them.

    Returns:
        True if one is no whole number, or if they are as many as classes
        hardly are.

    Example:
        >>> from keras_imp.data.manifest.numbers import are_targets
        >>> are_targets([0.5, 1.0], 2), are_targets([0.0, 1.0, 2.0], 300)
        (True, False)
        >>> are_targets(range(700), 1000)
        True
    """
    if any(not float(number).is_integer() for number in numbers):
        return True
    return CLASSES < len(numbers) > rows / ROWS_OF_CLASS
