"""Flags of labels that those which look alike do not have.

Where two labels are told apart by what images look like, a row whose nearest
all have the other label was given the wrong one. Labels that look alike have
rows between them, whose nearest have both: of these nothing is told.
"""

from collections.abc import Iterator

import numpy as np

from keras_imp.validation.findings import WARNING, Finding
from keras_imp.validation.flags_of_values import are_numbers
from keras_imp.validation.rows import RowKeys

# Rows that are looked at, and compared at once; and labels that there may be.
MOST_ROWS, _BLOCK, _MOST_LABELS = 20_000, 512, 1000
# The nearest rows of each, and how many of them must agree.
_NEAREST, _AGREE = 10, 9
# A row is between two labels if so many of its nearest have either.
_BETWEEN = 3
# So many rows of a label must have the nearest of one other label, and so many
# times those between the two.
_FEWEST, _TIMES = 10, 2


def unlike_labels(keys: RowKeys) -> Iterator[Finding]:
    """Rows that look like those of one other label, where labels look apart.

    Args:
        keys: What identifies the rows.

    Yields:
        `label_unlike`, of each row.
    """
    single, names = keys.single_labels(), list(keys.label_names)
    if not 2 <= len(names) <= _MOST_LABELS or are_numbers(keys):
        return
    for column, sketches in keys.images.items():
        rows, vectors = sketches.vectors(MOST_ROWS)
        kept = single[rows] >= 0
        rows, vectors = rows[kept], vectors[kept]
        if len(rows) <= _NEAREST:
            continue
        labels = single[rows]
        votes = _votes(vectors, labels, len(names))
        for place, other in _unlike(labels, votes):
            detail = f"{names[labels[place]]!r}, like {names[other]!r}"
            yield Finding(
                int(rows[place]), "label_unlike", WARNING, column, detail
            )


def _votes(vectors: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """How many of the nearest of each row have each label."""
    squares = np.square(vectors).sum(axis=1)
    votes = np.zeros((len(vectors), count), "int16")
    for start in range(0, len(vectors), _BLOCK):
        some = slice(start, start + _BLOCK)
        apart = squares[some, None] + squares[None]
        apart -= 2 * vectors[some] @ vectors.T
        each = np.arange(len(apart))
        apart[each, start + each] = np.inf  # The row itself.
        nearest = np.argpartition(apart, _NEAREST, axis=1)[:, :_NEAREST]
        np.add.at(votes[some], (each[:, None], labels[nearest]), 1)
    return votes


def _unlike(labels: np.ndarray, votes: np.ndarray) -> Iterator[tuple[int, int]]:
    """Places of the rows, and the label that their nearest have."""
    best = votes.argmax(axis=1)
    is_odd = (best != labels) & (votes.max(axis=1) >= _AGREE)
    pairs, which, counts = np.unique(
        np.stack([labels[is_odd], best[is_odd]]),
        axis=1,
        return_inverse=True,
        return_counts=True,
    )
    places = np.flatnonzero(is_odd)
    for number in np.flatnonzero(counts >= _FEWEST):
        own, other = pairs[:, number]
        either = votes[:, own] + votes[:, other]
        between = np.minimum(votes[:, own], votes[:, other]) >= _BETWEEN
        between &= (either >= _AGREE) & np.isin(labels, (own, other))
        both = _count(pairs, counts, own, other)
        both += _count(pairs, counts, other, own)
        if both >= _TIMES * np.count_nonzero(between):
            for place in places[which.reshape(-1) == number]:
                yield int(place), int(other)


def _count(pairs: np.ndarray, counts: np.ndarray, own: int, other: int) -> int:
    """How many rows of a label have the nearest of another one."""
    return int(counts[(pairs[0] == own) & (pairs[1] == other)].sum())
