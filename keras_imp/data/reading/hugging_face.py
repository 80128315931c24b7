"""Folders that `datasets` wrote with `save_to_disk`, by `pyarrow`.

https://huggingface.co/docs/datasets/about_arrow
"""

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_imp._optional import require
from keras_imp.data import paths
from keras_imp.data.manifest.columns import Strings
from keras_imp.data.reading.aliases import split_named
from keras_imp.data.reading.arrow import (
    BATCH,
    SAMPLE,
    lists,
    open_arrow,
    read_rows,
)
from keras_imp.data.reading.delimited import Options
from keras_imp.data.reading.errors import ReadError
from keras_imp.data.reading.found import Found, join

STATE = "state.json"
SPLITS = "dataset_dict.json"


def is_saved(root: Path) -> bool:
    """Whether a folder was written by `save_to_disk`."""
    return (root / SPLITS).is_file() or (root / STATE).is_file()


def read_saved(root: Path, options: Options) -> Found:
    """Read a folder of `save_to_disk`: a data set, or one per split.

    Args:
        root: The folder.
        options: How to read it.

    Returns:
        Its columns. The files are mapped into memory, not read into it.

    Raises:
        ReadError: If files are missing or damaged, or columns are not known.
        ImportError: If `pyarrow` is not installed.
    """
    if not (root / SPLITS).is_file():
        return _read_one(root, options)
    splits = _json(root / SPLITS).get("splits", [])
    founds = []
    for name in splits:
        found = _read_one(root / _inside(root, name), options)
        if "split" not in found.columns:
            split = split_named(name) or name
            found.columns["split"] = Strings.of([split] * len(found))
            found.named["split"] = "folder"
        founds.append(found)
    if not founds:
        raise ReadError(
            "empty", "A data set must have splits.", path=paths.shown(root)
        )
    return join(founds, "Hugging Face data set")


def _read_one(root: Path, options: Options) -> Found:
    state = _json(root / STATE)
    if state.get("_indices_data_files") or state.get("_indices_files"):
        raise ReadError(
            "unsupported",
            "Rows must be stored in their order.",
            "Write the data set with flatten_indices() first.",
            path=paths.shown(root),
        )
    names = [each["filename"] for each in state.get("_data_files", [])]
    files = [root / _inside(root, name) for name in names]
    if not files:
        raise ReadError(
            "empty", "A data set must have files.", path=paths.shown(root)
        )
    rows = _Mapped(files)
    return read_rows(rows, root, options, "Hugging Face data set")


class _Mapped:
    """Files of Arrow as `arrow.Rows`."""

    def __init__(self, files: list[Path]):
        library = require("pyarrow", extra="parquet")

        def mapped(file: Path) -> Any:
            stream = library.ipc.open_stream(library.memory_map(str(file)))
            return stream.read_all()

        tables = [
            open_arrow(functools.partial(mapped, file), file) for file in files
        ]
        self._table = library.concat_tables(tables)
        self.schema = self._table.schema

    def __len__(self) -> int:
        return self._table.num_rows

    def batches(
        self, columns: list[str], size: int = BATCH
    ) -> Iterator[dict[str, list[Any]]]:
        # "image.path" is the part of a column that holds no bytes.
        plain = [name.removesuffix(".path") for name in columns]
        paths_only = {
            name.removesuffix(".path")
            for name in columns
            if name not in self.schema.names
        }
        table = self._table.select(plain)
        for name in paths_only:
            at = table.schema.get_field_index(name)
            table = table.set_column(at, name, _paths(table.column(name)))
        yield from lists(table.to_batches(max_chunksize=size))

    def value(self, row: int, column: str) -> Any:
        return self._table.column(column)[row].as_py()

    def bytes_of_row(self, column: str) -> float:
        first = self._table.column(column).slice(0, SAMPLE)
        return first.nbytes / max(1, len(first))


def _paths(column: Any) -> Any:
    """Pairs of bytes and path, without the bytes."""
    library = require("pyarrow", extra="parquet")
    chunks = [
        library.StructArray.from_arrays(
            [chunk.field("path")],
            names=["path"],
            mask=chunk.is_null(),
        )
        for chunk in column.chunks
    ]
    kind = library.struct([("path", library.string())])
    return library.chunked_array(chunks, type=None if chunks else kind)


def _json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ReadError(
            "syntax", "The file must be JSON.", f"{error}.", path=str(path)
        ) from error
    if isinstance(values, dict):
        return values
    raise ReadError("syntax", "The file must be a JSON object.", path=str(path))


def _inside(root: Path, name: str) -> str:
    """A name that a file of the folder gives, refused if it leads out."""
    if Path(name).name == name:
        return name
    raise ReadError(
        "outside",
        "The files of a data set must be in its folder.",
        root=paths.shown(root),
        faults=[name],
    )
