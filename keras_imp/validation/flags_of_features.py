"""Flags of rows whose files are made as hardly another one is.

A fault of one row in a hundred is usual enough for a schema that is inferred
from all rows, and moves no distribution. But where nearly all rows have one
sampling rate, another one is told; and so is a video that stands still where
nearly all with its label move.
"""

from collections.abc import Iterator

import numpy as np

from keras_imp.validation.findings import WARNING, Finding
from keras_imp.validation.rows import OF_LABELS, RowKeys

# Fraction of the rows that have one value, above which others are unusual; and
# of the rows with one label.
_NEARLY_ALL = 0.9
# Fewer rows tell of nothing usual.
_FEWEST = 30


def unusual_features(keys: RowKeys) -> Iterator[Finding]:
    """Rows without the value that nearly all others have, such as a rate.

    Args:
        keys: What identifies the rows.

    Yields:
        `unusual`, of each row and feature.
    """
    single = keys.single_labels()
    names = list(keys.label_names)
    for (_, name), (of_rows, of_values) in keys.features.items():
        rows, values = np.asarray(of_rows), np.asarray(of_values)
        if name not in OF_LABELS:
            yield from _unusual(keys, name, rows, values, "")
            continue
        for label in np.unique(single[rows]):
            own = single[rows] == label
            if label >= 0:
                among = f" with the label {names[label]!r}"
                yield from _unusual(keys, name, rows[own], values[own], among)


def _unusual(
    keys: RowKeys, name: str, rows: np.ndarray, values: np.ndarray, among: str
) -> Iterator[Finding]:
    """Those of some rows that have another value than nearly all of them."""
    if len(rows) < _FEWEST:
        return
    counts = np.bincount(values)
    usual = int(counts.argmax())
    if counts[usual] < _NEARLY_ALL * len(rows):
        return
    written = list(keys.feature_values[name])
    for place in np.flatnonzero(values != usual):
        value = written[values[place]]
        detail = f"{value}, where others{among} have {written[usual]}"
        yield Finding(int(rows[place]), "unusual", WARNING, name, detail)
