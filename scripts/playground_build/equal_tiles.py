"""Which tiles show the same drawing, in whatever styles they are."""

import itertools

import numpy as np
from scipy.spatial.distance import cdist

# Two tiles are the same drawing if their values differ by at most this much
# in the mean, of 255: rounding to 64 levels moves a value by as much.
SAME = 2.0

_BLOCK = 4
_CHUNK = 512


def pairs(tiles: np.ndarray, same: float = SAME) -> list[tuple[int, int]]:
    """Return the positions of tiles that are the same drawing.

    The mean difference of two tiles is at least that of their block means, so
    the small pictures of block means rule out nearly every pair.
    """
    count, size = tiles.shape[:2]
    blocks = tiles.reshape(
        count, size // _BLOCK, _BLOCK, size // _BLOCK, _BLOCK, -1
    )
    small = blocks.mean(axis=(2, 4), dtype=np.float32).reshape(count, -1)
    found = []
    for first in range(0, count, _CHUNK):
        part = small[first : first + _CHUNK]
        distance = cdist(part, small[first:], "cityblock") / small.shape[1]
        for row, column in np.argwhere(distance <= same):
            left, right = first + int(row), first + int(column)
            if left < right and difference(tiles[left], tiles[right]) <= same:
                found.append((left, right))
    return found


def difference(first: np.ndarray, second: np.ndarray) -> float:
    """Return the mean absolute difference of two tiles."""
    return float(np.abs(first.astype(np.int16) - second).mean())


def emoji_pairs(
    drawings: list[list[np.ndarray | None]],
) -> set[tuple[int, int]]:
    """Return which emoji share a drawing, in any style or across two."""
    rows = [
        row
        for style in drawings
        for row, drawing in enumerate(style)
        if drawing is not None
    ]
    tiles = [
        drawing
        for drawing in itertools.chain.from_iterable(drawings)
        if drawing is not None
    ]
    linked = {
        (rows[left], rows[right]) for left, right in pairs(np.stack(tiles))
    }
    return {(left, right) for left, right in linked if left != right}
