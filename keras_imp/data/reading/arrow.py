"""Tables of Arrow: columns by batches, and bytes of one row at a time.

What Parquet files and folders of Hugging Face `datasets` share: the types of
https://arrow.apache.org/docs/python and what `datasets` writes about columns.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from keras_imp._optional import require
from keras_imp.data import paths
from keras_imp.data.decoding.errors import BadFile
from keras_imp.data.manifest.columns import StringsBuilder
from keras_imp.data.manifest.media import Embedded
from keras_imp.data.manifest.origins import Origins
from keras_imp.data.reading.aliases import MEDIA, canonical, kind_of
from keras_imp.data.reading.delimited import Options, empty, unused_note
from keras_imp.data.reading.errors import ReadError
from keras_imp.data.reading.found import Found, RowsBuilder
from keras_imp.data.reading.matching import match

# Rows that are looked at before the columns are chosen.
SAMPLE = 200
# Rows that are read at a time.
BATCH = 4096
# Parts of names of columns that hold names of files.
_NAMES = ("file", "path", "name")
# Bytes of the longest name of a file.
_LONGEST_NAME = 4096


class Rows(Protocol):
    """A table of Arrow, wherever it is stored."""

    schema: Any

    def __len__(self) -> int: ...

    def batches(
        self, columns: list[str], size: int = BATCH
    ) -> Iterator[dict[str, list[Any]]]:
        """Values of some columns, batch by batch of up to `size` rows."""

    def value(self, row: int, column: str) -> Any:
        """One value."""

    def bytes_of_row(self, column: str) -> float:
        """Bytes of a value of a column of bytes, in the mean of the first."""


def read_rows(rows: Rows, path: Path, options: Options, layout: str) -> Found:
    """Read the columns of a manifest from a table of Arrow.

    Args:
        rows: The table.
        path: What to name in errors.
        options: How to read it.
        layout: What the table is, in words.

    Returns:
        Its columns.

    Raises:
        ReadError: If it has no rows, its columns are not known, or values are
            of the wrong kind or not in the encoding.
    """
    names = list(rows.schema.names)
    stored = {name: _bytes_in(rows.schema.field(name)) for name in names}
    looked_at = [
        n for n in names if stored[n] is None or _may_name(n, stored, rows)
    ]
    first = next(rows.batches(looked_at, SAMPLE), {})

    def sample(name: str) -> list[str]:
        values = map(_short_text, first.get(name, []))
        return [value for value in values if value is not None]

    found = match(names, sample, options.wanted, str(path))
    chosen = found.columns
    embedded = {
        column: name[0]
        for column, name in chosen.items()
        if column in MEDIA and stored[name[0]] is not None
        # Bytes may be the names of files, without the mark of UTF-8.
        if not any(kind_of(value) in MEDIA for value in sample(name[0]))
    }
    columns = _columns(rows, chosen, embedded, stored, path, options)
    return Found(
        layout,
        columns[0],
        {c: ", ".join(map(repr, n)) for c, n in chosen.items()},
        unused_note(found.unused),
        Origins([path], columns[1], "row"),
        "" if set(MEDIA) & set(chosen) == set(embedded) else None,
    )


def _columns(
    rows: Rows,
    chosen: Mapping[str, tuple[str, ...]],
    embedded: Mapping[str, str],
    stored: Mapping[str, str | None],
    path: Path,
    options: Options,
) -> tuple[dict[str, Any], np.ndarray]:
    builder = RowsBuilder(
        [name for name in chosen if name not in embedded],
        options.label_separator,
    )
    names_of_files = {column: StringsBuilder() for column in embedded}
    classes = _class_names(rows.schema)
    encoding = options.encoding or "utf-8"
    for row in _dicts(rows, _read_columns(chosen, stored, embedded)):
        number = len(builder) + 1
        try:
            values = _row(row, chosen, classes, encoding)
        except UnicodeDecodeError as error:
            raise _undecodable(path, number, encoding, error) from error
        for column, name in embedded.items():
            names_of_files[column].append(_shown_name(row, name, number))
        builder.append(values, number, path)
    if not len(builder):
        raise empty(path)
    columns, numbers = builder.finish()
    for column, name in embedded.items():
        columns[column] = Embedded(
            names_of_files[column].finish(),
            _reader(rows, name, path),
            np.arange(len(builder)),
        )
    return columns, numbers


def _bytes_in(field: Any) -> str | None:
    """Where bytes of files are in a column; None if it has none.

    Returns:
        `""` for a column of bytes, `"bytes"` for the pairs of bytes and path
        that `datasets` writes.
    """
    types = require("pyarrow.types", extra="parquet")
    kind = field.type
    if types.is_binary(kind) or types.is_large_binary(kind):
        return ""
    if types.is_struct(kind) and {"bytes", "path"} == {f.name for f in kind}:
        return "bytes"
    return None


def _may_name(name: str, stored: Mapping[str, str | None], rows: Rows) -> bool:
    """Whether a column of bytes may hold names of files.

    By its own name, and by the size of what it holds. Others are not looked
    at: to read one of images takes long.
    """
    return (
        stored[name] == ""
        and any(part in canonical(name) for part in _NAMES)
        and rows.bytes_of_row(name) <= _LONGEST_NAME
    )


def _short_text(value: Any) -> str | None:
    """A value as text, if it may be the name of a file."""
    if isinstance(value, bytes) and len(value) <= _LONGEST_NAME:
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None


def _read_columns(
    chosen: Mapping[str, tuple[str, ...]],
    stored: Mapping[str, str | None],
    embedded: Mapping[str, str],
) -> list[str]:
    """Columns to go through: of files only the paths, not the bytes."""
    names = [name for group in chosen.values() for name in group]
    return [
        f"{name}.path" if stored[name] == "bytes" else name
        for name in names
        if stored[name] != "" or name not in embedded.values()
    ]


def _dicts(rows: Rows, columns: list[str]) -> Iterator[dict[str, Any]]:
    """Rows with some columns, or with none if there is nothing to go through.

    Batches without columns would not say how many rows they have.
    """
    if not columns:
        yield from ({} for _ in range(len(rows)))
        return
    for batch in rows.batches(columns):
        for values in zip(*batch.values()):
            yield dict(zip(batch, values))


def _row(
    row: Mapping[str, Any],
    chosen: Mapping[str, tuple[str, ...]],
    classes: Mapping[str, list[str]],
    encoding: str,
) -> dict[str, Any]:
    found = {}
    for column, names in chosen.items():
        values = [_value(row.get(n), classes.get(n), encoding) for n in names]
        found[column] = values[0] if len(names) == 1 else values
    return found


def _value(value: Any, classes: list[str] | None, encoding: str) -> Any:
    """Names of classes for their numbers, texts for bytes.

    -1 stands for no label. Bytes are texts that some programs write without
    the mark of UTF-8, such as Hive and Impala.
    """
    if isinstance(value, list):
        return [_value(each, classes, encoding) for each in value]
    if isinstance(value, bytes):
        return value.decode(encoding)
    if classes is None or value is None:
        return value
    return classes[value] if 0 <= value < len(classes) else None


def _class_names(schema: Any) -> dict[str, list[str]]:
    """Names of classes by column, as `datasets` writes them."""
    try:
        text = (schema.metadata or {}).get(b"huggingface", b"{}")
        features = json.loads(text).get("info", {}).get("features", {})
    except (ValueError, AttributeError):
        # Written by another program under the same key.
        return {}
    found = {}
    for name, feature in features.items():
        inner = feature.get("feature") if isinstance(feature, dict) else None
        for each in (feature, inner):
            if isinstance(each, dict) and each.get("_type") == "ClassLabel":
                found[name] = [str(label) for label in each.get("names", [])]
    return found


def _shown_name(row: Mapping[str, Any], name: str, number: int) -> str | None:
    if name not in row:
        return f"row {number}"
    value = row[name]
    if value is None:
        return None
    return value.get("path") or f"row {number}"


def _reader(rows: Rows, name: str, path: Path) -> Callable[[int], bytes]:
    def read(row: int) -> bytes:
        value = rows.value(row, name)
        data = value.get("bytes") if isinstance(value, dict) else value
        if not data:
            shown = f"{paths.shown(path)}, row {row + 1}"
            raise BadFile("empty", shown)
        return data

    return read


def _undecodable(
    path: Path, row: int, encoding: str, error: UnicodeDecodeError
) -> ReadError:
    return ReadError(
        "encoding",
        f"Texts of the table must be in {encoding.upper()}.",
        "Name their encoding, as in encoding='latin-1', or save them as UTF-8.",
        path=paths.shown(path),
        row=row,
        byte=hex(error.object[error.start]),
    )


def open_arrow(call: Callable[[], Any], path: Path, *errors: type) -> Any:
    """Open a file with `pyarrow`, or say that it is damaged.

    Args:
        call: Opens it.
        path: The file.
        *errors: What else the call may raise.

    Returns:
        What the call returns.

    Raises:
        ReadError: If `pyarrow` cannot read the file.
    """
    library = require("pyarrow", extra="parquet")
    try:
        return call()
    except (library.ArrowInvalid, library.ArrowIOError, *errors) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise ReadError(
            "syntax",
            "The file must be a whole file of its format.",
            f"{error}.",
            path=paths.shown(path),
        ) from error


def lists(batches: Iterable[Any]) -> Iterator[dict[str, list[Any]]]:
    """Batches of Arrow as Python values by column."""
    for batch in batches:
        yield {
            name: batch.column(at).to_pylist()
            for at, name in enumerate(batch.schema.names)
        }
