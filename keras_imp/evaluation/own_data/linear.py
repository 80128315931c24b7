"""Linear models on simple features: what a trained encoder has to beat.

Ridge regression in closed form: of one-hot classes, of numbers, and, for
retrieval, of the features of one modality from those of another. Its strength
is chosen on a part of the training rows.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# Strengths that are tried, times the mean eigenvalue of the features.
STRENGTHS = tuple(10.0**power for power in range(-4, 4))
EPSILON = 1e-6


class Ridge(NamedTuple):
    """A linear model.

    Attributes:
        mean: Of the features, shape `(features,)`.
        scale: Their standard deviations, same shape.
        weights: Shape `(features, outputs)`.
        bias: Shape `(outputs,)`.

    Example:
        >>> import numpy as np
        >>> from keras_imp.evaluation.own_data.linear import fit_path
        >>> x = np.arange(6.0)[:, None]
        >>> model = fit_path(x, 2 * x, (1e-9,))[0]
        >>> float(np.round(model(np.array([[10.0]])), 3)[0, 0])
        20.0
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return ((x - self.mean) / self.scale) @ self.weights + self.bias


def fit_path(
    x: np.ndarray, y: np.ndarray, strengths: tuple[float, ...] = STRENGTHS
) -> list[Ridge]:
    """Ridge regressions of several strengths, by one decomposition.

    Args:
        x: Features, shape `(rows, features)`.
        y: Targets, shape `(rows, outputs)`.
        strengths: Of the penalty, times the mean eigenvalue.

    Returns:
        A model for each strength.
    """
    mean, bias = x.mean(axis=0), y.mean(axis=0)
    scale = x.std(axis=0)
    # A feature that never varies tells nothing.
    scale = np.where(scale > EPSILON, scale, np.inf)
    x, y = (x - mean) / scale, y - bias
    is_wide = x.shape[1] > x.shape[0]
    values, vectors = np.linalg.eigh(x @ x.T if is_wide else x.T @ x)
    values = np.maximum(values, 0.0)
    unit = max(float(values.mean()), EPSILON)
    inner = vectors.T @ (y if is_wide else x.T @ y)
    models = []
    for strength in strengths:
        solved = vectors @ (inner / (values + strength * unit)[:, None])
        weights = x.T @ solved if is_wide else solved
        models.append(Ridge(mean, scale, weights, bias))
    return models


def fit_best(
    x: np.ndarray,
    y: np.ndarray,
    held_out: np.ndarray,
    score: Callable[[Ridge, np.ndarray], float],
) -> Ridge:
    """The ridge regression whose strength is best on a part of the rows.

    Args:
        x: Features of the training rows.
        y: Their targets.
        held_out: Which rows choose the strength, bool, shape `(rows,)`.
        score: From a model and these rows to how good it is on them.

    Returns:
        The model of that strength, fitted on all rows.
    """
    rows = np.flatnonzero(held_out)
    path = fit_path(x[~held_out], y[~held_out])
    best = int(np.argmax([score(model, rows) for model in path]))
    return fit_path(x, y, STRENGTHS[best : best + 1])[0]
