"""A manifest: what a data set has in each row, without decoding any of it."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_imp._errors import message
from keras_imp._repr import called
from keras_imp.data.manifest import building, groups, selecting
from keras_imp.data.manifest.origins import Where
from keras_imp.data.manifest.problems import Problem, find_problems, skipped
from keras_imp.data.manifest.summary import Summary, summarize
from keras_imp.data.reading.aliases import COLUMNS, MEDIA
from keras_imp.data.reading.errors import ReadError
from keras_imp.data.reading.found import Found
from keras_imp.data.reading.matching import nearest

# Rows that stand for all in a description.
DESCRIBED = 64


class Manifest:
    """Rows of files, texts, labels and numbers: a data set before decoding.

    `keras_imp.data.read` makes one of a table, a folder or an archive. The
    columns are any of `image`, `video`, `audio` (files), `text`, `label`,
    `group` (rows that belong together, such as those of one speaker), `split`,
    `start`, `end` (seconds in a file) and `weight`.

    Values are stored by column, in a few arrays, so millions of rows take
    little more memory than their text. Every path is checked when a manifest
    is made: one that leaves the folder of the data is refused.

    Args:
        columns: Values by column, with one entry per row; None or `""` where
            a row has none, a list of texts for several captions or labels.
            Files are paths in `root`.
        root: Folder of the data.
        links: Folders outside of `root` that links in it may lead to.

    Raises:
        ReadError: A `ValueError`, if a column is unknown, the columns differ
            in length, there are no rows, or a path leaves `root`.

    Example:
        >>> from pathlib import Path
        >>> import keras_imp
        >>> _ = [Path(f"{name}.jpg").touch() for name in "abc"]
        >>> manifest = keras_imp.data.Manifest(
        ...     {"image": ["a.jpg", "b.jpg", "c.jpg"],
        ...      "label": ["cat", "dog", "cat"]})
        >>> manifest
        Manifest(rows=3, columns=['image', 'label'])
        >>> manifest.row(1)
        {'image': 'b.jpg', 'label': 'dog'}
        >>> len(manifest.select(label="cat"))
        2
    """

    def __init__(
        self,
        columns: Mapping[str, Sequence[Any]],
        root: str | os.PathLike = ".",
        links: Sequence[str | os.PathLike] = (),
    ):
        found = building.from_values(columns)
        self._fill(found, Path(root), links)

    @classmethod
    def of(
        cls,
        found: Found,
        root: str | os.PathLike,
        links: Sequence[str | os.PathLike] = (),
    ) -> "Manifest":
        """A manifest of what a reader found.

        Args:
            found: The reader's columns.
            root: Folder of the data.
            links: Folders outside of `root` that links in it may lead to.

        Returns:
            The manifest.

        Raises:
            ReadError: If a path leaves `root`.
        """
        manifest = cls.__new__(cls)
        manifest._fill(found, Path(root), links)
        return manifest

    def _fill(
        self, found: Found, root: Path, links: Sequence[str | os.PathLike]
    ) -> None:
        self.root = root
        self.found = found
        self._origins = found.origins
        self._columns = building.with_files(found, root, links)
        building.check_inside(self)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that there are."""
        return tuple(name for name in COLUMNS if name in self._columns)

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self.row(row) for row in range(len(self)))

    def __repr__(self) -> str:
        return called("Manifest", rows=len(self), columns=list(self.columns))

    def column(self, name: str) -> Any:
        """The values of one column, a sequence with one entry per row.

        Args:
            name: Name of the column.

        Returns:
            A sequence of texts, of tuples of texts, or of numbers; None where
            a row has no value.

        Raises:
            ValueError: If there is no such column.
        """
        if name not in self._columns:
            raise ValueError(
                message(
                    "The manifest has no such column.",
                    nearest(name, self.columns),
                    column=name,
                )
            )
        return self._columns[name]

    def values(self, name: str) -> Iterator[Any]:
        """All values of a column: every caption, without rows that have none.

        Args:
            name: Name of the column.

        Returns:
            An iterator, such as `Tokenizer.train` takes.

        Raises:
            ValueError: If there is no such column.
        """
        return self.column(name).values()

    def row(self, row: int) -> dict[str, Any]:
        """All values of a row.

        Args:
            row: Its number, from 0.

        Returns:
            The value by column, None where there is none. Files are names, as
            the data has them; `source` gives what can be decoded.

        Raises:
            IndexError: If there is no such row.
        """
        row = selecting.row_number(self, row)
        return {name: self._columns[name][row] for name in self.columns}

    def texts_of(self, row: int, column: str) -> tuple[str, ...]:
        """All texts of a row in a column that may have several.

        Args:
            row: Number of the row, from 0.
            column: `"text"` or `"label"`.

        Returns:
            The texts, none where the row has no value.

        Raises:
            ValueError: If there is no such column.
        """
        value = self.column(column)[row]
        return (value,) if isinstance(value, str) else tuple(value or ())

    def source(self, row: int, column: str) -> Path | bytes | None:
        """What a decoder takes for a file of a row.

        Args:
            row: Number of the row, from 0.
            column: `"image"`, `"video"` or `"audio"`.

        Returns:
            A path in the folder of the data, or the bytes of a member of an
            archive; None if the row has no file in this column.

        Raises:
            ValueError: If the column does not exist or has no files; a
                `BadFile` if the file is missing or leaves the folder.
            IndexError: If there is no such row.
        """
        row = selecting.row_number(self, row)
        files = self.column(column)
        if column not in MEDIA:
            raise ValueError(
                message(f"Only {MEDIA} have files.", column=column)
            )
        return None if files[row] is None else files.source(row)

    def where(self, row: int) -> Where:
        """Where a row comes from, for messages.

        Args:
            row: Number of the row, from 0.

        Returns:
            The file and the line, as the data has them: `select` and `split`
            do not change them. `str()` of it is `"photos.csv, line 3"`.

        Raises:
            IndexError: If there is no such row.
        """
        row = selecting.row_number(self, row)
        if self._origins is not None:
            return self._origins.where(row)
        return building.where_file_is(self, row)

    def select(
        self,
        rows: Sequence[int] | np.ndarray | Callable[[dict], bool] | None = None,
        **values: Any,
    ) -> "Manifest":
        """Some of the rows, as a manifest.

        Args:
            rows: Numbers of the rows, in any order; or bools, one per row; or
                a function that is given each row and says whether to keep it.
                Defaults to all.
            **values: Value, or several, that a column must have:
                `split="train"`, `label=["cat", "dog"]`.

        Returns:
            The rows. Texts are shared with this manifest, not copied.

        Raises:
            ValueError: If a column or a value does not exist, or no row is
                left.
            IndexError: If there is no such row.
        """
        kept = selecting.chosen(self, rows, values)
        manifest = type(self).__new__(type(self))
        manifest.root = self.root
        manifest.found = self.found
        manifest._columns = {
            name: column.take(kept) for name, column in self._columns.items()
        }
        manifest._origins = self._origins and self._origins.take(kept)
        return manifest

    def groups(self, by: str | None = None) -> np.ndarray:
        """Which rows belong together.

        Args:
            by: The column that says so. Defaults to `group`; if there is none,
                to the file, and without files to the text.

        Returns:
            int64, shape `(rows,)`: equal numbers for rows of one group. A row
            that has no value in that column is a group of its own.

        Raises:
            ValueError: If there is no such column.
        """
        hashes = groups.hashes(self, by)
        return np.unique(hashes, return_inverse=True)[1].astype("int64")

    def split(
        self, by: str | None = None, fraction: float = 0.1, seed: int = 0
    ) -> tuple["Manifest", "Manifest"]:
        """Two parts, no group in both: one to train on, one to validate.

        The part of a row depends on the seed and its group's value only: rows
        that are added later do not move those that were there. So the
        fraction is met on average over many groups, not exactly.

        Args:
            by: The column that says which rows belong together, as for
                `groups`.
            fraction: Fraction of the groups in the second part.
            seed: Another seed gives another split.

        Returns:
            The first and the second part.

        Raises:
            ValueError: If the column does not exist, the fraction is not
                between 0 and 1, or a part would have no rows.
        """
        second = groups.is_held_out(self, by, fraction, seed)
        return self.select(~second), self.select(second)

    def summary(self) -> Summary:
        """What was found and inferred, as a table to print.

        Returns:
            An object whose `str()` is a plain table; `rich.print` shows it as
            a table of the terminal.
        """
        return summarize(self)

    def problems(self) -> list[Problem]:
        """What is wrong with rows, as far as it shows without decoding.

        Returns:
            Kinds of problems, each with the rows that have it.
        """
        return find_problems(self)

    def usable(self) -> "Manifest":
        """The rows without those whose problems leave nothing to train on.

        Returns:
            The rows.

        Raises:
            ReadError: If no row is left; the message shows why.
        """
        problems = self.problems()
        bad = skipped(problems, len(self))
        if bad.all():
            raise ReadError(
                "empty",
                "At least one row must be usable.",
                "If files are missing, name the folder of the data: root=...",
                rows=len(self),
                faults=[text for p in problems for text in p.lines(self)],
            )
        return self.select(~bad) if bad.any() else self

    def describe(self) -> dict[str, Any]:
        """What decides the rows, for `Backup`: it refuses other data.

        Returns:
            What JSON can hold: the columns, the number of rows and a checksum
            of up to 64 of them.
        """
        checksum = hashlib.sha256()
        places = np.linspace(0, len(self) - 1, min(len(self), DESCRIBED))
        for row in places.astype(int):
            checksum.update(repr(list(self.row(row).items())).encode())
        return {
            "columns": list(self.columns),
            "rows": len(self),
            "content": checksum.hexdigest()[:16],
        }

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the rows take."""
        arrays = [*self._columns.values()]
        own = sum(column.nbytes for column in arrays)
        return own + (self._origins.nbytes if self._origins else 0)
