"""From values or a reader's columns to the checked columns of a manifest."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_imp.data import paths
from keras_imp.data.manifest.columns import Strings
from keras_imp.data.manifest.folders import find_folders
from keras_imp.data.manifest.media import OUTSIDE, Files, Members
from keras_imp.data.manifest.origins import Where
from keras_imp.data.reading.aliases import (
    COLUMNS,
    CONTENT,
    MEDIA,
    split_named,
)
from keras_imp.data.reading.errors import ReadError
from keras_imp.data.reading.found import Found, RowsBuilder
from keras_imp.data.reading.matching import nearest

if TYPE_CHECKING:
    from keras_imp.data.manifest.manifest import Manifest


def from_values(columns: Mapping[str, Sequence[Any]]) -> Found:
    """Columns of Python values.

    Args:
        columns: Values by column.

    Returns:
        The columns.

    Raises:
        ReadError: If a column is unknown, lengths differ, there are no rows,
            or values are of the wrong kind.
    """
    for name in columns:
        if name not in COLUMNS:
            raise ReadError(
                "columns",
                "A manifest has no such column.",
                nearest(name, COLUMNS),
                column=name,
            )
    if not set(columns) & {*MEDIA, "text"}:
        raise ReadError(
            "columns",
            "A manifest needs a column of images, videos, audio or texts.",
            columns=list(columns),
        )
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) != 1:
        raise ReadError(
            "columns", "Columns must be of one length.", lengths=lengths
        )
    if not all(lengths.values()):
        raise ReadError("empty", "A manifest must have rows.", lengths=lengths)
    builder = RowsBuilder(columns)
    for row, values in enumerate(zip(*columns.values())):
        builder.append(dict(zip(columns, values)), row, Path("columns"))
    named = dict.fromkeys(columns, "an argument")
    return Found("columns", builder.finish()[0], named, folder="")


def with_files(
    found: Found, root: Path, links: Sequence[str | os.PathLike]
) -> dict[str, Any]:
    """The columns of a reader, with names of files as files in a folder.

    Every file is looked at, none is opened.

    Args:
        found: What a reader found; a note on the folder is added.
        root: Folder of the data.
        links: Folders outside that links may lead to.

    Returns:
        Columns by name.
    """
    _name_splits(found)
    names = [
        name for name in MEDIA if isinstance(found.columns.get(name), Strings)
    ]
    if names and found.folder is None:
        find_folders(found, root, names)
    columns = dict(found.columns)
    prefix = f"{found.folder}/" if found.folder else ""
    folder = paths.Root(root, links)
    for name in names:
        columns[name] = Files(folder, columns[name], prefix)
    return columns


def _name_splits(found: Found) -> None:
    """Call splits by one name each, such as "validation" for "val"."""
    column = found.columns.get("split")
    if column is None:
        return
    called = {
        value: name
        for value in set(column.values())
        if (name := split_named(value)) and name != value
    }
    if called:
        found.columns["split"] = Strings.of(
            value and called.get(value, value) for value in column
        )
        pairs = [f"{old!r} as {new!r}" for old, new in sorted(called.items())]
        found.notes.append(f"Splits are read so: {', '.join(pairs)}.")


def check_inside(manifest: "Manifest") -> None:
    """Refuse a manifest with a path that leaves the folder of the data.

    Raises:
        ReadError: With all such paths as `faults`.
    """
    faults = []
    for name in manifest.columns:
        column = manifest.column(name)
        if isinstance(column, Files):
            for row in (column.states == OUTSIDE).nonzero()[0]:
                place = manifest.where(row)
                faults.append(f"{place}: {paths.shown(column[row] or '')}")
    if faults:
        raise ReadError(
            "outside",
            "Files must be in the folder of the data: no absolute paths, no "
            "'..', no links that leave it, no URLs.",
            "Name the folder that has all of them, root=..., and write paths "
            "from there; links=[...] allows links into other folders.",
            root=paths.shown(manifest.root),
            faults=faults,
        )


def where_file_is(manifest: "Manifest", row: int) -> Where:
    """Where a row comes from that no table has: its first file."""
    for name in CONTENT:
        column = manifest.column(name) if name in manifest.columns else None
        if column is None or column[row] is None:
            continue
        if isinstance(column, Members):
            return Where(column.archive_of(row), "member", column[row] or "")
        if isinstance(column, Files):
            return Where(column.root.root / column.path_of(row))
    return Where(manifest.root, "row", row + 1)
