"""Rows whose files cannot be used: listed, counted, and never used again."""

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_imp._errors import check_rate, message
from keras_imp._repr import ShowsArguments
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


class Quarantine(ShowsArguments):
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
        **labels: What its lines say besides, such as `task="captions"`.
            Several quarantines then have one file; each reads its own lines.

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
        **labels: str,
    ):
        check_rate(max_bad=max_bad)
        self.rows = rows
        self.path = None if path is None else Path(path)
        self.max_bad = max_bad
        self.strict = strict
        self.labels = labels
        self._lock = threading.Lock()
        self._bad: dict[int, dict[str, Any]] = {}
        if self.path is not None and self.path.exists():
            self._bad = _read(self.path, labels)

    def __getstate__(self) -> dict[str, Any]:
        """All but the lock, which is of this process."""
        return {k: v for k, v in vars(self).items() if k != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.Lock())

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

    def first(self, most: int) -> list[str]:
        """A sentence for each of the first rows of each reason.

        Args:
            most: How many rows of a reason to name.

        Returns:
            Sentences such as `"photos.csv, line 9: empty, 'a.jpg'"`.
        """
        named: dict[str, list[str]] = {}
        for row in self.bad_rows:
            line = self._bad[row]
            text = (
                f"{line.get('where')}: {line['reason']}, {line.get('file')!r}"
            )
            named.setdefault(line["reason"], []).append(text)
        return [text for texts in named.values() for text in texts[:most]]

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
                **self.labels,
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

    def part(self, rows: Sequence[int] | np.ndarray) -> "QuarantinePart":
        """The same for some of the rows, such as those of a split.

        Args:
            rows: Numbers of the rows, in the order of the part.

        Returns:
            A quarantine whose rows are numbered from 0.
        """
        return QuarantinePart(self, np.asarray(rows))

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


class QuarantinePart:
    """Some of the rows of a quarantine, with numbers of their own.

    Args:
        whole: The quarantine.
        rows: Number in it of each row here.

    Example:
        >>> from keras_imp.data.decoding import BadFile
        >>> from keras_imp.data.records import Quarantine
        >>> quarantine = Quarantine(rows=100)
        >>> part = quarantine.part([7, 8])
        >>> part.add(0, "photos.csv, line 9", BadFile("empty", "a.jpg"))
        >>> 0 in part, 1 in part, quarantine.bad_rows
        (True, False, [7])
    """

    def __init__(self, whole: Quarantine, rows: np.ndarray):
        self._whole = whole
        self._rows = rows

    def __len__(self) -> int:
        return sum(row in self for row in range(len(self._rows)))

    def __contains__(self, row: int) -> bool:
        return int(self._rows[row]) in self._whole

    def add(self, row: int, where: str, error: BadFile) -> None:
        """Note that a row cannot be used, as `Quarantine.add`.

        Args:
            row: Its number in this part.
            where: File and line that it is from.
            error: Why.

        Raises:
            TooManyBadFilesError: If there are too many then.
        """
        self._whole.add(int(self._rows[row]), where, error)


def _read(path: Path, labels: dict[str, str]) -> dict[int, dict[str, Any]]:
    """The lines that have some labels, by row.

    A last one that a kill cut off is removed.
    """
    lines = path.read_text("utf-8").split("\n")
    whole, cut = lines[:-1], lines[-1]
    bad = {}
    for number, text in enumerate(whole, 1):
        try:
            line = json.loads(text)
            if labels.items() <= line.items():
                bad[int(line["row"])] = {"reason": str(line["reason"]), **line}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
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
