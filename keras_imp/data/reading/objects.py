"""JSON: lines of objects, a list of objects, or the captions of COCO."""

import json
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_imp.data.manifest.columns import ListsBuilder, StringsBuilder
from keras_imp.data.manifest.origins import Origins
from keras_imp.data.reading.delimited import (
    Options,
    check_no_columns,
    empty,
    encoding_of,
    undecodable,
    unused_note,
)
from keras_imp.data.reading.errors import ReadError
from keras_imp.data.reading.found import Found, RowsBuilder
from keras_imp.data.reading.matching import match


def read_json_lines(path: Path, options: Options) -> Found:
    """Read a file with one JSON object per line.

    Args:
        path: The file.
        options: How to read it.

    Returns:
        Its columns. Rows need not have the same keys.

    Raises:
        ReadError: If a line is no JSON object, it is not in its encoding, or
            its columns are not known.
    """
    encoding = options.encoding or encoding_of(path)
    try:
        # Twice through the file, so that memory holds the chosen columns only:
        # any line may be the first to have a key.
        return collect(
            lambda: _lines(path, encoding), path, options, "JSON Lines", "line"
        )
    except UnicodeError as error:
        raise undecodable(path, encoding) from error


def read_json(path: Path, options: Options) -> Found:
    """Read a JSON file: a list of objects, or the captions of COCO.

    Args:
        path: The file; it is read as a whole.
        options: How to read it.

    Returns:
        Its columns.

    Raises:
        ReadError: If it is no JSON, or of another form.
    """
    encoding = options.encoding or encoding_of(path)
    try:
        data = json.loads(path.read_text(encoding))
    except UnicodeError as error:
        raise undecodable(path, encoding) from error
    except (ValueError, RecursionError) as error:
        # One object per line is often named .json too.
        if "Extra data" in str(error):
            return read_json_lines(path, options)
        raise _no_json(path, getattr(error, "lineno", 1), error) from error
    if isinstance(data, Mapping) and {"images", "annotations"} <= set(data):
        check_no_columns(path, options)
        return _coco(path, data)
    if isinstance(data, list):
        return collect(
            lambda: enumerate(data, 1), path, options, "JSON list", "entry"
        )
    raise ReadError(
        "columns",
        "A JSON file must be a list of objects, or COCO captions with 'images' "
        "and 'annotations'.",
        path=str(path),
        found=list(data)[:10] if isinstance(data, Mapping) else str(data)[:60],
    )


def collect(
    objects: Any, path: Path, options: Options, layout: str, unit: str
) -> Found:
    """Columns of objects.

    Args:
        objects: Called twice; returns numbers and objects.
        path: File to name in errors.
        options: How to read them.
        layout: What the file is, in words.
        unit: What the numbers count.

    Returns:
        The columns.

    Raises:
        ReadError: If there are none, one is no object, or the columns are not
            known.
    """
    names: dict[str, list[str]] = {}
    for number, each in objects():
        if not isinstance(each, Mapping):
            raise ReadError(
                "syntax",
                "Every row must be a JSON object.",
                **{
                    "path": str(path),
                    unit: number,
                    "type": type(each).__name__,
                },
            )
        for name, value in each.items():
            sample = names.setdefault(name, [])
            if isinstance(value, str) and len(sample) < 200:
                # Endings of files are at the end; texts may be long.
                sample.append(value[-80:])
    if not names:
        raise empty(path)
    found = match(list(names), names.__getitem__, options.wanted, str(path))
    builder = RowsBuilder(found.columns, options.label_separator)
    for number, each in objects():
        builder.append(_chosen(each, found.columns), number, path)
    columns, numbers = builder.finish()
    named = {c: ", ".join(map(repr, n)) for c, n in found.columns.items()}
    return Found(
        layout,
        columns,
        named,
        unused_note(found.unused),
        Origins([path], numbers, unit),
    )


def _chosen(
    each: Mapping[str, Any], columns: Mapping[str, tuple[str, ...]]
) -> dict[str, Any]:
    return {
        column: each.get(names[0])
        if len(names) == 1
        else [each.get(name) for name in names]
        for column, names in columns.items()
    }


def _lines(path: Path, encoding: str) -> Iterator[tuple[int, Any]]:
    # Only "\n" ends a line: others may stand in texts.
    with path.open(encoding=encoding, newline="\n") as file:
        for number, line in enumerate(file, 1):
            if line.isspace():
                continue
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                raise _no_json(path, number, error) from error


def _no_json(path: Path, line: int, error: Exception) -> ReadError:
    return ReadError(
        "syntax",
        "The file must be JSON.",
        f"{getattr(error, 'msg', error)}.",
        path=str(path),
        line=line,
    )


def _coco(path: Path, data: Mapping[str, Any]) -> Found:
    """One row per image, with all its captions.

    https://cocodataset.org/#format-data
    """
    images = StringsBuilder()
    captions: dict[Any, list[str]] = {}
    numbers = array("q")
    for number, image in enumerate(_objects(data, "images", path), 1):
        images.append(_value(image, "file_name", path, number))
        captions[_value(image, "id", path, number)] = []
        numbers.append(number)
    if not len(images) or len(captions) < len(images):
        raise ReadError(
            "columns",
            "COCO captions must have images, each with an id of its own.",
            path=str(path),
            images=len(images),
            ids=len(captions),
        )
    unknown = []
    for number, each in enumerate(_objects(data, "annotations", path), 1):
        owner = _value(each, "image_id", path, number)
        if owner not in captions:
            unknown.append(f"annotation {number}: image_id {owner!r}")
            continue
        captions[owner].append(str(_value(each, "caption", path, number)))
    if unknown:
        raise ReadError(
            "columns",
            "Every annotation must name one of the images.",
            path=str(path),
            faults=unknown,
        )
    texts = ListsBuilder()
    for values in captions.values():
        texts.append(values)
    return Found(
        "COCO captions",
        {"image": images.finish(), "text": texts.finish()},
        {"image": "'file_name' of images", "text": "'caption' of annotations"},
        origins=Origins([path], np.frombuffer(numbers, "int64"), "image"),
    )


def _objects(data: Mapping[str, Any], name: str, path: Path) -> Iterable[Any]:
    if isinstance(data[name], list):
        return data[name]
    raise ReadError(
        "columns",
        f"{name!r} must be a list.",
        path=str(path),
        type=type(data[name]).__name__,
    )


def _value(each: Any, key: str, path: Path, number: int) -> Any:
    value = each.get(key) if isinstance(each, Mapping) else None
    if isinstance(value, str | int):
        return value
    raise ReadError(
        "columns",
        f"Every entry of COCO captions must have {key!r}.",
        path=str(path),
        entry=number,
    )
