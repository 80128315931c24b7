"""Flags of rows whose files are made as hardly another one is.

A fault of one row in a hundred is usual enough for a schema that is inferred
from all rows, and moves no distribution. But where nearly all rows have one
sampling rate, another one is told.
"""

from collections.abc import Iterator

import numpy as np

from keras_imp.validation.findings import WARNING, Finding
from keras_imp.validation.rows import RowKeys

# Fraction of the rows that have one value, above which others are unusual.
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
    for (_, name), (of_rows, of_values) in keys.features.items():
        rows, values = np.asarray(of_rows), np.asarray(of_values)
        if len(rows) < _FEWEST:
            continue
        counts = np.bincount(values)
        usual = int(counts.argmax())
        if counts[usual] < _NEARLY_ALL * len(rows):
            continue
        written = list(keys.feature_values[name])
        for place in np.flatnonzero(values != usual):
            value = written[values[place]]
            detail = f"{value}, where others have {written[usual]}"
            yield Finding(int(rows[place]), "unusual", WARNING, name, detail)
