"""Paths of data: inside one folder, and to regular files only.

A table of data may come from anywhere, so its paths are not trusted: they are
resolved inside the folder of the data, and what is opened cannot be a pipe that
never answers.
"""

import difflib
import errno
import io
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path, PureWindowsPath
from typing import BinaryIO

from keras_imp._printable import printable
from keras_imp.data.decoding.errors import BadFile

# A scheme of two letters or more, since `C:` is a drive.
_URL = re.compile(r"(?:[a-z][a-z0-9+.-]+:[/\\]{2}|data:)", re.IGNORECASE)
_SYSTEM_FILES = {"thumbs.db", "desktop.ini", "__macosx"}
# Errors that say that nothing is there: no such file, a file in place of a
# folder, a circle of links, a name that no file can have.
_MISSING = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}


def shown(path: str | os.PathLike) -> str:
    r"""A path as text that can be printed and written to JSON.

    Args:
        path: The path. Bytes that are no UTF-8 are shown as `\xe9`, and half
            a character, which no file has in its name, by its number.

    Returns:
        The text.

    Example:
        >>> from keras_imp.data import paths
        >>> print(paths.shown("caf\udce9.jpg"))
        caf\xe9.jpg
    """
    try:
        return os.fsencode(path).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return printable(os.fsdecode(path))


def is_hidden(name: str) -> bool:
    """Whether scans of a folder leave out a file or folder of this name.

    Args:
        name: Its own name, without those of the folders above.

    Returns:
        True for `.cache`, `._image.jpg` of macOS, `Thumbs.db` and the like.

    Example:
        >>> from keras_imp.data import paths
        >>> [paths.is_hidden(x) for x in ("a.jpg", "._a.jpg", "Thumbs.db")]
        [False, True, True]
    """
    return name.startswith(".") or name.lower() in _SYSTEM_FILES


class Root:
    """The folder of the data, in which a table names files.

    Links are followed, and must lead to something in the folder. Where a
    folder leads is looked up once, so that millions of rows are checked at one
    call of the system each.

    Args:
        root: The folder.
        links: Folders outside of `root` that links may lead to.

    Example:
        >>> from pathlib import Path
        >>> from keras_imp.data import paths
        >>> Path("images").mkdir(exist_ok=True)
        >>> Path("images/a.jpg").touch()
        >>> root = paths.Root("images")
        >>> root.find("a.jpg").as_posix()
        'images/a.jpg'
        >>> root.find("../b.jpg")
        Traceback (most recent call last):
        keras_imp.data.decoding.errors.BadFile: The path leaves the folder \
of the data. Received: file='../b.jpg', reason='outside'. It has a part '..'.
    """

    def __init__(
        self,
        root: str | os.PathLike,
        links: Iterable[str | os.PathLike] = (),
    ):
        self.root = Path(root)
        self._allowed = [_real(folder) for folder in (root, *links)]
        self._is_allowed: dict[Path, bool] = {}

    def find(self, path: str | os.PathLike) -> Path:
        """The file, or folder, of a path in a table.

        Args:
            path: A path in the folder, with `/`, or with a backslash where
                there is no such file with `/`.

        Returns:
            `root` joined with the path, without following links. It may be
            anything that is there: `open_regular` refuses what is no file.

        Raises:
            BadFile: With the reason `"outside"` if the path is absolute, a
                URL, has a part `..`, or leads out of the folder by a link;
                `"missing"` if nothing is there; `"unreadable"` if the system
                refuses.
        """
        text = os.fspath(path)
        _check_text(text)
        found = self._existing(text)
        if not self._leads_inside(found):
            raise BadFile(
                "outside", shown(text), "It is a link that leaves the folder."
            )
        return found

    def _existing(self, text: str) -> Path:
        """The first spelling of a path that is there."""
        refused = None
        for spelling in dict.fromkeys((text, text.replace("\\", "/"))):
            try:
                (self.root / spelling).stat()
            except (OSError, ValueError) as error:
                refused = refused or _refused(error, text)
            else:
                return self.root / spelling
        raise refused or BadFile("missing", shown(text))

    def _leads_inside(self, found: Path) -> bool:
        if found.is_symlink():
            return self._contains(_real(found))
        folder = found.parent
        if folder not in self._is_allowed:
            self._is_allowed[folder] = self._contains(_real(folder))
        return self._is_allowed[folder]

    def _contains(self, real: Path) -> bool:
        return any(real.is_relative_to(folder) for folder in self._allowed)


def nearest(root: str | os.PathLike, path: str | os.PathLike) -> str | None:
    """The path in a folder that is most like one that is missing.

    Each part is compared with the names that are there: first without case,
    then by likeness. This reads folders, so ask for a few paths only.

    Args:
        root: Folder of the data.
        path: The missing path.

    Returns:
        A path in `root`, with `/`, that is there; None if none is alike.

    Example:
        >>> from pathlib import Path
        >>> from keras_imp.data import paths
        >>> Path("images").mkdir(exist_ok=True)
        >>> Path("images/good.jpg").touch()
        >>> paths.nearest("images", "Good.JPG")
        'good.jpg'
    """
    folder, found = Path(root), []
    for part in os.fspath(path).replace("\\", "/").split("/"):
        name = _likest(folder, part)
        if name is None:
            return None
        found.append(name)
        folder = folder / name
    return "/".join(found)


def open_regular(
    path: str | os.PathLike, max_bytes: int | None = None
) -> BinaryIO:
    """Open a regular file that holds something, for reading.

    Args:
        path: The file.
        max_bytes: Size above which it is refused. Defaults to any size.

    Returns:
        The file, without a buffer of Python; close it.

    Raises:
        BadFile: With the reason `"missing"`, `"not_file"`, `"empty"`,
            `"too_large"` or `"unreadable"`.

    Example:
        >>> from pathlib import Path
        >>> from keras_imp.data import paths
        >>> _ = Path("note.txt").write_bytes(b"hello")
        >>> with paths.open_regular("note.txt", max_bytes=100) as file:
        ...     file.read()
        b'hello'
    """
    name = shown(path)
    # Without O_NONBLOCK, to open a named pipe waits for its other end.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)
    flags |= getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)
    try:
        number = os.open(path, flags)
    except (OSError, ValueError) as error:
        raise _refused(error, path) from error
    try:
        _check_open(os.fstat(number), name, max_bytes)
    except BaseException:
        os.close(number)
        raise
    return io.FileIO(number, "rb")  # type: ignore[return-value]


def _check_text(text: str) -> None:
    """Refuse what leaves the folder already by its text."""
    if _URL.match(text):
        raise BadFile("outside", shown(text), "It is a URL, and not fetched.")
    if text.startswith(("/", "\\")) or PureWindowsPath(text).is_absolute():
        raise BadFile("outside", shown(text), "It is absolute.")
    if ".." in re.split(r"[/\\]", text):
        raise BadFile("outside", shown(text), "It has a part '..'.")


def _real(path: str | os.PathLike) -> Path:
    """A path without links; a circle of them stays as it is."""
    # `Path.resolve` raises where links form a circle.
    return Path(os.path.realpath(path))


def _refused(error: Exception, path: str | os.PathLike) -> BadFile:
    """What an error of `os.open` or `Path.stat` says of a file."""
    code = getattr(error, "errno", None)
    # Only a path with a NUL or half a character gives a ValueError.
    if code in _MISSING or isinstance(error, ValueError):
        return BadFile("missing", shown(path))
    # A socket cannot be opened at all.
    if code == errno.ENXIO:
        return BadFile("not_file", shown(path))
    return BadFile("unreadable", shown(path), f"{type(error).__name__}.")


def _check_open(
    status: os.stat_result, name: str, max_bytes: int | None
) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise BadFile("not_file", name)
    if status.st_size == 0:
        raise BadFile("empty", name)
    if max_bytes is not None and status.st_size > max_bytes:
        raise BadFile(
            "too_large",
            name,
            f"It has {status.st_size} bytes, and {max_bytes} are allowed.",
        )


def _likest(folder: Path, part: str) -> str | None:
    """The name in a folder that is most like another."""
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except (OSError, ValueError):
        return None
    if part in names:
        return part
    folded = {name.casefold(): name for name in reversed(names)}
    close = difflib.get_close_matches(part.casefold(), folded, n=1)
    return folded[close[0]] if close else None
