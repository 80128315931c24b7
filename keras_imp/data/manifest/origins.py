"""Where a row comes from: the file and the line that an error names."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_imp.data import paths


class Where(NamedTuple):
    """Where a row comes from.

    Attributes:
        file: The table, the archive, or the row's own file.
        unit: What is counted in it: `"line"`, `"row"`, `"entry"`,
            `"member"`, or `""`.
        number: Its number, from 1; for a member its name.

    Example:
        >>> from pathlib import Path
        >>> from keras_imp.data.manifest.origins import Where
        >>> print(Where(Path("photos.csv"), "line", 3))
        photos.csv, line 3
    """

    file: Path
    unit: str = ""
    number: int | str = ""

    def __str__(self) -> str:
        name = paths.shown(self.file)
        return f"{name}, {self.unit} {self.number}" if self.unit else name


class Origins:
    """Where the rows of tables come from.

    Args:
        files: The tables.
        numbers: int64, shape `(rows,)`: line of each row, from 1.
        unit: What is counted: `"line"`, `"row"` or `"entry"`.
        file: int32, shape `(rows,)`: index of each row's table. Defaults to
            the first one.

    Example:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from keras_imp.data.manifest.origins import Origins
        >>> str(Origins([Path("a.csv")], np.array([2, 3])).where(1))
        'a.csv, line 3'
    """

    def __init__(
        self,
        files: Sequence[Path],
        numbers: np.ndarray,
        unit: str = "line",
        file: np.ndarray | None = None,
    ):
        self.files = list(files)
        self.unit = unit
        self._numbers = numbers
        self._file = file

    @classmethod
    def join(cls, parts: "Sequence[Origins]") -> "Origins":
        """The same of several tables, row after row."""
        before = np.cumsum([0] + [len(part.files) for part in parts[:-1]])
        return cls(
            [file for part in parts for file in part.files],
            np.concatenate([part._numbers for part in parts]),
            parts[0].unit,
            np.concatenate(
                [
                    np.full(len(part), start, "int32")
                    if part._file is None
                    else part._file + np.int32(start)
                    for part, start in zip(parts, before)
                ]
            ),
        )

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def tables(self) -> np.ndarray:
        """Index of each row's table in `files`, int32, shape `(rows,)`."""
        if self._file is None:
            return np.zeros(len(self), "int32")
        return self._file

    def take(self, rows: Sequence[int] | np.ndarray) -> "Origins":
        """The same of these rows."""
        rows = np.asarray(rows, "int64")
        file = None if self._file is None else self._file[rows]
        return Origins(self.files, self._numbers[rows], self.unit, file)

    def where(self, row: int) -> Where:
        """Where a row comes from."""
        file = 0 if self._file is None else int(self._file[row])
        return Where(self.files[file], self.unit, int(self._numbers[row]))

    @property
    def nbytes(self) -> int:
        """Bytes that this holds."""
        file = 0 if self._file is None else self._file.nbytes
        return self._numbers.nbytes + file
