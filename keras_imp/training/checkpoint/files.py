"""Backups in a folder: numbered files, each of which proves that it is whole.

A backup is one `.weights.h5` file of Keras, with a few facts as JSON in it.
Its name ends in a checksum of its content, and it gets that name in one rename
once it is on the disk: a file whose checksum holds is complete.
"""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py

from keras_imp import _files

# Beside Keras' own groups in the file.
FACTS = "keras_imp_backup"
NAME = re.compile(r"backup-(\d+)-([0-9a-f]{16})\.weights\.h5")


class BrokenBackupError(ValueError):
    """Raised when a backup is not what was once written."""


class BackupFiles:
    """The backups of one run.

    Args:
        folder: Folder of this run alone.
        keep: How many good ones to keep.

    Example:
        >>> import pathlib, h5py
        >>> from keras_imp.training.checkpoint.files import BackupFiles
        >>> files = BackupFiles(pathlib.Path("backup"), keep=2)
        >>> for step in (1, 2, 3):
        ...     path = files.write(
        ...         lambda path: h5py.File(path, "w").close(), {"step": step})
        >>> [files.read(path)["step"] for path in files.newest_first()]
        [3, 2]
    """

    def __init__(self, folder: Path, keep: int):
        self.folder = folder
        self.keep = keep
        self._broken: set[Path] = set()

    def newest_first(self) -> list[Path]:
        """All backups, good or not."""
        names = self.folder.iterdir() if self.folder.is_dir() else ()
        return sorted(filter(_number, names), key=_number, reverse=True)

    def read(self, path: Path) -> dict[str, Any]:
        """Check a backup and return its facts.

        Args:
            path: One of `newest_first`.

        Returns:
            What `write` was given.

        Raises:
            BrokenBackupError: If it is not whole.
        """
        try:
            if _checksum(path) != _match(path)[2]:
                raise BrokenBackupError(
                    "its content does not match the checksum in its name"
                )
            with h5py.File(path, "r") as file:
                return json.loads(file[FACTS][()])
        except BrokenBackupError:
            self._broken.add(path)
            raise
        except OSError as error:
            self._broken.add(path)
            raise BrokenBackupError(f"it cannot be read ({error})") from error

    def write(self, save: Callable[[Path], Any], facts: dict[str, Any]) -> Path:
        """Write the next backup, then remove those that are not to be kept.

        Args:
            save: Writes an HDF5 file to a path.
            facts: What JSON can hold.

        Returns:
            The new file.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        existing = self.newest_first()
        number = _number(existing[0]) + 1 if existing else 1
        temporary = _files.unfinished(self.folder / "backup.weights.h5")
        save(temporary)
        with h5py.File(temporary, "a") as file:
            file[FACTS] = json.dumps(facts)
        name = f"backup-{number:06d}-{_checksum(temporary)}.weights.h5"
        _files.commit(temporary, self.folder / name)
        self._remove_old()
        return self.folder / name

    def remove_unfinished(self) -> None:
        """Remove what a killed process was writing."""
        for path in self.folder.glob(f"{_files.UNFINISHED}*"):
            path.unlink()

    def _remove_old(self) -> None:
        """Remove broken ones first: they must not push out a good one."""
        good = [p for p in self.newest_first() if p not in self._broken]
        for path in [*self._broken, *good[self.keep :]]:
            path.unlink(missing_ok=True)
        self._broken.clear()


def _match(path: Path) -> re.Match:
    found = NAME.fullmatch(path.name)
    if found is None:
        raise ValueError(f"No name of a backup: {path.name!r}")
    return found


def _number(path: Path) -> int:
    """The number of a backup, from 1; 0 for another file."""
    found = NAME.fullmatch(path.name)
    return int(found[1]) if found else 0


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
