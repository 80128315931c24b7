"""Columns of a manifest: values of millions of rows in a few arrays.

A Python string costs 50 bytes before its first letter, an entry of a list
eight more. Here the texts of a column lie one after another in one buffer; a
row is where its text starts and ends. To select rows copies no text.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

# What stands for no value in a table, beside an empty field. Words such as
# "None" or "NA" may be classes, so they are values.
MISSING = frozenset({"", "NaN", "nan"})
# Names of files need not be UTF-8, so any Python string must survive.
_ERRORS = "surrogatepass"


class Strings:
    """One text per row, or none.

    Args:
        buffer: uint8, shape `(bytes,)`: texts in UTF-8.
        starts: int64, shape `(rows,)`: where the text of a row starts.
        ends: int64, shape `(rows,)`: where it ends. Where it starts if the row
            has none.

    Example:
        >>> from keras_imp.data.manifest.columns import Strings
        >>> column = Strings.of(["a heart", None, "an apple"])
        >>> column[0], column[1], len(column)
        ('a heart', None, 3)
        >>> list(column.take([2, 0]))
        ['an apple', 'a heart']
    """

    def __init__(
        self, buffer: np.ndarray, starts: np.ndarray, ends: np.ndarray
    ):
        self._buffer = buffer
        self._starts = starts
        self._ends = ends

    @classmethod
    def of(cls, values: Iterable[str | None]) -> "Strings":
        """A column of some values."""
        builder = StringsBuilder()
        for value in values:
            builder.append(value)
        return builder.finish()

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, row: int) -> str | None:
        text = self._buffer[self._starts[row] : self._ends[row]].tobytes()
        return text.decode("utf-8", _ERRORS) or None

    def __iter__(self) -> Iterator[str | None]:
        return (self[row] for row in range(len(self)))

    def take(self, rows: Sequence[int] | np.ndarray) -> "Strings":
        """The column with these rows, in this order."""
        rows = np.asarray(rows, "int64")
        return Strings(self._buffer, self._starts[rows], self._ends[rows])

    def is_filled(self) -> np.ndarray:
        """Which rows have a value, bool, shape `(rows,)`."""
        return self._ends > self._starts

    def sizes(self) -> np.ndarray:
        """Bytes of the text of each row, int64, shape `(rows,)`."""
        return self._ends - self._starts

    def values(self) -> Iterator[str]:
        """All texts, without the rows that have none."""
        return (text for text in self if text is not None)

    @property
    def nbytes(self) -> int:
        """Bytes that the column holds."""
        return self._buffer.nbytes + _bytes_of(self._starts, self._ends)


class StringsBuilder:
    """Collects the texts of a column.

    Example:
        >>> from keras_imp.data.manifest.columns import StringsBuilder
        >>> builder = StringsBuilder()
        >>> builder.append("a heart")
        >>> builder.append(None)
        >>> list(builder.finish())
        ['a heart', None]
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._ends = array("q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def append(self, value: str | None) -> None:
        """Add a row.

        Args:
            value: Its text; None, an empty text and `"NaN"` stand for none.
        """
        if value is not None and value not in MISSING:
            self._buffer += value.encode("utf-8", _ERRORS)
        self._ends.append(len(self._buffer))

    def finish(self) -> Strings:
        """The column. The builder takes no more rows then."""
        buffer = np.frombuffer(self._buffer, "uint8")
        return Strings(buffer, *_starts_and_ends(self._ends))


class Lists:
    """Any number of texts per row: several captions, several labels.

    Args:
        texts: All texts, row by row.
        starts: int64, shape `(rows,)`: number of the first text of a row.
        ends: int64, shape `(rows,)`: number after the last one.

    Example:
        >>> from keras_imp.data.manifest.columns import Lists
        >>> column = Lists.of([["a heart", "it is red"], []])
        >>> column[0], column[1]
        (('a heart', 'it is red'), None)
    """

    def __init__(self, texts: Strings, starts: np.ndarray, ends: np.ndarray):
        self._texts = texts
        self._starts = starts
        self._ends = ends

    @classmethod
    def of(cls, values: Iterable[Iterable[str]]) -> "Lists":
        """A column of some values."""
        builder = ListsBuilder()
        for value in values:
            builder.append(value)
        return builder.finish()

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, row: int) -> tuple[str, ...] | None:
        numbers = range(self._starts[row], self._ends[row])
        return tuple(self._texts[i] or "" for i in numbers) or None

    def __iter__(self) -> Iterator[tuple[str, ...] | None]:
        return (self[row] for row in range(len(self)))

    def take(self, rows: Sequence[int] | np.ndarray) -> "Lists":
        """The column with these rows, in this order."""
        rows = np.asarray(rows, "int64")
        return Lists(self._texts, self._starts[rows], self._ends[rows])

    def is_filled(self) -> np.ndarray:
        """Which rows have a value, bool, shape `(rows,)`."""
        return self._ends > self._starts

    def sizes(self) -> np.ndarray:
        """Bytes of the longest text of each row, int64, shape `(rows,)`."""
        sizes = self._texts.sizes()
        return np.array(
            [
                sizes[start:end].max(initial=0)
                for start, end in zip(self._starts, self._ends)
            ],
            "int64",
        )

    def values(self) -> Iterator[str]:
        """All texts of all rows."""
        for row in self:
            yield from row or ()

    @property
    def nbytes(self) -> int:
        """Bytes that the column holds."""
        return self._texts.nbytes + _bytes_of(self._starts, self._ends)


class ListsBuilder:
    """Collects the texts of a column that has several per row.

    Example:
        >>> from keras_imp.data.manifest.columns import ListsBuilder
        >>> builder = ListsBuilder()
        >>> builder.append(["a heart", ""])
        >>> builder.finish()[0]
        ('a heart',)
    """

    def __init__(self) -> None:
        self._texts = StringsBuilder()
        self._ends = array("q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def append(self, values: Iterable[str | None]) -> None:
        """Add a row.

        Args:
            values: Its texts; those that are missing are left out.
        """
        for value in values:
            if value is not None and value not in MISSING:
                self._texts.append(value)
        self._ends.append(len(self._texts))

    def finish(self) -> Lists:
        """The column. The builder takes no more rows then."""
        return Lists(self._texts.finish(), *_starts_and_ends(self._ends))


class Numbers:
    """One number per row, or none.

    Args:
        array: float64, shape `(rows,)`, NaN where a row has none.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data.manifest.columns import Numbers
        >>> column = Numbers(np.array([1.5, np.nan]))
        >>> column[0], column[1]
        (1.5, None)
    """

    def __init__(self, array: np.ndarray):
        self.array = array

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, row: int) -> float | None:
        number = float(self.array[row])
        return None if np.isnan(number) else number

    def __iter__(self) -> Iterator[float | None]:
        return (self[row] for row in range(len(self)))

    def take(self, rows: Sequence[int] | np.ndarray) -> "Numbers":
        """The column with these rows, in this order."""
        return Numbers(self.array[np.asarray(rows, "int64")])

    def is_filled(self) -> np.ndarray:
        """Which rows have a value, bool, shape `(rows,)`."""
        return ~np.isnan(self.array)

    def values(self) -> Iterator[float]:
        """All numbers, without the rows that have none."""
        return (number for number in self if number is not None)

    @property
    def nbytes(self) -> int:
        """Bytes that the column holds."""
        return self.array.nbytes


def _starts_and_ends(ends: array) -> tuple[np.ndarray, np.ndarray]:
    """Two views of one array: each text starts where the last one ends."""
    places = np.frombuffer(ends, "int64")
    return places[:-1], places[1:]


def _bytes_of(starts: np.ndarray, ends: np.ndarray) -> int:
    if np.may_share_memory(starts, ends):
        return starts.nbytes + ends.itemsize
    return starts.nbytes + ends.nbytes
