"""Where the files are that tables name: in the root, or in a folder there."""

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from keras_imp.data import paths
from keras_imp.data.manifest.columns import Strings
from keras_imp.data.reading.aliases import split_named, split_of
from keras_imp.data.reading.errors import SHOWN, unreadable
from keras_imp.data.reading.found import Found
from keras_imp.data.reading.scan import join

# Names of a table that are looked for in several folders, before one is chosen.
TRIED = 50
# Folders that are tried.
FOLDERS = 200
# What stands between the words of a folder's name: "train_images".
_BETWEEN = re.compile(r"[_\-. ]")


def find_folders(found: Found, root: Path, names: Sequence[str]) -> None:
    """Find the folder of the files of each table, in place.

    Tables for splits may have their files in a folder each, even by the same
    names.

    Args:
        found: What a reader found. Its folder is set; where tables differ in
            theirs, names of files become paths. A note says so.
        root: Folder of the data.
        names: Columns of names of files.

    Raises:
        ReadError: If the root cannot be read.
    """
    there = _folders_in(root)
    parts = list(_parts(found, names))
    chosen = [
        _folder(root, _in_order(there, table), columns)
        for table, columns in parts
    ]
    # Where no file of a table is found, they may be missing where others are.
    known = next((folder for folder in chosen if folder is not None), "")
    folders = [known if folder is None else folder for folder in chosen]
    if found.origins is None or len(set(folders)) == 1:
        found.folder = folders[0]
        if found.folder:
            found.notes.append(
                f"Files are in the folder {found.folder!r}, so their names "
                "are read from there."
            )
        return
    found.folder = ""
    for name in names:
        found.columns[name] = Strings.of(
            value and join(folders[table], value)
            for value, table in zip(found.columns[name], found.origins.tables)
        )
    found.notes.append(_note([table.name for table, _ in parts], folders))


def _parts(
    found: Found, names: Sequence[str]
) -> Iterator[tuple[Path, list[Strings]]]:
    """The tables, each with its columns of names of files."""
    columns = [found.columns[name] for name in names]
    if found.origins is None:
        yield Path(), columns
        return
    for number, table in enumerate(found.origins.files):
        rows = (found.origins.tables == number).nonzero()[0]
        alone = len(rows) == len(found)
        yield table, columns if alone else [c.take(rows) for c in columns]


def _in_order(folders: Sequence[str], table: Path) -> list[str]:
    """Folders in the order in which they are tried.

    Files may be numbered alike in the folders of two splits: the one that is
    named as the table, or for its split, comes first; those that are named for
    another split come last.
    """
    split = split_of(table.name) or split_named(table.parent.name)

    def distance(folder: str) -> int:
        if folder == table.stem:
            return 0
        if split is None:
            return 3
        if split_named(folder) == split:
            return 1
        named = {*map(split_of, _BETWEEN.split(folder))} - {None}
        return 2 if split in named else 4 if named else 3

    return sorted(folders, key=distance)


def _folder(
    root: Path, folders: Sequence[str], columns: Sequence[Strings]
) -> str | None:
    """The folder that has most of the first files: the root, or one in it.

    Returns:
        Its name, `""` for the root; None if all files are missing.
    """
    names = [
        name.replace("\\", "/")
        for column in columns
        for name in itertools.islice(column.values(), TRIED)
    ]
    # Others are refused later; here they would be looked for elsewhere.
    names = [
        name
        for name in names
        if "\0" not in name and ".." not in name and not name.startswith("/")
    ]

    best, most = None, 0
    for folder in ("", *folders):
        # Not `Path.is_file`, which raises where permission is missing: that is
        # for the row to say.
        hits = sum(os.path.isfile(root / folder / name) for name in names)  # noqa: PTH113
        if hits > most:
            best, most = folder, hits
        if most == len(names):
            break
    return best


def _note(tables: Sequence[str], folders: Sequence[str]) -> str:
    """What to say of tables that have their files in different folders."""
    places = [
        f"of {paths.shown(table)!r} {'in' if number else 'are in the folder'} "
        f"{paths.shown(folder) or '.'!r}"
        for number, (table, folder) in enumerate(zip(tables, folders))
    ]
    more = ", and so on" if len(places) > SHOWN else ""
    return (
        f"Files {', '.join(places[:SHOWN])}{more}, so their names are read "
        "from there."
    )


def _folders_in(root: Path) -> list[str]:
    try:
        with os.scandir(root) as entries:
            names = sorted(
                entry.name
                for entry in entries
                if entry.is_dir(follow_symlinks=False)
                and not paths.is_hidden(entry.name)
            )
    except OSError as error:
        raise unreadable(root, error) from error
    return names[:FOLDERS]
