"""95 % intervals of what was measured on a sample of examples.

Of a fraction by Wilson's formula; of the mean recall of classes by draws of
each class's recall from its beta distribution (Jeffreys); of all else by the
bootstrap, which draws the examples anew, with replacement. Examples that depend
on each other, as the images of one caption do, are drawn together: by groups.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from keras_imp._errors import check_positive, message

# Two-sided 95 % of the normal distribution.
QUANTILE = 1.959963984540054
LOW, HIGH = 2.5, 97.5
DRAWS = 1000
# Weights that are in memory at once.
BLOCK = 2**22


class Estimate(NamedTuple):
    """A figure and its 95 % interval.

    Attributes:
        value: The figure.
        low: Lower end of the interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float


def wilson(hits: float, count: int) -> Estimate:
    """A fraction of independent examples.

    Args:
        hits: How many of them are right.
        count: How many there are.

    Returns:
        The fraction and its interval, in [0, 1].

    Raises:
        ValueError: If there is no example, or `hits` is not in [0, count].

    Example:
        >>> from keras_imp.evaluation.intervals import wilson
        >>> [round(x, 3) for x in wilson(9, 10)]
        [0.9, 0.596, 0.982]

    Reference:
        Wilson, Probable inference, the law of succession, and statistical
        inference, 1927.
    """
    check_positive(count=count)
    if not 0 <= hits <= count:
        raise ValueError(
            message("`hits` must be in [0, count].", hits=hits, count=count)
        )
    value, square = float(hits / count), QUANTILE**2 / count
    middle = (value + square / 2) / (1 + square)
    half = math.sqrt(value * (1 - value) * square + square**2 / 4)
    half /= 1 + square
    # Rounding must not put the figure outside of its interval.
    low, high = min(middle - half, value), max(middle + half, value)
    return Estimate(value, max(0.0, low), min(1.0, high))


def fraction(hits: np.ndarray, groups: np.ndarray | None = None) -> Estimate:
    """The fraction of the examples that are right.

    Args:
        hits: Bool, shape `(examples,)`.
        groups: Ids of what examples depend on; None if they do not.

    Returns:
        The fraction: by Wilson's formula, or by a bootstrap of groups.

    Example:
        >>> import numpy as np
        >>> from keras_imp.evaluation.intervals import fraction
        >>> hits = np.array([True, True, True, False])
        >>> fraction(hits) == fraction(hits, np.arange(4))
        True
        >>> [round(x, 2) for x in fraction(hits, np.array([0, 0, 0, 1]))]
        [0.75, 0.0, 1.0]
    """
    hits = np.asarray(hits, bool)
    places = _places(groups, len(hits))
    if places is None:
        return wilson(int(hits.sum()), len(hits))
    sums, counts = np.bincount(places, hits), np.bincount(places)
    if hits.all() or not hits.any():
        # Drawn anew, they would be all alike: an interval without width.
        return wilson(len(sums) if hits.all() else 0, len(sums))

    def of(weights: np.ndarray) -> np.ndarray:
        return (weights @ sums) / (weights @ counts)

    return bootstrap(of, len(sums))


def median(values: np.ndarray, groups: np.ndarray | None = None) -> Estimate:
    """The median of some values.

    Args:
        values: Shape `(examples,)`.
        groups: As in `fraction`.

    Returns:
        The median: its interval by order statistics, or by a bootstrap of
        groups.

    Example:
        >>> import numpy as np
        >>> from keras_imp.evaluation.intervals import median
        >>> [float(x) for x in median(np.arange(1, 102))]
        [51.0, 41.0, 61.0]
    """
    values = np.asarray(values, "float64")
    places = _places(groups, len(values))
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    if places is None:
        count = len(values)
        half = QUANTILE * np.sqrt(count) / 2
        low = int(np.clip(np.floor(count / 2 - half), 0, count - 1))
        high = int(np.clip(np.ceil(count / 2 + half) - 1, 0, count - 1))
        return Estimate(
            float(np.median(ordered)), float(ordered[low]), float(ordered[high])
        )
    places = places[order]

    def of(weights: np.ndarray) -> np.ndarray:
        passed = np.cumsum(weights[:, places], axis=1)
        return ordered[(2 * passed < passed[:, -1:]).sum(axis=1)]

    found = bootstrap(of, int(places.max()) + 1, width=len(values))
    return found._replace(value=float(np.median(ordered)))


def mean_of_classes(hits: np.ndarray, counts: np.ndarray) -> Estimate:
    """The mean of the fractions of several classes.

    Args:
        hits: Right examples of each class, shape `(classes,)`.
        counts: All examples of each class. Classes without any do not count.

    Returns:
        The mean; its interval by draws of the fraction of each class, after
        Jeffreys.

    Example:
        >>> import numpy as np
        >>> from keras_imp.evaluation.intervals import mean_of_classes
        >>> mean_of_classes(np.array([8, 1]), np.array([10, 4])).value
        0.525
    """
    some = counts > 0
    fractions, counts = hits[some] / counts[some], counts[some]
    # Draws of examples would be all alike where a class is right throughout.
    generator = np.random.default_rng(0)
    hits = hits[some]
    drawn = generator.beta(
        hits + 0.5, counts - hits + 0.5, (DRAWS, len(counts))
    )
    return _around(float(fractions.mean()), drawn.mean(axis=1))


def mean_of_groups(
    hits: np.ndarray, labels: np.ndarray, groups: np.ndarray
) -> Estimate:
    """The mean of the fractions of several classes, of dependent examples.

    Args:
        hits: Bool, shape `(examples,)`.
        labels: Classes, integers, same shape.
        groups: Ids of what examples depend on.

    Returns:
        The mean; its interval by a bootstrap of groups. A class of which no
        example is drawn does not count in that draw.

    Example:
        >>> import numpy as np
        >>> from keras_imp.evaluation.intervals import mean_of_groups
        >>> mean_of_groups(np.array([True, False, True, True]),
        ...                np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2])).value
        0.75
    """
    if np.all(hits) or not np.any(hits):
        return fraction(hits, groups)
    _, classes = np.unique(labels, return_inverse=True)
    _, places = np.unique(np.asarray(groups), return_inverse=True)
    shape = places.max() + 1, classes.max() + 1
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, (places, classes), hits)
    np.add.at(counts, (places, classes), 1)

    def of(weights: np.ndarray) -> np.ndarray:
        right, drawn = weights @ sums, weights @ counts
        some = np.maximum((drawn > 0).sum(axis=1), 1)
        return (right / np.maximum(drawn, 1)).sum(axis=1) / some

    return bootstrap(of, len(sums), width=max(shape))


def bootstrap(
    figure: Callable[[np.ndarray], np.ndarray],
    groups: int,
    draws: int = DRAWS,
    width: int | None = None,
    centered: bool = False,
) -> Estimate:
    """A figure of groups, with an interval from drawing them anew.

    The draws are those of one seed: an interval is the same each time.

    Args:
        figure: From how often each group is drawn, int64, shape
            `(some, groups)`, to the figures, shape `(some,)`.
        groups: How many groups there are.
        draws: How often they are drawn.
        width: What a row costs `figure` in memory. Defaults to `groups`.
        centered: Whether to move the draws to the figure, of which they are
            wide but beside: examples that are there twice change some figures.

    Returns:
        The figure of each group once, and its interval.

    Raises:
        ValueError: If a number is not positive.

    Example:
        >>> import numpy as np
        >>> from keras_imp.evaluation.intervals import bootstrap
        >>> sizes = np.array([1.0, 2.0, 3.0, 4.0])
        >>> found = bootstrap(lambda w: (w @ sizes) / w.sum(axis=1), 4)
        >>> found.value, found.low < 2 < 3 < found.high
        (2.5, True)

    Reference:
        Efron, Bootstrap methods: another look at the jackknife, 1979.
    """
    check_positive(groups=groups, draws=draws)
    generator = np.random.default_rng(0)
    rows = max(1, BLOCK // max(groups, width or 1))
    found = [
        figure(
            np.stack(
                [
                    np.bincount(
                        generator.integers(groups, size=groups),
                        minlength=groups,
                    )
                    for _ in range(min(rows, draws - start))
                ]
            )
        )
        for start in range(0, draws, rows)
    ]
    (value,) = figure(np.ones((1, groups), "int64"))
    drawn = np.concatenate(found)
    if centered:
        drawn = drawn - drawn.mean() + value
    return _around(float(value), drawn)


def _around(value: float, drawn: np.ndarray) -> Estimate:
    """A figure with the interval of some draws, which holds it."""
    low, high = np.percentile(drawn, (LOW, HIGH))
    return Estimate(value, min(float(low), value), max(float(high), value))


def _places(groups: np.ndarray | None, examples: int) -> np.ndarray | None:
    """Number of each example's group; None if each is its own."""
    if groups is None:
        return None
    if len(groups) != examples:
        raise ValueError(
            message(
                "`groups` must have an id for each example.",
                groups=len(groups),
                examples=examples,
            )
        )
    ids, places = np.unique(np.asarray(groups), return_inverse=True)
    return None if len(ids) == examples else places.reshape(-1)
