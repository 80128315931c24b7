"""Arrays of one shape by key, in files that are written once.

A file is a line that says what it is, the keys as one array of NumPy, and the
values as another one, which is mapped into memory when it is read.
"""

import math
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_imp._files import UNFINISHED, commit, unfinished

# 16 bytes; NumPy sorts and searches them.
KEY = "S16"
SUFFIX = ".shard"
MARK = b"keras_imp decoded 1\n"
# Seconds after which a file that was not finished is nobody's.
_ABANDONED = 3600


class Shard(NamedTuple):
    """What a file holds.

    Attributes:
        path: The file.
        keys: Bytes, dtype `S16`, shape `(rows,)`.
        offset: Place of the values in it.
    """

    path: Path
    keys: np.ndarray
    offset: int

    def values(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """All values, mapped into memory.

        Args:
            shape: Of one value.
            dtype: Of the values.

        Returns:
            An array of shape `(rows, *shape)`.

        Raises:
            OSError: If the file is not there.
        """
        return np.memmap(
            self.path,
            dtype,
            mode="r",
            offset=self.offset,
            shape=(len(self.keys), *shape),
        )


def write_shard(
    folder: Path, keys: Sequence[bytes], values: Sequence[np.ndarray]
) -> Shard:
    """Write some values as a file, which is there as a whole or not at all.

    Args:
        folder: Where.
        keys: 16 bytes for each value.
        values: Arrays of one shape and dtype.

    Returns:
        What was written.

    Raises:
        OSError: If the file cannot be written.
    """
    # Of this call alone: several processes write to one folder.
    path = folder / f"{uuid.uuid4().hex}{SUFFIX}"
    written = unfinished(path)
    # Somebody may have removed it.
    folder.mkdir(parents=True, exist_ok=True)
    of_keys = np.frombuffer(b"".join(keys), KEY)
    of_values = np.stack(values)
    try:
        with written.open("wb") as file:
            file.write(MARK)
            np.save(file, of_keys)
            np.save(file, of_values)
            offset = file.tell() - of_values.nbytes
        commit(written, path)
    except BaseException:
        written.unlink(missing_ok=True)
        raise
    return Shard(path, of_keys, offset)


def read_shards(
    folder: Path, shape: tuple[int, ...], dtype: str
) -> list[Shard]:
    """The files of a folder, without their values.

    Args:
        folder: The folder.
        shape: Of one value.
        dtype: Of the values.

    Returns:
        Those that are whole.
    """
    found = (
        _read(path, shape, dtype)
        for path in sorted(folder.glob(f"*{SUFFIX}"))
        if not path.name.startswith(UNFINISHED)
    )
    return [shard for shard in found if shard is not None]


def remove_abandoned(folder: Path) -> None:
    """Remove what killed processes have left.

    Args:
        folder: The folder.
    """
    for path in folder.glob(f"{UNFINISHED}*{SUFFIX}"):
        try:
            if time.time() - path.stat().st_mtime > _ABANDONED:
                path.unlink()
        except FileNotFoundError:
            continue


def _read(path: Path, shape: tuple[int, ...], dtype: str) -> Shard | None:
    """What a file holds; None if it is not as it was written."""
    form = np.lib.format
    try:
        with path.open("rb") as file:
            if file.read(len(MARK)) != MARK:
                return None
            keys = form.read_array(file, allow_pickle=False)
            form.read_magic(file)
            found, _, of_values = form.read_array_header_1_0(file)
            offset = file.tell()
            size = file.seek(0, 2)
    except (OSError, ValueError):
        return None
    is_ours = (
        keys.dtype == KEY
        and found == (len(keys), *shape)
        and of_values == np.dtype(dtype)
        and size == offset + math.prod(found) * of_values.itemsize
    )
    return Shard(path, keys, offset) if is_ours else None
