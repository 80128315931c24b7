"""Flags of images and videos that are turned, flipped, or wrong in color.

The rows of a group, or of a label, look like each other. One that comes far
nearer to them when it is turned was turned by mistake: a camera's note that was
lost, rows of pixels from bottom to top, channels in another order.
"""

from collections.abc import Callable, Iterator

import numpy as np

from keras_imp.validation.findings import WARNING, Finding
from keras_imp.validation.flags_of_values import are_numbers
from keras_imp.validation.majority import sharing
from keras_imp.validation.rows import RowKeys
from keras_imp.validation.sketches import MOST_PAIRED, SIDE, squares_apart

# What brings a row back, by what was done to it. Mirrored images are as right
# as others.
_BACK: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "upside down": lambda fields: fields[:, :, ::-1],
    "turned by half": lambda fields: fields[:, :, ::-1, ::-1],
    "turned to the left": lambda fields: np.rot90(fields, -1, (2, 3)),
    "turned to the right": lambda fields: np.rot90(fields, 1, (2, 3)),
    "red for blue": lambda fields: fields[..., ::-1],
}
# What only a group tells: things of one label may be red or blue.
_OF_GROUPS = frozenset({"red for blue"})
# The nearest third of its peers is so much nearer, of the distance as it is,
# and that is so far, of 255. One peer may be another view of one thing.
_THIRD, _NEARER, _FAR = 3, 0.6, 6.0
# Rows of a group that are peers; others are compared with those of their label.
_PEERS = 3
# So many rows must be changed alike, and at most such a fraction of all.
_FEWEST, _MOST = 20, 0.2


def altered_images(keys: RowKeys) -> Iterator[Finding]:
    """Rows that are far nearer to their group or label when they are turned.

    Args:
        keys: What identifies the rows.

    Yields:
        `altered`, of each row.
    """
    for column, sketches in keys.images.items():
        rows, vectors = sketches.vectors(MOST_PAIRED)
        if not len(rows):
            continue
        as_it_is = np.full(len(rows), np.nan, "float32")
        back = {name: as_it_is.copy() for name in _BACK}
        for peers, judged in _peers_of(keys, rows):
            own = vectors[peers]
            as_it_is[peers[judged]] = _nearest(own, own)[judged]
            for name, distances in back.items():
                if name in _OF_GROUPS and not judged.all():
                    continue
                turned = _turned(own, name)
                distances[peers[judged]] = _nearest(turned, own)[judged]
        for name, distances in back.items():
            is_nearer = distances < _NEARER * as_it_is
            places = np.flatnonzero(is_nearer & (as_it_is > _FAR))
            if _FEWEST <= len(places) <= _MOST * len(rows):
                for row in rows[places].tolist():
                    yield Finding(row, "altered", WARNING, column, name)


def _peers_of(
    keys: RowKeys, rows: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places of rows that look alike, and which of them are compared so."""
    group = keys.array_of("group")[rows]
    _, of_group, sizes = np.unique(
        group, return_inverse=True, return_counts=True
    )
    of_group = of_group.reshape(-1)
    in_group = (group != 0) & (sizes[of_group] >= _PEERS)
    for _, peers in sharing(np.where(in_group, of_group, -1)):
        yield peers, np.ones(len(peers), bool)
    if not are_numbers(keys):
        for _, peers in sharing(keys.single_labels()[rows], _PEERS):
            if not in_group[peers].all():
                yield peers, ~in_group[peers]


def _turned(vectors: np.ndarray, name: str) -> np.ndarray:
    fields = vectors.reshape(len(vectors), -1, SIDE, SIDE, 3)
    return np.ascontiguousarray(_BACK[name](fields)).reshape(vectors.shape)


def _nearest(vectors: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Root mean square difference, of 255, from a third of the other rows."""
    nearest = (len(others) - 1) // _THIRD
    least = [
        np.partition(squares, nearest, axis=1)[:, nearest]
        for squares in squares_apart(vectors, others)
    ]
    mean = np.concatenate(least) / vectors.shape[1]
    return np.sqrt(np.maximum(mean, 0.0))
