"""What the files of a manifest are, without reading them."""

import hashlib

import numpy as np

from keras_imp.data.decoding.errors import BadFile
from keras_imp.data.manifest import Manifest
from keras_imp.data.reading.aliases import MEDIA

# Rows that stand for all.
DESCRIBED = 64


def describe_files(manifest: Manifest) -> str:
    """A checksum of the sizes of up to 64 files of each column.

    A file that was replaced has another size, as a rule; its time of change
    would differ for a copy of the data as well.

    Args:
        manifest: The rows.

    Returns:
        Hexadecimal digits.

    Example:
        >>> from pathlib import Path
        >>> import keras_imp
        >>> from keras_imp.data.records.files import describe_files
        >>> _ = Path("a.png").write_bytes(b"1")
        >>> manifest = keras_imp.data.Manifest({"image": ["a.png"]})
        >>> before = describe_files(manifest)
        >>> _ = Path("a.png").write_bytes(b"12")
        >>> before == describe_files(manifest)
        False
    """
    checksum = hashlib.sha256()
    rows = np.linspace(0, len(manifest) - 1, min(len(manifest), DESCRIBED))
    for name in (name for name in manifest.columns if name in MEDIA):
        for row in rows.astype(int).tolist():
            checksum.update(
                f"{name} {row} {_size(manifest, row, name)}\n".encode()
            )
    return checksum.hexdigest()[:16]


def _size(manifest: Manifest, row: int, column: str) -> int:
    """Bytes of a file; -1 of one that is not there."""
    files = manifest.column(column)
    try:
        return -1 if files[row] is None else files.size_of(row)
    except BadFile:
        return -1
