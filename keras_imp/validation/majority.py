"""Rows that share something, and what most of them have in common."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np


class Majority(NamedTuple):
    """The most frequent value of some keys, by their number.

    Attributes:
        value: The value, int, shape `(keys,)`; of equally frequent ones the
            largest.
        most: How often it is there.
        total: How often the key is there.
    """

    value: np.ndarray
    most: np.ndarray
    total: np.ndarray


def majority_of(keys: np.ndarray, values: np.ndarray) -> Majority:
    """The most frequent value of each key.

    Args:
        keys: Numbers from 0, each of them there, shape `(pairs,)`.
        values: A number beside each, shape `(pairs,)`.

    Returns:
        The values.

    Example:
        >>> import numpy as np
        >>> from keras_imp.validation.majority import majority_of
        >>> found = majority_of(np.array([0, 0, 0, 1]), np.array([5, 7, 7, 5]))
        >>> found.value.tolist(), found.most.tolist(), found.total.tolist()
        ([7, 5], [2, 1], [3, 1])
    """
    pairs, counts = np.unique(
        np.stack([keys, values]), axis=1, return_counts=True
    )
    # The last of the pairs of each key, by count.
    order = np.lexsort((counts, pairs[0]))
    best = order[np.cumsum(np.bincount(pairs[0])) - 1]
    return Majority(pairs[1][best], counts[best], np.bincount(keys))


def sharing(
    numbers: np.ndarray, fewest: int = 1
) -> Iterator[tuple[int, np.ndarray]]:
    """Each number that is not negative and that enough rows have.

    Args:
        numbers: That of each row, int, shape `(rows,)`.
        fewest: How many rows must have it.

    Yields:
        The number, and the places of its rows, in order.

    Example:
        >>> import numpy as np
        >>> from keras_imp.validation.majority import sharing
        >>> [(n, p.tolist()) for n, p in sharing(np.array([7, -1, 3, 7]), 2)]
        [(7, [0, 3])]
    """
    # One pass, since there may be as many numbers as rows.
    order = np.argsort(numbers, kind="stable")
    found, starts = np.unique(numbers[order], return_index=True)
    for number, places in zip(found, np.split(order, starts[1:])):
        if number >= 0 and len(places) >= fewest:
            yield int(number), places
