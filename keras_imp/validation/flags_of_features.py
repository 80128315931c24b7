"""Flags of rows whose files are made as hardly another one is.

A fault of one row in a hundred is usual enough for a schema that is inferred
from all rows, and moves no distribution. But where nearly all rows have one
sampling rate, another one is told; and so is a video that stands still where
nearly all with its label move.
"""

from collections.abc import Iterator

import numpy as np

from keras_imp.validation.findings import WARNING, Finding
from keras_imp.validation.majority import sharing
from keras_imp.validation.rows import OF_LABELS, RowKeys
from keras_imp.validation.signals import MIXED, NOWHERE

# Fraction of the rows that have one value, above which others are unusual; and
# of the rows with one label.
_NEARLY_ALL = 0.9
# The same of one label, where so many values are those of nearly all rows of
# some label: there, labels tell the value.
_TOLD, _TELLING = 0.6, 2
# Fewer rows tell of nothing usual.
_FEWEST = 30
# Files are cut where so many have one length, so many times those of any other
# length, and where lengths vary otherwise.
_CUT, _CUT_TIMES, _MOST_CUT, _LENGTHS = 20, 6, 0.5, 20
# Values that are like no other one, and neither usual nor odd.
_ANY = frozenset({MIXED, NOWHERE})


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
        own = list(sharing(single[rows], _FEWEST))
        written = list(keys.feature_values[name])
        usual = {_usual_of(values[places]) for _, places in own}
        telling = {u for u in usual if u is not None} - {
            place for place, value in enumerate(written) if value in _ANY
        }
        least = _TOLD if len(telling) >= _TELLING else _NEARLY_ALL
        for label, places in own:
            among = f" with the label {names[label]!r}"
            yield from _unusual(
                keys, name, rows[places], values[places], among, least
            )


def cut_audio(keys: RowKeys) -> Iterator[Finding]:
    """Audio of a length that far more files have than any other length.

    A program reads so many seconds, and the rest is lost.

    Args:
        keys: What identifies the rows.

    Yields:
        `audio_cut`, of each row.
    """
    rows, seconds = map(np.asarray, keys.lengths)
    # A file may have several rows.
    files = keys.array_of("files", "audio")[rows]
    _, once = np.unique(files, return_index=True)
    lengths, counts = np.unique(seconds[once], return_counts=True)
    if len(lengths) < _LENGTHS:
        return
    next_most, most = np.sort(counts)[-2:]
    if max(_CUT, _CUT_TIMES * next_most) <= most <= _MOST_CUT * len(once):
        cut = int(counts.argmax())
        for row in rows[seconds == lengths[cut]]:
            detail = f"{most} files of {lengths[cut]:g} s"
            yield Finding(int(row), "audio_cut", WARNING, "audio", detail)


def _usual_of(values: np.ndarray, least: float = _NEARLY_ALL) -> int | None:
    """The value that nearly all of some rows have, if there is one."""
    if len(values) < _FEWEST:
        return None
    counts = np.bincount(values)
    usual = int(counts.argmax())
    return usual if counts[usual] >= least * len(values) else None


def _unusual(
    keys: RowKeys,
    name: str,
    rows: np.ndarray,
    values: np.ndarray,
    among: str,
    least: float = _NEARLY_ALL,
) -> Iterator[Finding]:
    """Those of some rows that have another value than nearly all of them."""
    written = list(keys.feature_values[name])
    usual = _usual_of(values, least)
    if usual is None or written[usual] in _ANY:
        return
    for place in np.flatnonzero(values != usual):
        value = written[values[place]]
        if value in _ANY:
            continue
        detail = f"{value}, where others{among} have {written[usual]}"
        yield Finding(int(rows[place]), "unusual", WARNING, name, detail)
