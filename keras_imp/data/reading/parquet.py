"""Parquet files, by `pyarrow`: files by name, or as bytes in the rows.

https://arrow.apache.org/docs/python/parquet.html
"""

import bisect
import itertools
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_imp._optional import require
from keras_imp.data.reading.arrow import BATCH, lists, open_arrow, read_rows
from keras_imp.data.reading.delimited import Options
from keras_imp.data.reading.found import Found

# Groups of rows that are kept in memory for the next reads.
KEPT = 4


def read_parquet(path: Path, options: Options) -> Found:
    """Read a Parquet file.

    Args:
        path: The file.
        options: How to read it.

    Returns:
        Its columns. Bytes of images, videos and audio stay in the file: to
        read those of a row reads its group of rows, of which four are kept.

    Raises:
        ReadError: If it is damaged or empty, or its columns are not known.
        ImportError: If `pyarrow` is not installed.
    """
    return read_rows(_Parquet(path), path, options, "Parquet table")


class _Parquet:
    """A Parquet file as `arrow.Rows`."""

    def __init__(self, path: Path):
        library = require("pyarrow.parquet", extra="parquet")
        self._file = open_arrow(lambda: library.ParquetFile(path), path)
        self._path = path
        self.schema = self._file.schema_arrow
        metadata = self._file.metadata
        sizes = (
            metadata.row_group(i).num_rows
            for i in range(metadata.num_row_groups)
        )
        self._starts = list(itertools.accumulate(sizes, initial=0))
        self._groups: OrderedDict[tuple[int, str], Any] = OrderedDict()
        # Reading is not safe from several threads.
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._starts[-1]

    def batches(
        self, columns: list[str], size: int = BATCH
    ) -> Iterator[dict[str, list[Any]]]:
        batches = self._file.iter_batches(size, columns=columns)
        while True:
            batch = open_arrow(lambda: next(batches, None), self._path, OSError)
            if batch is None:
                return
            yield from lists([batch])

    def value(self, row: int, column: str) -> Any:
        group = bisect.bisect_right(self._starts, row) - 1
        with self._lock:
            values = self._group(group, column)
        return values[row - self._starts[group]].as_py()

    def bytes_of_row(self, column: str) -> float:
        if not self._file.metadata.num_row_groups:
            return 0.0
        group = self._file.metadata.row_group(0)
        chunks = map(group.column, range(group.num_columns))
        size = sum(
            chunk.total_uncompressed_size
            for chunk in chunks
            if chunk.path_in_schema == column
        )
        return size / max(1, group.num_rows)

    def _group(self, group: int, column: str) -> Any:
        """Values of a group of rows: of the last ones, from memory."""
        key = (group, column)
        if key not in self._groups:
            self._groups[key] = open_arrow(
                lambda: self._file.read_row_group(group, [column]),
                self._path,
                OSError,
            ).column(0)
        self._groups.move_to_end(key)
        while len(self._groups) > KEPT:
            self._groups.popitem(last=False)
        return self._groups[key]
