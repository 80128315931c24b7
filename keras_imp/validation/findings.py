"""What is wrong with rows, one thing after another."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

ERROR = "error"
WARNING = "warning"
# Findings that are kept of each flag. Of millions of rows all may have one.
KEPT = 10_000


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


class Findings:
    """Findings: the first ones of each flag, and the flags of all rows.

    Args:
        flags: All flags, in the order of their importance.

    Example:
        >>> from keras_imp.validation.findings import Finding, Findings
        >>> findings = Findings(["blank", "silent"])
        >>> findings.add([Finding(1, "silent", "warning", "audio")])
        >>> findings.rows_with(first=0), findings.of(1), findings.of(0)
        ({'silent': 1}, {'blank': 0, 'silent': 1}, {'blank': 0, 'silent': 0})
    """

    def __init__(self, flags: Sequence[str]):
        self._bits = {flag: 1 << place for place, flag in enumerate(flags)}
        self._rows = array("Q")
        # By flag, and by row and column: a row has a flag once for each.
        self._kept: dict[str, dict[tuple[int, str], Finding]] = {
            flag: {} for flag in flags
        }

    def add(self, findings: Iterable[Finding], first: int = 0) -> None:
        """Note some findings.

        Args:
            findings: The findings.
            first: The first row whose findings are kept.
        """
        for finding in findings:
            row, kept = finding.row, self._kept[finding.flag]
            while row >= len(self._rows):
                self._rows.extend([0] * (1 + len(self._rows)))
            self._rows[row] |= self._bits[finding.flag]
            if row >= first and len(kept) < KEPT:
                kept.setdefault((row, finding.column), finding)

    def kept(self) -> Iterator[Finding]:
        """The findings that are kept, by flag and row."""
        for own in self._kept.values():
            yield from sorted(own.values(), key=lambda finding: finding.row)

    def rows_with(self, first: int) -> dict[str, int]:
        """How many rows have each flag.

        Args:
            first: The first row to count.

        Returns:
            Numbers by flag, without those that no row has.
        """
        rows = np.asarray(self._rows, "uint64")[first:]
        counts = {
            flag: int(np.count_nonzero(rows & np.uint64(bit)))
            for flag, bit in self._bits.items()
        }
        return {flag: count for flag, count in counts.items() if count}

    def of(self, row: int) -> dict[str, int]:
        """The flags of a row.

        Args:
            row: Its number.

        Returns:
            0 or 1 by flag.
        """
        own = self._rows[row] if row < len(self._rows) else 0
        return {flag: int(bool(own & bit)) for flag, bit in self._bits.items()}
