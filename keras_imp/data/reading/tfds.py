"""Folders that TensorFlow Datasets prepared: TFRecord files and class names.

https://www.tensorflow.org/datasets/external_tfrecord
"""

import re
from collections.abc import Sequence
from pathlib import Path

from keras_imp.data import paths
from keras_imp.data.reading.aliases import split_named
from keras_imp.data.reading.delimited import Options
from keras_imp.data.reading.errors import ReadError, unreadable
from keras_imp.data.reading.found import Found
from keras_imp.data.reading.scan import files_in, folders_in
from keras_imp.data.reading.tfrecord import Shard, read_tfrecords

FEATURES = "features.json"
CLASSES = ".labels.txt"
# "mnist-train.tfrecord-00000-of-00001", "train.tfrecord", "train-01.tfrecords".
_NAME = re.compile(
    r"(?:.*-)?(?P<split>[A-Za-z]+)(?:[-_]\d+(?:-of-\d+)?)?"
    r"\.tfrecords?(?:-\d+-of-\d+)?"
)
# Folders of versions are below that of the data set, those of variants between.
DEPTH = 2


def is_tfrecord(name: str) -> bool:
    """Whether a file is one of TFRecords, by its name.

    Example:
        >>> from keras_imp.data.reading.tfds import is_tfrecord
        >>> is_tfrecord("mnist-train.tfrecord-00000-of-00001")
        True
    """
    return ".tfrecord" in name


def shards_of(folder: Path, names: Sequence[str]) -> list[Shard]:
    """Files of TFRecords, with the splits that their names say.

    Args:
        folder: Their folder.
        names: Names of files in it.

    Returns:
        The files.
    """
    shards = []
    for name in filter(is_tfrecord, names):
        match = _NAME.fullmatch(name)
        split = split_named(match["split"]) if match else None
        shards.append(Shard(folder / name, split))
    return shards


def prepared_in(root: paths.Root) -> str | None:
    """The folder in a folder that TensorFlow Datasets prepared.

    Args:
        root: A folder: that of the data set, of a variant or of a version.

    Returns:
        Its path in `root`, `""` for `root` itself; None if there is none.

    Raises:
        ReadError: If there are several.
    """
    level = [""]
    for _ in range(DEPTH + 1):
        found = [folder for folder in level if _has_features(root, folder)]
        if len(found) > 1:
            raise ReadError(
                "columns",
                "A folder must have one version of a data set.",
                "Read the folder of one of them.",
                path=paths.shown(root.root),
                versions=found,
            )
        if found:
            return found[0]
        level = [
            f"{folder}/{name}".strip("/")
            for folder in level
            for name in folders_in(root, folder)[:50]
        ]
    return None


def _has_features(root: paths.Root, folder: str) -> bool:
    try:
        return (root.root / folder / FEATURES).is_file()
    except OSError as error:
        # Named by its folder: that file need not be there.
        raise unreadable(root.root / folder, error) from error


def read_prepared(root: paths.Root, folder: str, options: Options) -> Found:
    """Read a data set that TensorFlow Datasets prepared.

    Args:
        root: The folder that was asked for.
        folder: That of the version, a path in it.
        options: How to read it.

    Returns:
        Its columns.

    Raises:
        ReadError: If it has no TFRecord files, or they cannot be read.
    """
    names = files_in(root, folder)
    here = root.root / folder
    shards = shards_of(here, names)
    if not shards:
        raise ReadError(
            "unsupported",
            "Of TensorFlow Datasets, TFRecord files are read.",
            "Prepare the data set with file_format='tfrecord'.",
            path=paths.shown(here),
            files=names[:10],
        )
    classes = {
        name.removesuffix(CLASSES): (here / name).read_text("utf-8").split("\n")
        for name in names
        if name.endswith(CLASSES)
    }
    # A line end closes the last class.
    classes = {
        name: lines[:-1] if lines[-1] == "" else lines
        for name, lines in classes.items()
    }
    return read_tfrecords(shards, options, classes, "TensorFlow Datasets")
