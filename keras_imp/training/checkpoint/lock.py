"""One run at a time in a folder: two would write and remove the same files."""

import contextlib
import errno
import json
import os
import socket
import sys
import warnings
import weakref
from pathlib import Path

from keras_imp._errors import message

NAME = "lock"
# A file system that cannot lock.
UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)

if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        # Far behind the text, which others must be able to read.
        os.lseek(file, 1 << 20, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class FolderInUseError(RuntimeError):
    """Raised when another run, in this process or another, has the folder."""


class FolderLock:
    """A lock that the operating system ends with its process, however it dies.

    Args:
        folder: The folder; it is made if need be.

    Example:
        >>> import pathlib
        >>> from keras_imp.training.checkpoint.lock import FolderLock
        >>> lock = FolderLock(pathlib.Path("backup"))
        >>> lock.acquire()
        >>> lock.release()
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.path = folder / NAME
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the folder, also where a dead process left its lock file.

        Raises:
            FolderInUseError: If another run has it.
            OSError: If the folder cannot be made or written to.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = self._open()
            owner = {"pid": os.getpid(), "host": socket.gethostname()}
            os.ftruncate(self._file, 0)
            os.lseek(self._file, 0, os.SEEK_SET)
            os.write(self._file, json.dumps(owner).encode())
        except OSError as error:
            self.release()
            raise type(error)(
                message(
                    "The folder of backups must be one that can be written to.",
                    "Choose another folder.",
                    folder=str(self.folder),
                    error=str(error),
                )
            ) from error
        _acquired.add(self)

    def release(self) -> None:
        """Leave the folder to others, without a lock file."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self.path.unlink()
            self.forget()

    def forget(self) -> None:
        """Close the file, and keep it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        """The lock file, locked."""
        while True:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                _lock(file)
            except OSError as error:
                if error.errno not in UNSUPPORTED:
                    os.close(file)
                    raise FolderInUseError(self._in_use()) from error
                warnings.warn(
                    message(
                        "The file system cannot lock files: take care that no "
                        "other run uses this folder.",
                        folder=str(self.folder),
                    ),
                    stacklevel=5,
                )
                return file
            if self._is_at_its_path(file):
                return file
            # Another run has removed it while it ended.
            os.close(file)

    def _is_at_its_path(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), self.path.stat())
        except FileNotFoundError:
            return False

    def _in_use(self) -> str:
        try:
            owner = json.loads(self.path.read_text("utf-8"))
            received = {"pid": owner["pid"], "host": owner["host"]}
        except (OSError, ValueError, TypeError, KeyError):
            received = {"pid": "unknown"}
        return message(
            "Only one run at a time can have a folder of backups.",
            "Wait until that process ends, stop it, or choose another folder.",
            folder=str(self.folder),
            **received,
        )


_acquired: weakref.WeakSet[FolderLock] = weakref.WeakSet()


def _forget_all() -> None:
    for lock in list(_acquired):
        lock.forget()


if hasattr(os, "register_at_fork"):
    # A worker that outlives its dead parent must not keep the folder locked.
    os.register_at_fork(after_in_child=_forget_all)
