"""Which rows a selection keeps: by number, by function, by value."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_imp._errors import message
from keras_imp.data.reading.matching import nearest

if TYPE_CHECKING:
    from keras_imp.data.manifest.manifest import Manifest


def chosen(
    manifest: "Manifest", rows: Any, values: Mapping[str, Any]
) -> np.ndarray:
    """Numbers of the rows that a selection keeps.

    Args:
        manifest: The rows.
        rows: Numbers, bools, a function of a row, or None for all.
        values: Value, or several, by the column that must have one of them.

    Returns:
        int64, shape `(rows kept,)`, in the order of `rows`.

    Raises:
        ValueError: If a column or a value does not exist, bools are not one
            per row, or no row is left.
        IndexError: If there is no such row.
    """
    kept = _numbers(manifest, rows)
    for name, wanted in values.items():
        kept = kept[_has(manifest, name, wanted)[kept]]
    if len(kept):
        return kept
    raise ValueError(
        message(
            "A selection must leave rows.", rows=len(manifest), values=values
        )
    )


def row_number(manifest: "Manifest", row: int) -> int:
    """The number of a row from 0; negative ones count from the end.

    Raises:
        IndexError: If there is no such row.
    """
    if -len(manifest) <= row < len(manifest):
        return int(row) % len(manifest)
    raise IndexError(
        message("There is no such row.", row=int(row), rows=len(manifest))
    )


def _numbers(manifest: "Manifest", rows: Any) -> np.ndarray:
    if rows is None:
        return np.arange(len(manifest))
    if callable(rows):
        return np.flatnonzero([bool(rows(row)) for row in manifest])
    numbers = np.asarray(rows)
    if numbers.dtype != bool:
        return np.array([row_number(manifest, row) for row in numbers], "int64")
    if numbers.shape == (len(manifest),):
        return np.flatnonzero(numbers)
    raise ValueError(
        message(
            "Bools must be one per row.",
            shape=numbers.shape,
            rows=len(manifest),
        )
    )


def _has(manifest: "Manifest", name: str, wanted: Any) -> np.ndarray:
    """Which rows have one of some values in a column."""
    single = isinstance(wanted, str) or not isinstance(wanted, Iterable)
    values = {wanted} if single else set(wanted)
    seen: set = set()

    def fits(value: Any) -> bool:
        parts = value if isinstance(value, tuple) else (value,)
        found = values.intersection(parts)
        seen.update(found)
        return bool(found)

    fitting = np.array([fits(value) for value in manifest.column(name)], bool)
    if unknown := sorted(map(str, values - seen)):
        there = list(dict.fromkeys(map(str, manifest.values(name))))
        raise ValueError(
            message(
                f"The column {name!r} has no such value.",
                nearest(unknown[0], there),
                **{name: wanted},
            )
        )
    return fitting
