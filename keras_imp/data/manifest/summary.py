"""What was found in data and inferred from it, as a table to print."""

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

from keras_imp._printable import printable
from keras_imp.data import paths

if TYPE_CHECKING:
    from keras_imp.data.manifest.manifest import Manifest

# Columns whose distinct values are counted: the others have as many as rows.
COUNTED = ("label", "group", "split")
LONGEST = 32
HEADER = ("column", "from", "rows", "distinct", "example")


class Line(NamedTuple):
    """One column of the data.

    Attributes:
        column: Its name in the manifest.
        named: Where it comes from: the table's name of it, a folder, ...
        rows: Number of rows that have a value.
        distinct: Number of different values; None where not counted.
        example: One value, shortened.
    """

    column: str
    named: str
    rows: int
    distinct: int | None
    example: str


class Summary(NamedTuple):
    """What was found, to be printed before a run.

    Attributes:
        title: Kind of data, folder and number of rows.
        lines: One per column.
        notes: What was left out or assumed, as sentences.
        problems: Number of rows by problem, as sentences.

    Example:
        >>> import keras_imp
        >>> manifest = keras_imp.data.Manifest({"text": ["a", "b"]})
        >>> print(manifest.summary())
        columns in '.', 2 rows
        column  from         rows  distinct  example
        text    an argument  2               a
    """

    title: str
    lines: list[Line]
    notes: list[str]
    problems: list[str]

    def __str__(self) -> str:
        cells = [HEADER, *map(_cells, self.lines)]
        widths = [max(map(len, column)) for column in zip(*cells)]
        table = [
            "  ".join(map(str.ljust, row, widths)).rstrip() for row in cells
        ]
        return "\n".join([self.title, *table, *self.notes, *self.problems])

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(self.title), title_justify="left")
        for name in HEADER:
            table.add_column(name)
        for line in self.lines:
            # As plain text: a caption may hold what looks like markup.
            table.add_row(*map(Text, _cells(line)))
        return Group(table, *map(Text, [*self.notes, *self.problems]))


def summarize(manifest: "Manifest") -> Summary:
    """The summary of a manifest.

    Args:
        manifest: The rows.

    Returns:
        The summary.
    """
    found = manifest.found
    root = paths.shown(manifest.root)
    return Summary(
        f"{found.layout} in {root!r}, {_rows(len(manifest))}",
        [_line(manifest, name) for name in manifest.columns],
        list(found.notes),
        [
            f"{_rows(len(p.rows))} {_OUTCOMES[p.outcome]}: {p.reason}, such as "
            f"{p.lines(manifest, 1)[0]}."
            for p in manifest.problems()
        ],
    )


_OUTCOMES = {"skip": "left out", "warn": "with a warning"}


def _line(manifest: "Manifest", name: str) -> Line:
    column = manifest.column(name)
    distinct = len(set(column.values())) if name in COUNTED else None
    first = next(itertools.islice(column.values(), 1), "")
    return Line(
        name,
        manifest.found.named.get(name, ""),
        int(column.is_filled().sum()),
        distinct,
        _short(first),
    )


def _rows(number: int) -> str:
    return f"{number:,} row" + ("" if number == 1 else "s")


def _short(value: Any) -> str:
    """A value on one line that any terminal can show."""
    text = printable(str(value))
    # An escape sequence in a caption must not reach the terminal.
    text = "".join(x if x.isprintable() else " " for x in text[:200])
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _cells(line: Line) -> tuple[str, ...]:
    distinct = "" if line.distinct is None else str(line.distinct)
    return (line.column, line.named, str(line.rows), distinct, line.example)
