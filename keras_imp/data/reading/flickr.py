"""Flickr8k: `image.jpg#0`, a tab and a caption in each line.

Hodosh, Young and Hockenmaier (2013), https://doi.org/10.1613/jair.3994.
"""

import re
from array import array
from pathlib import Path

import numpy as np

from keras_imp.data.manifest.columns import Lists, Strings
from keras_imp.data.manifest.origins import Origins
from keras_imp.data.reading.aliases import split_named
from keras_imp.data.reading.delimited import (
    Options,
    check_no_columns,
    empty,
    encoding_of,
    undecodable,
)
from keras_imp.data.reading.errors import ReadError
from keras_imp.data.reading.found import Found

TOKENS = "Flickr8k.token.txt"
_LINE = re.compile(r"([^\t]+)#\d+\t(.*)")
# Lists of the images of a split, as they come with the captions.
_LIST = re.compile(r"Flickr_8k\.(\w+?)Images\.txt")


def is_flickr8k(path: Path) -> bool:
    """Whether the first line of a text file is one of captions of Flickr8k."""
    if path.suffix.lower() != ".txt":
        return False
    with path.open("rb") as file:
        first = file.readline(4096).decode("utf-8", "replace")
    return _LINE.match(first) is not None


def read_flickr8k(path: Path, options: Options) -> Found:
    """Read captions of Flickr8k, one row per image.

    Args:
        path: The file of captions. Lists of splits beside it, such as
            `Flickr_8k.trainImages.txt`, give the column `split`.
        options: How to read it; it has no other columns.

    Returns:
        Its columns.

    Raises:
        ReadError: If a line has another form, or columns are wanted.
    """
    captions: dict[str, list[str]] = {}
    lines = array("q")
    check_no_columns(path, options)
    encoding = options.encoding or encoding_of(path)
    try:
        with path.open(encoding=encoding) as file:
            for number, line in enumerate(file, 1):
                if line.isspace():
                    continue
                name, caption = _parts(line, path, number)
                if name not in captions:
                    captions[name] = []
                    lines.append(number)
                captions[name].append(caption)
    except UnicodeError as error:
        raise undecodable(path, encoding) from error
    if not captions:
        raise empty(path)
    columns = {
        "image": Strings.of(captions),
        "text": Lists.of(captions.values()),
    }
    named = {"image": "before '#'", "text": "after the tab"}
    if splits := _splits(path.parent):
        columns["split"] = Strings.of(splits.get(name) for name in captions)
        named["split"] = "lists of images"
    origins = Origins([path], np.frombuffer(lines, "int64"))
    return Found("Flickr8k captions", columns, named, origins=origins)


def _parts(line: str, path: Path, number: int) -> tuple[str, str]:
    match = _LINE.match(line.strip())
    if match is None:
        raise ReadError(
            "syntax",
            "Every line must be 'image.jpg#0', a tab and a caption.",
            path=str(path),
            line=number,
        )
    return match[1], match[2]


def _splits(folder: Path) -> dict[str, str]:
    """Split of each image that a list beside the captions names."""
    found = {}
    for path in sorted(folder.glob("Flickr_8k.*Images.txt")):
        match = _LIST.fullmatch(path.name)
        split = split_named(match[1]) if match else None
        if split is not None:
            for name in path.read_text("utf-8").split():
                found[name] = split
    return found
