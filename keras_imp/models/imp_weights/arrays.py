"""Arrays by name, of a file or a mapping, one at a time.

Shapes are read from the headers, so that an array of a wrong shape is refused
before its numbers are read. Arrays of a file that is not compressed are mapped
into memory, not copied.
"""

import contextlib
import math
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_imp._errors import message, outline

DTYPES = ("bfloat16", "float16", "float32", "float64")
# Bytes of a member's header in a zip file, before its name; where in it the
# lengths of the name and of what follows it are.
_HEADER_BYTES, _LENGTHS = 30, slice(26, 30)
_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class Entry(NamedTuple):
    """An array that is not read yet.

    Attributes:
        shape: Its shape.
        dtype: Name of its dtype.
        read: Reads it.
    """

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], np.ndarray]


Arrays = Mapping[str, Entry]


@contextlib.contextmanager
def open_arrays(weights: Any) -> Iterator[Arrays]:
    """The arrays of an npz file or a mapping.

    Args:
        weights: Path of the file, or a mapping from name to array.

    Yields:
        Arrays by name, readable until the context ends.

    Raises:
        TypeError: If it is something else, or a value is no array.
        ValueError: If the file is no npz file.
        OSError: If it cannot be read.

    Example:
        >>> import numpy as np
        >>> from keras_imp.models.imp_weights.arrays import open_arrays
        >>> np.savez("weights.npz", **{"a/kernel": np.ones((2, 3))})
        >>> with open_arrays("weights.npz") as arrays:
        ...     print(arrays["a/kernel"].shape, arrays["a/kernel"].read().sum())
        (2, 3) 6.0
    """
    if isinstance(weights, Mapping):
        yield {name: _given(name, value) for name, value in weights.items()}
        return
    if not isinstance(weights, str | Path):
        raise TypeError(
            message(
                "Weights of the first implementation must be the path of an "
                "npz file, or a mapping from name to array.",
                type=type(weights).__name__,
            )
        )
    with _open_file(Path(weights)) as file:
        yield {
            name: _stored(Path(weights), file, name + ".npy", name)
            for name in file.files
        }


def _given(name: Any, value: Any) -> Entry:
    dtype = getattr(value, "dtype", None)
    if not isinstance(name, str) or not hasattr(value, "shape") or not dtype:
        raise TypeError(
            message(
                "A mapping of weights must be flat: from a name such as "
                "'a/b/kernel' to an array.",
                "Flatten a tree with flax.traverse_util.flatten_dict(params, "
                'sep="/").',
                name=name,
                value=outline(value),
            )
        )
    return Entry(
        tuple(value.shape),
        getattr(dtype, "name", str(dtype)),
        lambda: np.asarray(value),
    )


def _open_file(path: Path) -> np.lib.npyio.NpzFile:
    try:
        file = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _no_npz(path) from error
    if not isinstance(file, np.lib.npyio.NpzFile):
        raise _no_npz(path)
    return file


def _no_npz(path: Path) -> ValueError:
    return ValueError(
        message(
            "The file must be an npz file, and whole.",
            "Write it with numpy.savez(path, **arrays_by_name).",
            path=str(path),
        )
    )


def _stored(
    path: Path, file: np.lib.npyio.NpzFile, member: str, name: str
) -> Entry:
    archive: Any = file.zip
    if member not in archive.NameToInfo:
        raise _no_npz(path)
    info = archive.getinfo(member)
    try:
        with archive.open(info) as stream:
            version = np.lib.format.read_magic(stream)
            shape, fortran, dtype = _READ_HEADER[version](stream)
            header = stream.tell()
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise _no_npz(path) from error

    def read() -> np.ndarray:
        size = math.prod(shape) * dtype.itemsize
        is_plain = size == info.file_size - header and not dtype.hasobject
        if info.compress_type != zipfile.ZIP_STORED or not (size and is_plain):
            return file[name]
        offset = _first_byte(path, info.header_offset) + header
        order: Any = "F" if fortran else "C"
        return np.memmap(path, dtype, "r", offset, shape, order)

    return Entry(shape, dtype.name, read)


def _first_byte(path: Path, header_offset: int) -> int:
    """Where the bytes of a member that is not compressed begin."""
    with path.open("rb") as stream:
        stream.seek(header_offset)
        lengths = stream.read(_HEADER_BYTES)[_LENGTHS]
    name, extra = lengths[:2], lengths[2:]
    skipped = int.from_bytes(name, "little") + int.from_bytes(extra, "little")
    return header_offset + _HEADER_BYTES + skipped
