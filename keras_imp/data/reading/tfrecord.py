"""TFRecord files of `tf.train.Example`, without TensorFlow.

A file is gone through once for the place of the bytes of each image, video and
audio; then any row is one read. The two formats are short:
https://www.tensorflow.org/tutorials/load_data/tfrecord for the records, and
https://protobuf.dev/programming-guides/encoding for what is in them.
"""

import itertools
import mmap
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_imp.data import paths
from keras_imp.data.manifest.columns import Strings
from keras_imp.data.manifest.origins import Origins
from keras_imp.data.reading.aliases import MEDIA
from keras_imp.data.reading.delimited import Options, empty, unused_note
from keras_imp.data.reading.errors import ReadError
from keras_imp.data.reading.found import Found, RowsBuilder, unused_splits
from keras_imp.data.reading.matching import match
from keras_imp.data.reading.protobuf import (
    Span,
    fields,
    messages,
    packed,
    varint,
)
from keras_imp.data.reading.samples import Place, PlacesBuilder

# Records that are looked at before the columns are chosen.
SAMPLE = 200
_LENGTH = struct.Struct("<QI")
_CRC_BYTES = 4


class Shard(NamedTuple):
    """One file of several.

    Attributes:
        path: The file.
        split: Its split, if its name says so.
    """

    path: Path
    split: str | None = None


# The values of a feature: places of bytes, or numbers.
Feature = list[Span] | list[int] | list[float]


def read_tfrecords(
    shards: Sequence[Shard],
    options: Options,
    classes: Mapping[str, Sequence[str]] | None = None,
    layout: str = "TFRecord",
) -> Found:
    """Read the columns of a manifest from files of examples.

    Args:
        shards: The files.
        options: How to read them.
        classes: Names of the classes by feature, where they are numbers.
        layout: What the files are, in words.

    Returns:
        The columns. Files are bytes in the records.

    Raises:
        ReadError: If a file is damaged or compressed, there are no records,
            columns are not known, or values are of the wrong kind.
    """
    reader = _Reader(shards)
    names: dict[str, None] = {}
    for _, _, features in itertools.islice(reader.examples(), SAMPLE):
        names |= dict.fromkeys(features)
    if not names:
        raise empty(shards[0].path)
    place = str(shards[0].path)
    found = match(list(names), lambda name: [], options.wanted, place)
    columns, origins = _collect(reader, found.columns, classes or {}, options)
    named = {c: ", ".join(map(repr, n)) for c, n in found.columns.items()}
    notes = unused_note(found.unused)
    if "split" not in columns:
        notes += unused_splits({s.path.name: s.split for s in shards})
        if all(shard.split for shard in shards):
            columns["split"] = Strings.of(
                shards[int(number)].split for number in origins[1]
            )
            named["split"] = "name of the file"
    files = [shard.path for shard in shards]
    return Found(
        layout if len(files) == 1 else f"{layout}, {len(files)} files",
        columns,
        named,
        notes,
        Origins(files, origins[0], "record", origins[1]),
        folder="",
    )


def _collect(
    reader: "_Reader",
    chosen: Mapping[str, tuple[str, ...]],
    classes: Mapping[str, Sequence[str]],
    options: Options,
) -> tuple[dict[str, Any], tuple[np.ndarray, np.ndarray]]:
    media = {c: names[0] for c, names in chosen.items() if c in MEDIA}
    places = {column: PlacesBuilder() for column in media}
    builder = RowsBuilder(
        [name for name in chosen if name not in MEDIA], options.label_separator
    )
    shards_of_rows = []
    for shard, record, features in reader.examples():
        path = reader.shards[shard].path
        for column, name in media.items():
            places[column].append(
                reader.place(features.get(name, []), shard, record, column)
            )
        row = {
            column: reader.values(features, names, shard, record, classes)
            for column, names in chosen.items()
            if column not in MEDIA
        }
        builder.append(row, record, path)
        shards_of_rows.append(shard)
    columns, records = builder.finish()
    files = [shard.path for shard in reader.shards]
    for column, found in places.items():
        columns[column] = found.members(files)
    return columns, (records, np.array(shards_of_rows, "int32"))


class _Reader:
    """Examples of several files, mapped into memory."""

    def __init__(self, shards: Sequence[Shard]):
        self.shards = list(shards)
        self._maps: dict[int, mmap.mmap | bytes] = {}

    def examples(self) -> Iterator[tuple[int, int, dict[str, Feature]]]:
        """Index of the file, number of the record, and features by name."""
        for shard, (path, _) in enumerate(self.shards):
            data = self._map(shard)
            for record, span in enumerate(_records(data, path), 1):
                try:
                    yield shard, record, _features(data, span)
                except (IndexError, ValueError, struct.error) as error:
                    raise _damaged(path, record, "no example") from error

    def _map(self, shard: int) -> mmap.mmap | bytes:
        if shard not in self._maps:
            path = self.shards[shard].path
            with path.open("rb") as file:
                # An empty file cannot be mapped.
                empty_file = path.stat().st_size == 0
                self._maps[shard] = (
                    b""
                    if empty_file
                    else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                )
        return self._maps[shard]

    def place(
        self, feature: Feature, shard: int, record: int, column: str
    ) -> Place | None:
        """Where the bytes of a file are."""
        spans = [each for each in feature if isinstance(each, Span)]
        if len(spans) != len(feature) or len(feature) > 1:
            raise ReadError(
                "unsupported",
                f"The column {column!r} must have the bytes of one file.",
                "Samples, frames and pixels are read by their own package.",
                path=paths.shown(self.shards[shard].path),
                record=record,
                values=len(feature),
            )
        if not spans or spans[0].end == spans[0].start:
            return None
        start, end = spans[0]
        return Place(f"record {record}", shard, start, end - start)

    def values(
        self,
        features: Mapping[str, Feature],
        names: Sequence[str],
        shard: int,
        record: int,
        classes: Mapping[str, Sequence[str]],
    ) -> Any:
        """One value, a list of several, or None."""
        data = self._map(shard)
        try:
            found = [
                _value(data, each, classes.get(name))
                for name in names
                for each in features.get(name, [])
            ]
        except UnicodeDecodeError as error:
            raise ReadError(
                "encoding",
                "Texts of examples must be UTF-8.",
                path=paths.shown(self.shards[shard].path),
                record=record,
                byte=hex(error.object[error.start]),
            ) from error
        return found if len(found) > 1 else next(iter(found), None)


def _value(data: Any, each: Any, classes: Sequence[str] | None) -> Any:
    if isinstance(each, Span):
        return data[each.start : each.end].decode("utf-8")
    if classes is not None and isinstance(each, int):
        return classes[each] if 0 <= each < len(classes) else None
    return each


def _records(data: Any, path: Path) -> Iterator[Span]:
    """Where the records of a file are."""
    if data[:2] == b"\x1f\x8b":
        raise ReadError(
            "unsupported",
            "Rows must be read in any order, so packed files are not read.",
            "Unpack it with gunzip.",
            path=paths.shown(path),
        )
    at, number = 0, 0
    while at < len(data):
        number += 1
        header = data[at : at + _LENGTH.size]
        if len(header) < _LENGTH.size:
            raise _damaged(path, number, "it is cut short")
        length, check = _LENGTH.unpack(header)
        if _masked_crc(header[:8]) != check:
            raise _damaged(path, number, "its length does not fit its checksum")
        start = at + _LENGTH.size
        at = start + length + _CRC_BYTES
        if at > len(data):
            raise _damaged(path, number, "it is cut short")
        yield Span(start, start + length)


def _features(data: Any, span: Span) -> dict[str, Feature]:
    """The features of an example, by name."""
    found: dict[str, Feature] = {}
    for features in messages(data, span, 1):
        for entry in messages(data, features, 1):
            (key,) = messages(data, entry, 1)
            name = data[key.start : key.end].decode()
            found[name] = []
            for feature in messages(data, entry, 2):
                found[name] = _feature(data, feature)
    return found


def _feature(data: Any, span: Span) -> Feature:
    """The values of a feature: bytes, floats or integers."""
    for kind, inner in fields(data, span):
        if kind not in _VALUES or not isinstance(inner, Span):
            raise ValueError("A feature is bytes, floats or integers.")
        values = (value for number, value in fields(data, inner) if number == 1)
        return [each for value in values for each in _VALUES[kind](data, value)]
    return []


def _places(data: Any, value: Any) -> list[Span]:
    if isinstance(value, Span):
        return [value]
    raise ValueError("Bytes have a length.")


# What a feature holds, by the number of its field.
_VALUES: dict[int, Callable[[Any, Any], list]] = {
    1: _places,
    2: packed("<f"),
    3: varint,
}


def _table() -> list[int]:
    """CRC-32C of one byte each; `zlib.crc32` has another polynomial."""
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


_CRC = _table()


def _masked_crc(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _damaged(path: Path, record: int, cause: str) -> ReadError:
    return ReadError(
        "truncated",
        "The file must be whole TFRecords of tf.train.Example.",
        f"A record cannot be read: {cause}.",
        path=paths.shown(path),
        record=record,
    )
