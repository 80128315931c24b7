"""Which layout a folder has: known ones, tables, shards, then plain files."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from keras_imp.data import paths
from keras_imp.data.manifest.columns import Strings
from keras_imp.data.reading.aliases import MEDIA, split_named, split_of
from keras_imp.data.reading.delimited import Options, read_delimited
from keras_imp.data.reading.errors import ReadError
from keras_imp.data.reading.flickr import TOKENS, read_flickr8k
from keras_imp.data.reading.folder import has_media, read_files
from keras_imp.data.reading.found import Found, unused_splits
from keras_imp.data.reading.found import join as join_parts
from keras_imp.data.reading.hugging_face import is_saved, read_saved
from keras_imp.data.reading.scan import files_in, folders_in, join
from keras_imp.data.reading.tar import read_tar
from keras_imp.data.reading.tfds import prepared_in, read_prepared, shards_of
from keras_imp.data.reading.tfrecord import read_tfrecords

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
METADATA = tuple(f"metadata{suffix}" for suffix in TABLES)
ESC50 = "meta/esc50.csv"
_COCO = re.compile(r"captions_(\w+)\.json")

Reader = Callable[[Path, Options], Found]


class Part(NamedTuple):
    """One table of several.

    Attributes:
        path: The table, as a path in the folder of the data.
        split: Its split, if its name or folder says so.
        folder: Where its files are, as a path in the folder of the data.
    """

    path: str
    split: str | None = None
    folder: str = ""


def read_folder(root: paths.Root, options: Options, read_file: Reader) -> Found:
    """Read a folder.

    Args:
        root: The folder.
        options: How to read it.
        read_file: Reads a table.

    Returns:
        Columns; names of files are paths in `root`.

    Raises:
        ReadError: If nothing in it can be read.
    """
    files = files_in(root)
    for layout in (_known, _sharded):
        found = layout(root, files, options, read_file)
        if found is not None:
            return found
    if tables := [name for name in files if name.endswith(TABLES)]:
        return _tables(root, tables, options, read_file)
    return read_files(root, options)


def _known(
    root: paths.Root, files: Sequence[str], options: Options, read_file: Reader
) -> Found | None:
    """Layouts that a file of a certain name tells."""
    if is_saved(root.root):
        return read_saved(root.root, options)
    for layout in (_metadata, _coco):
        if parts := layout(root, files):
            return _read_parts(root, parts, options, read_file)
    if (root.root / ESC50).is_file():
        return _esc50(root, options)
    if TOKENS in files:
        return read_flickr8k(root.root / TOKENS, options)
    return None


def _sharded(
    root: paths.Root, files: Sequence[str], options: Options, read_file: Reader
) -> Found | None:
    """Archives, Parquet files and TFRecords: all that there are."""
    for suffix, read_shards in (
        (".tar", _read_archives),
        (".parquet", _read_parts),
    ):
        if parts := _shards(root, files, suffix):
            notes = unused_splits({part.path: part.split for part in parts})
            if notes:
                parts = [part._replace(split=None) for part in parts]
            found = read_shards(root, parts, options, read_file)
            found.notes += notes if "split" not in found.columns else []
            return found
    if (version := prepared_in(root)) is not None:
        return read_prepared(root, version, options)
    if shards := shards_of(root.root, files):
        return read_tfrecords(shards, options)
    return None


def _metadata(root: paths.Root, files: Sequence[str]) -> list[Part]:
    """A table named metadata, at the top or in each folder of a split.

    https://huggingface.co/docs/datasets/image_dataset#imagefolder
    """
    for name in METADATA:
        if name in files:
            return [Part(name)]
    return [
        Part(join(folder, name), split, folder)
        for folder in folders_in(root)
        if (split := split_named(folder))
        for name in METADATA
        if (root.root / folder / name).is_file()
    ]


def _coco(root: paths.Root, files: Sequence[str]) -> list[Part]:
    """Files of captions in `annotations`, beside a folder for each."""
    if not (root.root / "annotations").is_dir():
        return []
    parts = []
    for name in files_in(root, "annotations"):
        if match := _COCO.fullmatch(name):
            folders = (match[1], f"images/{match[1]}", "images")
            there = [f for f in folders if (root.root / f).is_dir()]
            split = split_of(match[1])
            folder = there[0] if there else match[1]
            parts.append(Part(f"annotations/{name}", split, folder))
    return parts


def _esc50(root: paths.Root, options: Options) -> Found:
    """ESC-50: pieces of one recording are a group.

    Piczak (2015), https://github.com/karolpiczak/ESC-50
    """
    found = read_delimited(root.root / ESC50, options)
    found.layout = "ESC-50"
    found.folder = "audio"
    if "split" not in found.columns:
        found.notes.append(
            "Folds can be read as splits: columns={'split': 'fold'}."
        )
    return found


def _shards(root: paths.Root, files: Sequence[str], suffix: str) -> list[Part]:
    """Files of one kind, at the top, in `data` or in folders of splits."""
    parts = [
        Part(name, split_of(name)) for name in files if name.endswith(suffix)
    ]
    for folder in folders_in(root) if not parts else ():
        split = split_named(folder)
        if split or folder == "data":
            parts += [
                Part(join(folder, name), split or split_of(name))
                for name in files_in(root, folder)
                if name.endswith(suffix)
            ]
    return parts


def _tables(
    root: paths.Root, names: Sequence[str], options: Options, read_file: Reader
) -> Found:
    """Tables at the top: one, or one per split."""
    splits = {name: split_of(name) for name in names}
    if len(names) > 1 and not all(splits.values()):
        raise ReadError(
            "columns",
            "A folder must have one table, or tables named for splits.",
            "Read one of them by its own path.",
            path=paths.shown(root.root),
            tables=list(names),
        )
    parts = [Part(name, splits[name]) for name in names]
    try:
        return _read_parts(root, parts, options, read_file)
    except ReadError as error:
        # A list of classes beside folders of images is no table of examples.
        stray = len(names) == 1 and error.reason == "columns"
        if not stray or options.columns or not has_media(root):
            raise
        found = read_files(root, options)
        found.notes.append(f"Not read: {names[0]!r}, for {error}")
        return found


def _read_archives(
    root: paths.Root, parts: Sequence[Part], options: Options, _: Reader
) -> Found:
    """Archives as one, with their splits."""
    archives = [root.root / part.path for part in parts]
    return read_tar(archives, options, [part.split for part in parts])


def _read_parts(
    root: paths.Root, parts: Sequence[Part], options: Options, read_file: Reader
) -> Found:
    """Tables as one, row after row, with their splits."""
    founds = [_read_part(root, part, options, read_file) for part in parts]
    layout = founds[0].layout
    if len(parts) > 1:
        layout = f"{len(parts)} parts of: {layout}"
    found = join_parts(founds, layout)
    if any(part.folder for part in parts):
        found.folder = ""
    return found


def _read_part(
    root: paths.Root, part: Part, options: Options, read_file: Reader
) -> Found:
    found = read_file(root.root / part.path, options)
    if part.split and "split" not in found.columns:
        found.columns["split"] = Strings.of([part.split] * len(found))
        found.named["split"] = "name of the part"
    for name in MEDIA if part.folder else ():
        column = found.columns.get(name)
        if isinstance(column, Strings):
            found.columns[name] = Strings.of(
                value and join(part.folder, value) for value in column
            )
    return found
