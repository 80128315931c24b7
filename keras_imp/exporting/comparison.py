"""How far the outputs of a file are from those of the model."""

import math
from typing import NamedTuple

import numpy as np


class Difference(NamedTuple):
    """Two lists of outputs, compared.

    Attributes:
        largest: Largest absolute difference of two numbers; infinite if
            outputs, shapes or places of what is not finite differ.
        least_cosine: Least cosine of two vectors.
    """

    largest: float
    least_cosine: float


def compare(
    found: list[dict[str, np.ndarray]], expected: list[dict[str, np.ndarray]]
) -> Difference:
    """Compare outputs by name, batch by batch.

    Args:
        found: Of the file.
        expected: Of the model.

    Returns:
        The difference.

    Example:
        >>> import numpy as np
        >>> from keras_imp.exporting.comparison import compare
        >>> compare([{"y": np.array([[3.0, 4.0]])}],
        ...         [{"y": np.array([[3.0, 4.5]])}]).largest
        0.5
    """
    worst = Difference(0.0, 1.0)
    if len(found) != len(expected):
        return Difference(math.inf, -1.0)
    for ours, right in zip(found, expected):
        if ours.keys() != right.keys():
            return Difference(math.inf, -1.0)
        for name, values in right.items():
            one = _compare(ours[name], values)
            worst = Difference(
                max(worst.largest, one.largest),
                min(worst.least_cosine, one.least_cosine),
            )
    return worst


def _compare(found: np.ndarray, expected: np.ndarray) -> Difference:
    same = found.shape == expected.shape
    if not same or not (np.isfinite(found) & np.isfinite(expected)).all():
        return Difference(math.inf, -1.0)
    a, b = (
        x.astype("float64").reshape(-1, x.shape[-1]) for x in (found, expected)
    )
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    # Two vectors of zeros are alike.
    cosines = np.where(
        lengths > 0, (a * b).sum(1) / np.maximum(lengths, 1e-30), 1.0
    )
    return Difference(float(abs(a - b).max()), float(cosines.min()))
