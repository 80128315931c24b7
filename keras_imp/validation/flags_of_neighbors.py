"""Flags of labels that those which look alike do not have.

Where two labels are told apart by what images look like, a row whose nearest
all have the other label was given the wrong one. Labels that look alike have
rows between them, whose nearest have both: of these nothing is told.

Labels go wrong in blocks, too: a join that is off by one gives each row the
label of its neighbor, and a column that was not filled in has one value. There
no two labels are confused, but the order of the rows tells.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from keras_imp.validation.findings import WARNING, Finding
from keras_imp.validation.flags_of_values import are_numbers
from keras_imp.validation.rows import RowKeys
from keras_imp.validation.sketches import MOST_PAIRED, squares_apart

# Labels that there may be.
_MOST_LABELS = 1000
# The nearest rows of each, and how many of them must agree.
_NEAREST, _AGREE = 10, 9
# A row is between two labels if so many of its nearest have either.
_BETWEEN = 3
# So many rows of a label must have the nearest of one other label, and so many
# times those between the two.
_FEWEST, _TIMES = 10, 2
# A label fits a row if so many of its nearest have it, and does not up to so
# many.
_FITS, _UNFIT = 5, 2
# Of so many rows that either their own label fits or that of the row beside
# them, so many must be of the second kind.
_WINDOW, _SHIFTED = 20, 16
# Expected number of such windows, or of runs of one label, in rows of a random
# order, below which one is no chance.
_NO_CHANCE = 1e-6
# Rows in succession with one label, and the fraction of the rows that have to
# be in no order.
_RUN, _LEFT = 20, 0.5
# The same of neighbors with one label: times what chance gives, and beyond.
_IN_ORDER, _BEYOND = 1.5, 0.05


class Votes(NamedTuple):
    """The labels of the nearest of some rows.

    Attributes:
        column: What was compared.
        rows: The rows, in order.
        labels: The label of each, as a number.
        counts: How many of its nearest have each label, shape `(rows, labels)`.
    """

    column: str
    rows: np.ndarray
    labels: np.ndarray
    counts: np.ndarray

    def of(self, labels: np.ndarray) -> np.ndarray:
        """How many of the nearest of each row have a label, 0 for none (-1)."""
        own = self.counts[np.arange(len(self.rows)), np.maximum(labels, 0)]
        return np.where(labels >= 0, own, 0)


def unlike_labels(keys: RowKeys) -> Iterator[Finding]:
    """Rows that do not look like those with their label, where labels differ.

    Args:
        keys: What identifies the rows.

    Yields:
        `label_unlike`, `label_shifted` and `label_run`, of each row.
    """
    single, names = keys.single_labels(), list(keys.label_names)
    if not 2 <= len(names) <= _MOST_LABELS or are_numbers(keys):
        return
    for votes in _votes(keys, single, len(names)):
        for flag, places, others in (
            ("label_unlike", *_unlike(votes)),
            ("label_shifted", *_shifted(votes, single)),
        ):
            for place, other in zip(places, others):
                own = names[votes.labels[place]]
                detail = f"{own!r}, like {names[other]!r}"
                row = int(votes.rows[place])
                yield Finding(row, flag, WARNING, votes.column, detail)
        for run in _runs(votes, keys.array_of("part"), single):
            detail = (
                f"{len(run)} rows in succession have {names[single[run[0]]]!r}"
            )
            for row in run.tolist():
                yield Finding(row, "label_run", WARNING, votes.column, detail)


def _votes(keys: RowKeys, single: np.ndarray, count: int) -> Iterator[Votes]:
    """The labels of the nearest rows, by column of images or videos."""
    for column, sketches in keys.images.items():
        rows, vectors = sketches.vectors(MOST_PAIRED)
        kept = single[rows] >= 0
        rows, vectors = rows[kept], vectors[kept]
        if len(rows) > _NEAREST:
            labels = single[rows]
            counts = _counts(vectors, labels, count)
            yield Votes(column, rows, labels, counts)


def _counts(vectors: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """How many of the nearest of each row have each label."""
    nearest = [
        np.argpartition(squares, _NEAREST, axis=1)[:, :_NEAREST]
        for squares in squares_apart(vectors, vectors)
    ]
    votes = np.zeros((len(vectors), count), "int16")
    each = np.arange(len(vectors))[:, None]
    np.add.at(votes, (each, labels[np.concatenate(nearest)]), 1)
    return votes


def _unlike(votes: Votes) -> tuple[list[int], list[int]]:
    """Places of rows, and the one label that their nearest have."""
    best = votes.counts.argmax(axis=1)
    is_odd = (best != votes.labels) & (votes.counts.max(axis=1) >= _AGREE)
    pairs, which, counts = np.unique(
        np.stack([votes.labels[is_odd], best[is_odd]]),
        axis=1,
        return_inverse=True,
        return_counts=True,
    )
    odd = np.flatnonzero(is_odd)
    found: list[int] = []
    for number in np.flatnonzero(counts >= _FEWEST):
        own, other = pairs[:, number]
        of_both = votes.counts[:, [own, other]]
        between = of_both.min(axis=1) >= _BETWEEN
        between &= of_both.sum(axis=1) >= _AGREE
        between &= np.isin(votes.labels, (own, other))
        both = _count(pairs, counts, own, other)
        both += _count(pairs, counts, other, own)
        if both >= _TIMES * np.count_nonzero(between):
            found += odd[which.reshape(-1) == number].tolist()
    return found, best[found].tolist()


def _count(pairs: np.ndarray, counts: np.ndarray, own: int, other: int) -> int:
    """How many rows of a label have the nearest of another one."""
    return int(counts[(pairs[0] == own) & (pairs[1] == other)].sum())


def _shifted(votes: Votes, single: np.ndarray) -> tuple[list[int], list[int]]:
    """Places in blocks that fit the label beside theirs, and that label."""
    found: dict[int, int] = {}
    beside = np.pad(single, 1, constant_values=-1)
    for step in (-1, 1):
        theirs = beside[votes.rows + 1 + step]
        differs = (theirs >= 0) & (theirs != votes.labels)
        fits = votes.of(theirs) >= _FITS
        telling = np.flatnonzero(
            differs & (fits != (votes.of(votes.labels) >= _FITS))
        )
        if len(telling) < _WINDOW or not _is_no_chance(fits[telling]):
            continue
        windows = np.lib.stride_tricks.sliding_window_view(
            fits[telling], _WINDOW
        )
        for start in np.flatnonzero(windows.sum(axis=1) >= _SHIFTED):
            block = telling[start : start + _WINDOW]
            block = block[fits[block]]
            for place in range(block[0], block[-1] + 1):
                if differs[place]:
                    found[place] = int(theirs[place])
    return list(found), list(found.values())


def _is_no_chance(fits: np.ndarray) -> bool:
    """Whether rows that fit the label beside theirs cannot stand so densely.

    As often as they occur, and in a random order.
    """
    often = fits.mean()
    by_chance = sum(
        math.comb(_WINDOW, count)
        * often**count
        * (1 - often) ** (_WINDOW - count)
        for count in range(_SHIFTED, _WINDOW + 1)
    )
    return len(fits) * by_chance < _NO_CHANCE


def _runs(
    votes: Votes, part: np.ndarray, single: np.ndarray
) -> Iterator[np.ndarray]:
    """Rows in succession with one label that fits few of them.

    Only where rows are in no order of labels otherwise.
    """
    # Rows after the last one that was compared tell nothing.
    compared = int(votes.rows[-1]) + 1
    single, part = single[:compared], part[:compared]
    unfit = np.full(compared, np.nan)
    unfit[votes.rows] = votes.of(votes.labels) <= _UNFIT
    for number in np.unique(part):
        rows = np.flatnonzero((part == number) & (single >= 0))
        runs = np.split(rows, np.flatnonzero(np.diff(single[rows])) + 1)
        others = [run for run in runs if len(run) < _RUN]
        rest_rows = np.concatenate(others) if others else rows[:0]
        rest = single[rest_rows]
        if len(rest) <= _LEFT * len(rows):
            continue
        # Probabilities of the labels, and of one label twice in succession.
        chance = np.bincount(rest, minlength=single.max() + 1) / len(rest)
        twice = np.square(chance).sum()
        pairs = sum(len(run) - 1 for run in others) / len(rest)
        if pairs > _IN_ORDER * twice + _BEYOND:
            continue
        for run in runs:
            likely = max(chance[single[run[0]]], 1 / len(rest))
            by_chance = len(rows) * likely ** len(run)
            if len(run) >= _RUN and by_chance < _NO_CHANCE:
                same = rest_rows[rest == single[run[0]]]
                # A label that fits no row is of things that differ.
                if _most(unfit[run]) and not _most(unfit[same], empty=True):
                    yield run


def _most(values: np.ndarray, empty: bool = False) -> bool:
    """Whether most of some values are true, of those that are known."""
    known = values[~np.isnan(values)]
    return bool(known.mean() > 0.5) if len(known) else empty
