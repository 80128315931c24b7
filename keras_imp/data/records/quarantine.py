"""Rows whose files cannot be used: listed, counted, and never used again."""

import json
import threading
from pathlib import Path
from typing import Any

from keras_imp._errors import check_rate, message
from keras_imp.data.decoding.errors import BadFile


class TooManyBadFilesError(ValueError):
    """Raised when more of the rows cannot be used than is allowed.

    Example:
        >>> from keras_imp.data.decoding import BadFile
        >>> from keras_imp.data import records
        >>> quarantine = records.Quarantine(rows=100, strict=True)
        >>> try:
        ...     quarantine.add(7, "a.csv, line 9", BadFile("empty", "a.jpg"))
        ... except records.TooManyBadFilesError:
        ...     print(len(quarantine))
        1
    """


class Quarantine:
    """The rows that cannot be used, in memory and in a file.

    A line of the file is a JSON object of `row` (its number in the manifest),
    `where` (file and line of the table), `file`, `reason` and `detail`. It is
    on the disk before the batch that met the row is used: a run that is resumed
    reads it, and takes the same rows in their place.

    Args:
        rows: How many rows the data has.
        path: The file, such as `quarantine.jsonl` of the folder of a run. What
            it has is read. Defaults to none.
        max_bad: Fraction of the rows that may be bad.
        strict: Whether the first bad row is one too many.

    Raises:
        ValueError: If the file has a line that is none.

    Example:
        >>> from keras_imp.data.decoding import BadFile
        >>> from keras_imp.data.records import Quarantine
        >>> quarantine = Quarantine(rows=100)
        >>> quarantine.add(7, "a.csv, line 9", BadFile("empty", "a.jpg"))
        >>> 7 in quarantine, len(quarantine), quarantine.reasons
        (True, 1, {'empty': 1})
    """

    def __init__(
        self,
        rows: int,
        path: str | Path | None = None,
        max_bad: float = 0.01,
        strict: bool = False,
    ):
        check_rate(max_bad=max_bad)
        self.rows = rows
        self.path = None if path is None else Path(path)
        self.max_bad = max_bad
        self.strict = strict
        self._lock = threading.Lock()
        self._bad: dict[int, dict[str, Any]] = {}
        if self.path is not None and self.path.exists():
            self._bad = _read(self.path)

    def __len__(self) -> int:
        return len(self._bad)

    def __contains__(self, row: int) -> bool:
        return row in self._bad

    @property
    def reasons(self) -> dict[str, int]:
        """How many rows have each reason."""
        counts: dict[str, int] = {}
        for line in self._bad.values():
            counts[line["reason"]] = counts.get(line["reason"], 0) + 1
        return counts

    @property
    def bad_rows(self) -> list[int]:
        """Numbers of the rows, in order."""
        return sorted(self._bad)

    def add(self, row: int, where: str, error: BadFile) -> None:
        """Note that a row cannot be used.

        Args:
            row: Its number.
            where: File and line that it is from.
            error: Why.

        Raises:
            TooManyBadFilesError: If there are too many then.
        """
        with self._lock:
            if row in self._bad:
                return
            line = {
                "row": row,
                "where": where,
                "file": error.name,
                "reason": error.reason,
                "detail": error.detail,
            }
            if self.path is not None:
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
            self._bad[row] = line
        self._check(where, error)

    def _check(self, where: str, error: BadFile) -> None:
        if self.strict:
            raise TooManyBadFilesError(
                f"{where}: {error} Mend the file or leave out its row, or do "
                "without `strict`."
            ) from error
        if len(self) > self.max_bad * self.rows:
            raise TooManyBadFilesError(
                message(
                    f"At most a fraction of {self.max_bad:g} of the rows may "
                    f"be bad. The last one is {where}: {error.reason}.",
                    "Mend the files or leave out their rows, or allow more: "
                    "max_bad.",
                    bad=len(self),
                    rows=self.rows,
                    reasons=self.reasons,
                )
            ) from error


def _read(path: Path) -> dict[int, dict[str, Any]]:
    """The lines of a file. A last one that a kill cut off is left out."""
    lines = path.read_text("utf-8").split("\n")
    whole, cut = lines[:-1], lines[-1]
    bad = {}
    for number, text in enumerate(whole, 1):
        try:
            line = json.loads(text)
            bad[int(line["row"])] = {"reason": str(line["reason"]), **line}
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                message(
                    "A line of a quarantine must be a JSON object with `row` "
                    "and `reason`.",
                    "Mend or remove the file.",
                    file=str(path),
                    line=number,
                )
            ) from error
    if cut:
        path.write_text("".join(f"{text}\n" for text in whole), "utf-8")
    return bad
