"""Rows that belong together, and splits that do not part them."""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from keras_imp._errors import check_integer, message
from keras_imp.data.reading.aliases import MEDIA

if TYPE_CHECKING:
    from keras_imp.data.manifest.manifest import Manifest

# What tells the group of a row if no column is named, the first that is there.
ORDER = ("group", *MEDIA, "text", "label")


def hashes(
    manifest: "Manifest", by: str | None = None, salt: str = ""
) -> np.ndarray:
    """A number for the group of each row.

    Args:
        manifest: The rows.
        by: The column that says which rows belong together. Defaults to the
            first one of `ORDER`.
        salt: Text that changes all numbers.

    Returns:
        uint64, shape `(rows,)`: equal for rows with one value in the column,
        and the same on every machine. A row without a value has that of all
        its other values.
    """
    if by is None:
        by = next(name for name in ORDER if name in manifest.columns)
    result = np.empty(len(manifest), "uint64")
    start = hashlib.blake2b(salt.encode(), digest_size=8)
    for row, value in enumerate(manifest.column(by)):
        key = manifest.row(row) if value is None else value
        hashed = start.copy()
        # Names of files need not be UTF-8.
        hashed.update(repr(key).encode("utf-8", "surrogatepass"))
        result[row] = int.from_bytes(hashed.digest(), "little")
    return result


def is_held_out(
    manifest: "Manifest", by: str | None, fraction: float, seed: int
) -> np.ndarray:
    """Which rows are in the second part of a split.

    Args:
        manifest: The rows.
        by: The column that says which rows belong together.
        fraction: Fraction of the groups in the second part.
        seed: Another seed gives another split.

    Returns:
        bool, shape `(rows,)`.

    Raises:
        ValueError: If the fraction is not between 0 and 1, the seed is no
            integer, or a part would have no rows.
    """
    check_integer(0, seed=seed)
    if not 0 < fraction < 1:
        raise ValueError(
            message("`fraction` must be in (0, 1).", fraction=fraction)
        )
    numbers = hashes(manifest, by, salt=str(seed))
    held_out = numbers < np.uint64(int(fraction * 2**64))
    if held_out.all() or not held_out.any():
        raise ValueError(
            message(
                "Both parts of a split must have rows.",
                "Take another fraction or seed, or a column with more values.",
                by=by,
                fraction=fraction,
                seed=seed,
                groups=len(np.unique(numbers)),
            )
        )
    return held_out
