"""A folder's files, folder by folder, in one order on every machine."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from keras_imp.data import paths
from keras_imp.data.decoding.errors import BadFile
from keras_imp.data.reading.errors import ReadError, unreadable


@dataclass
class LeftOut:
    """What a scan saw and did not take, by kind.

    Attributes:
        counts: Number of files and folders by what they are.

    Example:
        >>> from keras_imp.data.reading.scan import LeftOut
        >>> left_out = LeftOut()
        >>> left_out.add("hidden files", 2)
        >>> left_out.notes()
        ['Left out: 2 hidden files.']
    """

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str, number: int = 1) -> None:
        """Count some more of a kind."""
        self.counts[kind] = self.counts.get(kind, 0) + number

    def notes(self) -> list[str]:
        """What to say of it, as sentences."""
        found = [f"{n} {kind}" for kind, n in self.counts.items() if n]
        return [f"Left out: {', '.join(found)}."] if found else []


def scan(
    root: paths.Root, folder: str = "", left_out: LeftOut | None = None
) -> Iterator[tuple[str, list[str]]]:
    """Names of the files of a folder and of all folders in it.

    Hidden ones are left out. A link to a folder is followed if it leads to one
    outside that is allowed, and not from there on: a circle is no trap. Links
    to folders inside are left out, since those are gone through anyway.

    Args:
        root: Folder of the data.
        folder: Where to begin, a path in it with `/`.
        left_out: Where to count what is left out.

    Yields:
        A folder, as a path in `root` with `/`, and the names of its files,
        sorted. Links and pipes are among them.

    Raises:
        ReadError: If a folder cannot be read, or a link to a folder leaves
            `root`.

    Example:
        >>> from pathlib import Path
        >>> from keras_imp.data.paths import Root
        >>> from keras_imp.data.reading.scan import scan
        >>> Path("tree/cat").mkdir(parents=True)
        >>> Path("tree/cat/a.jpg").touch()
        >>> list(scan(Root("tree")))
        [('', []), ('cat', ['a.jpg'])]
    """
    left_out = LeftOut() if left_out is None else left_out
    waiting = [folder]
    while waiting:
        folder = waiting.pop()
        files, folders = _entries(root, folder, left_out)
        yield folder, files
        waiting += [join(folder, name) for name in reversed(folders)]


def join(folder: str, name: str) -> str:
    """A path in a folder, which may be the root `""`."""
    return f"{folder}/{name}" if folder else name


def folders_in(root: paths.Root, folder: str = "") -> list[str]:
    """Names of the folders in a folder, sorted, without hidden ones."""
    return _entries(root, folder, LeftOut())[1]


def files_in(root: paths.Root, folder: str = "") -> list[str]:
    """Names of the files in a folder, sorted, without hidden ones."""
    return _entries(root, folder, LeftOut())[0]


def _entries(
    root: paths.Root, folder: str, left_out: LeftOut
) -> tuple[list[str], list[str]]:
    """Files and folders in a folder."""
    files, folders = [], []
    try:
        with os.scandir(root.root / folder) as entries:
            for entry in entries:
                if paths.is_hidden(entry.name):
                    left_out.add("hidden files and folders")
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                elif not _leads_to_folder(entry):
                    files.append(entry.name)
                elif _is_followed(root, join(folder, entry.name)):
                    folders.append(entry.name)
                else:
                    left_out.add("links to folders")
    except OSError as error:
        raise unreadable(root.root / folder, error) from error
    return sorted(files), sorted(folders)


def _leads_to_folder(link: os.DirEntry) -> bool:
    try:
        return link.is_dir()
    except OSError:
        # A circle of links: a file that is missing, which its row will say.
        return False


def _is_followed(root: paths.Root, path: str) -> bool:
    """Whether to go through the folder that a link leads to.

    Raises:
        ReadError: If it leads out of `root` to what is not allowed.
    """
    try:
        link = root.find(path)
    except BadFile as error:
        raise ReadError(
            "outside",
            "Links to folders must stay in the folder of the data.",
            "Read the folder that has both, or allow it: links=[...].",
            root=paths.shown(root.root),
            faults=[paths.shown(path)],
        ) from error
    top = Path(os.path.realpath(root.root))
    here = Path(os.path.realpath(link.parent))
    there = Path(os.path.realpath(link))
    return here.is_relative_to(top) and not there.is_relative_to(top)
