"""Flags of a mark that only images of one label have, and only in training.

The logo of a shop or the token of a hospital tells the label where it is, and
nothing where it is not: a model that learns it fails on other data.
"""

from collections.abc import Iterator

import numpy as np

from keras_imp.validation.findings import WARNING, Finding
from keras_imp.validation.flags_of_values import are_numbers
from keras_imp.validation.rows import AGAINST, RowKeys
from keras_imp.validation.sketches import LUMA, MOST_PAIRED, SIDE

# Rows of a label that there must be in training, and in the other splits.
_ENOUGH = 50
# Levels of 255 beyond those that the label has at this place in other splits;
# fraction of its rows that must be, and of all other rows that may be.
_BEYOND, _MARKED, _ELSEWHERE = 12.0, 0.15, 0.01
# Fields that a mark takes at most, each of at least half as many rows: what is
# larger is a scene.
_FIELDS = 8
# Images with a mark differ otherwise, by such a fraction of the variance of all
# images with the label at least: frames of one video do not.
_VARIED = 0.5


def marked_labels(keys: RowKeys) -> Iterator[Finding]:
    """Rows of the training data with a color that tells their label too well.

    Args:
        keys: What identifies the rows.

    Yields:
        `label_mark`, of each row. None where other data is compared with: its
        rows are not those that are asked about.
    """
    references = keys.references
    if (
        not references
        or AGAINST in keys.names
        or len(keys.label_names) < 2
        or are_numbers(keys)
    ):
        return
    single, names = keys.single_labels(), list(keys.label_names)
    for column, sketches in keys.images.items():
        rows, vectors = sketches.vectors(MOST_PAIRED)
        if not len(rows):
            continue
        colors = _colors(vectors)
        trained = np.isin(keys.array_of("part")[rows], references)
        for label in np.unique(single[rows]):
            own = single[rows] == label
            counts = np.bincount(trained[own], minlength=2)
            others = ~own & (single[rows] >= 0)
            if label < 0 or min(*counts, others.sum()) < _ENOUGH:
                continue
            is_marked, place = _marked(
                colors[own & trained], colors[own & ~trained], colors[others]
            )
            for row in rows[own & trained][is_marked]:
                detail = f"only {names[label]!r} has this color {place}"
                yield Finding(int(row), "label_mark", WARNING, column, detail)


def _colors(vectors: np.ndarray) -> np.ndarray:
    """Brightness, red less green and green less blue of all fields."""
    fields = vectors.reshape(len(vectors), -1, 3)
    red, green, blue = np.moveaxis(fields, 2, 0)
    return np.stack([fields @ LUMA, red - green, green - blue], axis=1)


def _marked(
    trained: np.ndarray, others: np.ndarray, of_others: np.ndarray
) -> tuple[np.ndarray, str]:
    """Which rows have the mark, if there is one, and where it is.

    Args:
        trained: Colors of the label's rows in training, shape
            `(rows, 3, fields)`.
        others: Those in the other splits.
        of_others: Those of other labels.
    """
    best, found = _MARKED, (np.zeros(len(trained), bool), "")
    varied = _VARIED * trained.var(axis=0).mean()
    for sign in (1, -1):
        limit = (sign * others).max(axis=0) + _BEYOND
        beyond = sign * trained > limit
        fraction = beyond.mean(axis=0)
        elsewhere = (sign * of_others > limit).mean(axis=0)
        fraction[elsewhere > _ELSEWHERE] = 0.0
        kind, field = np.unravel_index(fraction.argmax(), fraction.shape)
        # Of a video, a mark is in each frame.
        in_frame = fraction[kind].reshape(-1, SIDE**2).max(axis=0)
        wide = np.count_nonzero(2 * in_frame >= fraction[kind, field])
        marked = trained[beyond[:, kind, field]]
        if (
            fraction[kind, field] >= best
            and wide <= _FIELDS
            and marked.var(axis=0).mean() >= varied
        ):
            best = fraction[kind, field]
            found = beyond[:, kind, field], _place(int(field))
    return found


def _place(field: int) -> str:
    down, right = divmod(field % SIDE**2, SIDE)
    return f"in row {down + 1}, column {right + 1} of {SIDE} x {SIDE} fields"
