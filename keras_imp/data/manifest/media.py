"""Columns of files: where the bytes of an image, a video or an audio are."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from keras_imp.data import paths
from keras_imp.data.decoding.errors import BadFile
from keras_imp.data.manifest.columns import Strings
from keras_imp.data.manifest.identity import file_identity

# What a row's file is, as `Files.states` has it.
THERE, MISSING, NOT_FILE, UNREADABLE, OUTSIDE = range(5)
REASONS = ("", "missing", "not_file", "unreadable", "outside")
# Signs of other spellings of a path: of Windows, of URLs, or none at all.
_ODD = frozenset("\\\0:")


class Media(Protocol):
    """What every column of files can do."""

    names: Strings

    def __len__(self) -> int: ...

    def __getitem__(self, row: int) -> str | None: ...

    def __iter__(self) -> Iterator[str | None]: ...

    def take(self, rows: Sequence[int] | np.ndarray) -> "Media":
        """The column with these rows, in this order."""

    def is_filled(self) -> np.ndarray:
        """Which rows have a file, bool, shape `(rows,)`."""

    def values(self) -> Iterator[str]:
        """All names, without the rows that have none."""

    def source(self, row: int) -> Path | bytes:
        """What a decoder takes: a path, or the bytes of a file."""

    def size_of(self, row: int) -> int:
        """Bytes of a row's file."""

    def identity(self, row: int) -> str | None:
        """What is equal only for the same bytes; None if it cannot be told."""

    @property
    def nbytes(self) -> int:
        """Bytes that the column holds."""


class _Named:
    """A column that shows the names of its files."""

    names: Strings

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, row: int) -> str | None:
        return self.names[row]

    def __iter__(self) -> Iterator[str | None]:
        return iter(self.names)

    def is_filled(self) -> np.ndarray:
        """Which rows have a file, bool, shape `(rows,)`."""
        return self.names.is_filled()

    def values(self) -> Iterator[str]:
        """All names, without the rows that have none."""
        return self.names.values()

    @property
    def nbytes(self) -> int:
        """Bytes that the column holds."""
        return self.names.nbytes


class Files(_Named):
    """Files in a folder, by their paths.

    Args:
        root: The folder of the data.
        names: Paths in it, one per row.
        prefix: What comes before every path: `""`, or a folder and `/`.
        states: uint8, shape `(rows,)`: `THERE`, `MISSING`, `NOT_FILE`,
            `UNREADABLE` or `OUTSIDE`. Defaults to looking at every file.

    Example:
        >>> from pathlib import Path
        >>> from keras_imp.data import paths
        >>> from keras_imp.data.manifest.columns import Strings
        >>> from keras_imp.data.manifest.media import Files
        >>> Path("a.jpg").touch()
        >>> column = Files(paths.Root("."), Strings.of(["a.jpg", "none.jpg"]))
        >>> column.source(0).name, column.states.tolist()
        ('a.jpg', [0, 1])
    """

    def __init__(
        self,
        root: paths.Root,
        names: Strings,
        prefix: str = "",
        states: np.ndarray | None = None,
    ):
        self.root = root
        self.names = names
        self.prefix = prefix
        self.states = _states(self) if states is None else states

    def take(self, rows: Sequence[int] | np.ndarray) -> "Files":
        """The column with these rows, in this order."""
        rows = np.asarray(rows, "int64")
        names, states = self.names.take(rows), self.states[rows]
        return Files(self.root, names, self.prefix, states)

    def path_of(self, row: int) -> str:
        """The path of a row's file in the folder of the data."""
        return self.prefix + (self.names[row] or "")

    def source(self, row: int) -> Path:
        """The path of a row's file, inside the folder.

        Raises:
            BadFile: If it is not there, or leaves the folder.
        """
        return self.root.find(self.path_of(row))

    def size_of(self, row: int) -> int:
        """Bytes of a row's file.

        Raises:
            BadFile: If it is not there, or leaves the folder.
        """
        return self.source(row).stat().st_size

    def identity(self, row: int) -> str | None:
        """What is equal only for the same bytes; None if it cannot be told.

        Raises:
            BadFile: If it is not there, or leaves the folder.
        """
        return file_identity(self.source(row))

    @property
    def nbytes(self) -> int:
        """Bytes that the column holds."""
        return self.names.nbytes + self.states.nbytes


class Members(_Named):
    """Parts of larger files: members of archives, records of shards.

    Args:
        archives: The files.
        names: Name of each row's member, to be shown.
        archive: int32, shape `(rows,)`: index of the file of a row.
        starts: int64, shape `(rows,)`: first byte of the member in its file.
        sizes: int64, shape `(rows,)`: its number of bytes.

    Example:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from keras_imp.data.manifest.columns import Strings
        >>> from keras_imp.data.manifest.media import Members
        >>> _ = Path("two.bin").write_bytes(b"onetwo")
        >>> column = Members(
        ...     [Path("two.bin")], Strings.of(["a", "b"]), np.array([0, 0]),
        ...     starts=np.array([0, 3]), sizes=np.array([3, 3]))
        >>> column[1], column.source(1)
        ('b', b'two')
    """

    def __init__(
        self,
        archives: Sequence[Path],
        names: Strings,
        archive: np.ndarray,
        starts: np.ndarray,
        sizes: np.ndarray,
    ):
        self.archives = list(archives)
        self.names = names
        self._archive = archive
        self._starts = starts
        self._sizes = sizes

    def take(self, rows: Sequence[int] | np.ndarray) -> "Members":
        """The column with these rows, in this order."""
        rows = np.asarray(rows, "int64")
        return Members(
            self.archives,
            self.names.take(rows),
            self._archive[rows],
            self._starts[rows],
            self._sizes[rows],
        )

    def archive_of(self, row: int) -> Path:
        """The archive that holds a row's file."""
        return self.archives[self._archive[row]]

    def source(self, row: int) -> bytes:
        """The bytes of a row's file.

        Raises:
            BadFile: If the archive cannot be read.
        """
        with paths.open_regular(self.archive_of(row)) as file:
            file.seek(int(self._starts[row]))
            return file.read(int(self._sizes[row]))

    def size_of(self, row: int) -> int:
        """Bytes of a row's file; nothing is read."""
        return int(self._sizes[row])

    def identity(self, row: int) -> str | None:
        """What is equal only for the same bytes; None if it cannot be told.

        Raises:
            BadFile: If the archive is not there.
        """
        archive = file_identity(self.archive_of(row))
        place = f"{self._starts[row]} {self._sizes[row]}"
        return None if archive is None else f"{archive} {place}"

    @property
    def nbytes(self) -> int:
        """Bytes that the column holds."""
        own = (self._archive, self._starts, self._sizes)
        return self.names.nbytes + sum(array.nbytes for array in own)


class Embedded(_Named):
    """Files that lie as bytes in the rows of a table, such as Parquet.

    Args:
        names: Name of each row's file, to be shown.
        read: Called with the number of a row in the table; returns bytes.
        rows: int64, shape `(rows,)`: number in the table of each row.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data.manifest.columns import Strings
        >>> from keras_imp.data.manifest.media import Embedded
        >>> column = Embedded(Strings.of(["a"]), [b"one"].__getitem__,
        ...                   np.array([0]))
        >>> column.source(0)
        b'one'
    """

    def __init__(
        self, names: Strings, read: Callable[[int], bytes], rows: np.ndarray
    ):
        self.names = names
        self._read = read
        self._rows = rows

    @classmethod
    def join(cls, parts: "Sequence[Embedded]") -> "Embedded":
        """The columns of several tables, row after row."""
        starts = np.cumsum([0] + [len(part) for part in parts])

        def read(row: int) -> bytes:
            part = int(np.searchsorted(starts, row, "right")) - 1
            return parts[part].source(row - int(starts[part]))

        names = Strings.of(name for part in parts for name in part.names)
        return cls(names, read, np.arange(len(names)))

    def take(self, rows: Sequence[int] | np.ndarray) -> "Embedded":
        """The column with these rows, in this order."""
        rows = np.asarray(rows, "int64")
        return Embedded(self.names.take(rows), self._read, self._rows[rows])

    def source(self, row: int) -> bytes:
        """The bytes of a row's file."""
        return self._read(int(self._rows[row]))

    def size_of(self, row: int) -> int:
        """Bytes of a row's file, which is read."""
        return len(self.source(row))

    def identity(self, row: int) -> str | None:
        """What is equal only for the same bytes: a checksum of them."""
        return hashlib.blake2b(self.source(row), digest_size=16).hexdigest()

    @property
    def nbytes(self) -> int:
        """Bytes that the column holds."""
        return self.names.nbytes + self._rows.nbytes


def _states(files: Files) -> np.ndarray:
    """Look at every file once, without opening it."""
    states = np.zeros(len(files), "uint8")
    look = _Look(files.root)
    for row, name in enumerate(files.names):
        if name is not None:
            states[row] = look(files.prefix + name)
    return states


class _Look:
    """The state of one file after another: of most by one call of the system.

    A table has many files in few folders. A folder is checked as any path; a
    regular file in it, which is no link, is then inside too.
    """

    def __init__(self, root: paths.Root):
        self._root = root
        self._folders: dict[str, str | None] = {}

    def __call__(self, name: str) -> int:
        folder, _, last = name.rpartition("/")
        # What the text alone may refuse is left to the root.
        if name[0] != "/" and last != ".." and not _ODD.intersection(name):
            if folder not in self._folders:
                self._folders[folder] = self._checked(folder)
            within = self._folders[folder]
            state = within and _plain_state(f"{within}/{last}")
            if state is not None:
                return int(state)
        return self._carefully(name)

    def _checked(self, folder: str) -> str | None:
        if not folder:
            return str(self._root.root)
        try:
            return str(self._root.find(folder))
        except BadFile:
            return None

    def _carefully(self, name: str) -> int:
        try:
            path = self._root.find(name)
        except BadFile as error:
            return REASONS.index(error.reason)
        return THERE if path.is_file() else NOT_FILE


def _plain_state(path: str) -> int | None:
    """The state of a file, None if it is a link or cannot be told."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return MISSING
    except (OSError, UnicodeEncodeError):
        return None
    if stat.S_ISLNK(mode):
        return None
    return THERE if stat.S_ISREG(mode) else NOT_FILE
