"""What a reader hands over: columns, and how it came to them."""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from keras_imp.data import paths
from keras_imp.data.manifest.columns import (
    Lists,
    ListsBuilder,
    Numbers,
    Strings,
    StringsBuilder,
)
from keras_imp.data.manifest.media import Embedded
from keras_imp.data.manifest.origins import Origins
from keras_imp.data.reading.aliases import LISTS, NUMBERS
from keras_imp.data.reading.errors import SHOWN, ReadError


@dataclass
class Found:
    """What a reader found.

    Attributes:
        layout: What kind of data it is, in a few words.
        columns: Columns by name. Names of files are `Strings`, paths from the
            folder of the data.
        named: Where each column comes from, in words, by name.
        notes: What else a person should know, as sentences.
        origins: Where the rows come from; None if their files say so.
        folder: Where to look for files, from the folder of the data. None if
            that is still to be found.
    """

    layout: str
    columns: dict[str, Any]
    named: dict[str, str]
    notes: list[str] = field(default_factory=list)
    origins: Origins | None = None
    folder: str | None = None

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


class RowsBuilder:
    """Collects rows of a table, a column at a time.

    Args:
        names: Names of the columns, of a manifest or of a reader.
        separator: What stands between the labels of a row, if it may have
            several. Defaults to one label.

    Example:
        >>> from pathlib import Path
        >>> from keras_imp.data.reading.found import RowsBuilder
        >>> rows = RowsBuilder(["label", "weight"])
        >>> rows.append({"label": "cat", "weight": "2"}, 3, Path("a.csv"))
        >>> columns, lines = rows.finish()
        >>> columns["label"][0], columns["weight"][0], lines.tolist()
        ('cat', 2.0, [3])
    """

    def __init__(self, names: Iterable[str], separator: str | None = None):
        self._separator = separator
        self._lines = array("q")
        self._columns: dict[str, Any] = {
            name: array("d") if name in NUMBERS else StringsBuilder()
            for name in names
        }
        if separator is not None and "label" in self._columns:
            self._columns["label"] = ListsBuilder()

    def __len__(self) -> int:
        return len(self._lines)

    def append(self, row: Mapping[str, Any], line: int, file: Path) -> None:
        """Add a row.

        Args:
            row: Values by column: texts, numbers, or lists of texts where a
                column may have several. What is not there is missing.
            line: Its line.
            file: Its table, to name in an error.

        Raises:
            ReadError: If a value is of the wrong kind.
        """
        for name, column in self._columns.items():
            value = row.get(name)
            if name in NUMBERS:
                column.append(_number(value, name, line, file))
            elif name == "label" and self._separator is not None:
                column.append(self._labels(value, line, file))
            elif isinstance(value, list | tuple):
                self._listed(name, line, file).append(
                    [_text(each, name, line, file) for each in value]
                )
            else:
                text = _text(value, name, line, file)
                several = isinstance(column, ListsBuilder)
                column.append(
                    text if not several else [] if text is None else [text]
                )
        self._lines.append(line)

    def _labels(self, value: Any, line: int, file: Path) -> list[str | None]:
        if isinstance(value, list | tuple):
            return [_text(each, "label", line, file) for each in value]
        text = _text(value, "label", line, file) or ""
        return [part.strip() for part in text.split(self._separator)]

    def _listed(self, name: str, line: int, file: Path) -> ListsBuilder:
        """The column of a row with several values."""
        column = self._columns[name]
        if isinstance(column, ListsBuilder):
            return column
        if name not in LISTS:
            raise ReadError(
                "columns",
                f"Only {' and '.join(LISTS)} may have several values in a row.",
                path=str(file),
                line=line,
                column=name,
            )
        # Rows so far had one value each.
        several = ListsBuilder()
        for text in column.finish():
            several.append([] if text is None else [text])
        self._columns[name] = several
        return several

    def finish(self) -> tuple[dict[str, Any], np.ndarray]:
        """The columns, and int64 lines of shape `(rows,)`."""
        columns = {
            name: Numbers(np.frombuffer(column, "float64"))
            if name in NUMBERS
            else column.finish()
            for name, column in self._columns.items()
        }
        return columns, np.frombuffer(self._lines, "int64")


def _text(value: Any, name: str, line: int, file: Path) -> str | None:
    """A value as text; numbers as they would be written."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float):
        # A whole number that a data frame made a float has been an integer.
        value = int(value) if value.is_integer() else value
        return None if value != value else str(value)
    if isinstance(value, bool | int):
        return str(value).lower() if isinstance(value, bool) else str(value)
    raise ReadError(
        "columns",
        f"Values of the column {name!r} must be texts or numbers.",
        path=str(file),
        line=line,
        type=type(value).__name__,
    )


def _number(value: Any, name: str, line: int, file: Path) -> float:
    """A value as a number: seconds may be written as hours:minutes:seconds."""
    if value is None or value == "":
        return float("nan")
    try:
        if isinstance(value, str) and ":" in value and name != "weight":
            return _seconds(value)
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = float("inf")
    if number == float("inf") or number < 0:
        raise ReadError(
            "columns",
            f"Values of the column {name!r} must be numbers of at least 0.",
            f"To leave this column out: columns={{{name!r}: None}}.",
            path=str(file),
            line=line,
            value=value if isinstance(value, str) else repr(value)[:60],
        )
    return number


def _seconds(text: str) -> float:
    total = 0.0
    for part in text.split(":"):
        total = total * 60 + float(part)
    return total


def join(founds: Sequence[Found], layout: str) -> Found:
    """Several parts of a data set as one, row after row.

    Args:
        founds: The parts, with rows each.
        layout: What they are together.

    Returns:
        All rows; a column that a part lacks is missing in its rows.

    Raises:
        ReadError: If a column is of files in one part and of bytes in
            another.

    Example:
        >>> from keras_imp.data.manifest.columns import Strings
        >>> from keras_imp.data.reading.found import Found, join
        >>> parts = [Found("a", {"text": Strings.of([x])}, {}) for x in "ab"]
        >>> list(join(parts, "two").columns["text"])
        ['a', 'b']
    """
    if len(founds) == 1:
        return founds[0]
    names = list(dict.fromkeys(n for part in founds for n in part.columns))
    columns = {name: _joined(name, founds) for name in names}
    named = {n: text for part in founds[::-1] for n, text in part.named.items()}
    notes = list(dict.fromkeys(n for part in founds for n in part.notes))
    folders = {part.folder for part in founds}
    folder = folders.pop() if len(folders) == 1 else None
    return Found(layout, columns, named, notes, _origins(founds), folder)


def unused_splits(splits: Mapping[str, str | None]) -> list[str]:
    """What to say if only some files of a data set are named for splits.

    Args:
        splits: Split by file; None where its name says none.

    Returns:
        A sentence, or none if all files or no files are named for splits.

    Example:
        >>> from keras_imp.data.reading.found import unused_splits
        >>> unused_splits({"train.tar": "train", "test.tar": "test"})
        []
        >>> len(unused_splits({"train.tar": "train", "more.tar": None}))
        1
    """
    without = [paths.shown(file) for file in splits if splits[file] is None]
    if len(without) in (0, len(splits)):
        return []
    return [
        "Splits in names of files are not used, since these name none: "
        f"{', '.join(map(repr, without[:SHOWN]))}."
    ]


def _joined(name: str, founds: Sequence[Found]) -> Any:
    parts = [part.columns.get(name) for part in founds]
    kinds = {type(part) for part in parts if part is not None}
    if kinds == {Numbers}:
        return Numbers(
            np.concatenate(
                [
                    np.full(len(found), np.nan) if part is None else part.array
                    for part, found in zip(parts, founds)
                ]
            )
        )
    if kinds == {Embedded} and None not in parts:
        return Embedded.join([part for part in parts if part is not None])
    if not kinds <= {Strings, Lists}:
        raise ReadError(
            "columns",
            f"The column {name!r} must be of one kind in all parts.",
            kinds=sorted(kind.__name__ for kind in kinds),
        )
    builder = ListsBuilder() if Lists in kinds else StringsBuilder()
    for part, found in zip(parts, founds):
        for value in [None] * len(found) if part is None else part:
            if isinstance(builder, ListsBuilder) and not isinstance(
                value, tuple
            ):
                value = () if value is None else (value,)
            builder.append(value)  # type: ignore[arg-type]
    return builder.finish()


def _origins(founds: Sequence[Found]) -> Origins | None:
    origins = [part.origins for part in founds if part.origins is not None]
    if len(origins) < len(founds):
        return None
    return Origins.join(origins)
