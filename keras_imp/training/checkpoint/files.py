"""Backups in a folder: numbered files, each of which proves that it is whole.

A backup is one `.weights.h5` file of Keras, with a few facts as JSON in it.
Its name ends in a checksum of its content, and it gets that name in one rename
once it is on the disk: a file whose checksum holds is complete.
"""

import errno
import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras

from keras_imp import _files
from keras_imp._errors import message

# Beside Keras' own groups in the file.
FACTS = "keras_imp_backup"
# What a disk says that is full, or a limit that is reached.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Bytes that a disk must have left beside a backup.
SPARE = 1 << 20
# Bytes of a weight's name and description in a file, at most.
OVERHEAD = 4096
NAME = re.compile(r"backup-(\d+)-([0-9a-f]{16})\.weights\.h5")


class BrokenBackupError(ValueError):
    """Raised when a backup is not what was once written."""


class BackupFiles:
    """The backups of one run.

    Args:
        folder: Folder of this run alone.
        keep: How many good ones to keep.
        facts: Names of facts without which a backup is of no use.

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

    def __init__(self, folder: Path, keep: int, facts: tuple[str, ...] = ()):
        self.folder = folder
        self.keep = keep
        self.facts = facts
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
            BrokenBackupError: If it is not whole, or no backup of a run.
        """
        try:
            return self._read(path)
        except BrokenBackupError:
            self._broken.add(path)
            raise

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            if _checksum(path) != _match(path)[2]:
                raise BrokenBackupError(
                    "its content does not match the checksum in its name"
                )
            with h5py.File(path, "r") as file:
                facts = json.loads(file[FACTS][()]) if FACTS in file else None
        except (OSError, json.JSONDecodeError) as error:
            raise BrokenBackupError(f"it cannot be read ({error})") from error
        if not isinstance(facts, dict):
            raise BrokenBackupError("it has weights but no facts of a run")
        missing = [name for name in self.facts if name not in facts]
        if missing:
            raise BrokenBackupError(f"it lacks the facts {missing}")
        return facts

    def write(
        self,
        save: Callable[[Path], Any],
        facts: dict[str, Any],
        size: int = 0,
    ) -> Path:
        """Write the next backup, then remove those that are not to be kept.

        Args:
            save: Writes an HDF5 file to a path.
            facts: What JSON can hold.
            size: Bytes that it will have, more or less.

        Returns:
            The new file.

        Raises:
            OSError: If there is no room for it. The older ones are whole.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        existing = self.newest_first()
        size = max([size, *(path.stat().st_size for path in existing)]) + SPARE
        self._check_room(size)
        number = _number(existing[0]) + 1 if existing else 1
        temporary = _files.unfinished(self.folder / "backup.weights.h5")
        try:
            save(temporary)
            with h5py.File(temporary, "a") as file:
                file[FACTS] = json.dumps(facts)
        except (OSError, RuntimeError) as error:
            _discard(temporary)
            if not _is_of_writing(error):
                raise
            raise OSError(self._no_room(size, error=str(error))) from error
        name = f"backup-{number:06d}-{_checksum(temporary)}.weights.h5"
        _files.commit(temporary, self.folder / name)
        self._remove_old()
        return self.folder / name

    def remove_unfinished(self) -> None:
        """Remove what a killed process was writing."""
        for path in self.folder.glob(f"{_files.UNFINISHED}*"):
            if path.is_file():
                path.unlink()

    def _check_room(self, size: int) -> None:
        """Raise now: HDF5 ends a process that it cannot write for."""
        free = shutil.disk_usage(self.folder).free
        if free < size:
            raise OSError(self._no_room(size, free=free))
        if not hasattr(os, "posix_fallocate"):
            return
        # Quotas and limits are told by nothing but an attempt.
        path = _files.unfinished(self.folder / "room")
        try:
            with path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno in NO_ROOM:
                raise OSError(self._no_room(size, error=str(error))) from error
        finally:
            path.unlink(missing_ok=True)

    def _no_room(self, size: int, **received: Any) -> str:
        return message(
            "The disk must have room for one more backup; those before it are "
            "whole.",
            "Make room, and run the same training again to resume from them.",
            folder=str(self.folder),
            needed=size,
            **received,
        )

    def _remove_old(self) -> None:
        """Remove broken ones first: they must not push out a good one."""
        good = [p for p in self.newest_first() if p not in self._broken]
        for path in [*self._broken, *good[self.keep :]]:
            # What is no file is none of ours.
            if path.is_file():
                path.unlink()
        self._broken.clear()


def size_of(model: keras.Model) -> int:
    """Bytes of a backup of a model, or a little more.

    Args:
        model: A compiled model.

    Returns:
        The number.
    """
    variables = [*model.variables, *model.optimizer.variables]
    return sum(
        math.prod(v.shape) * (8 if "64" in str(v.dtype) else 4) + OVERHEAD
        for v in variables
    )


def _discard(path: Path) -> None:
    """Close and remove a file that HDF5 could not write.

    To close it, HDF5 writes once more. Where it cannot, it tries again at the
    end of the process, and ends that with a segmentation fault: so what is
    left to write goes nowhere.
    """
    for opened in h5py.h5f.get_obj_ids(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE):
        if os.fsdecode(opened.name) == str(path):
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, opened.get_vfd_handle())
            os.close(nowhere)
            h5py.File(opened).close()
    path.unlink(missing_ok=True)


def _is_of_writing(error: Exception) -> bool:
    """Whether a disk refused what HDF5 wanted to write."""
    refused = getattr(error, "errno", None) in NO_ROOM
    return refused or "file write failed" in str(error)


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
