"""One thing that is wrong with one row."""

from typing import NamedTuple

ERROR = "error"
WARNING = "warning"


class Finding(NamedTuple):
    """A flag of a row.

    Attributes:
        row: Number of the row, those of `against` counted first.
        flag: A key of `FLAGS`.
        severity: `"error"` or `"warning"`.
        column: The column, `""` for the whole row.
        detail: More of it, such as the reason of a file that cannot be used.
        other: The row that it repeats; None if there is none.

    Example:
        >>> from keras_imp.validation import Finding
        >>> Finding(3, "blank", "warning", "image").other is None
        True
    """

    row: int
    flag: str
    severity: str
    column: str = ""
    detail: str = ""
    other: int | None = None
