"""Scores in [0, 1] of predictions, and of guessing."""

import numpy as np

from keras_imp.evaluation.retrieval import recall_at

# How far down a search is looked at: the second with few items.
DEPTH, SMALL_DEPTH, FEW = 10, 1, 50


def accuracy(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Fraction of the rows whose highest score is the right class.

    Args:
        predicted: Scores, shape `(rows, classes)`.
        labels: Right classes, shape `(rows,)`.

    Returns:
        The fraction.

    Example:
        >>> import numpy as np
        >>> from keras_imp.evaluation.own_data.scores import accuracy
        >>> accuracy(np.eye(2), np.array([0, 0]))
        0.5
    """
    return float((predicted.argmax(axis=1) == labels).mean())


def mean_precision(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Mean over classes of the average precision of their ranking.

    Args:
        predicted: Scores, shape `(rows, classes)`.
        labels: 1 where a row has a class, same shape. A class that no row has
            does not count.

    Returns:
        The mean.

    Example:
        >>> import numpy as np
        >>> from keras_imp.evaluation.own_data.scores import mean_precision
        >>> mean_precision(np.array([[3.0], [2.0], [1.0]]),
        ...                np.array([[1], [0], [1]]))
        0.8333333333333333
    """
    found = []
    for score, label in zip(predicted.T, labels.T):
        if label.any():
            # Of equal scores, the wrong rows come first.
            hits = label[np.lexsort((label, -score))] > 0
            precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
            found.append(precision[hits].mean())
    return float(np.mean(found))


def explained(predicted: np.ndarray, numbers: np.ndarray) -> float:
    """Fraction of the variance that is explained (R2), at least 0.

    Args:
        predicted: Numbers, shape `(rows, 1)`.
        numbers: Right ones, same shape.

    Returns:
        The fraction.

    Example:
        >>> import numpy as np
        >>> from keras_imp.evaluation.own_data.scores import explained
        >>> explained(np.array([[1.0], [3.0]]), np.array([[1.0], [2.0]]))
        0.0
    """
    total = np.square(numbers - numbers.mean()).sum()
    if total == 0:
        return 0.0
    return float(max(0.0, 1 - np.square(predicted - numbers).sum() / total))


def depth(items: int) -> int:
    """How far down a search is looked at, for a number of items."""
    return DEPTH if items >= FEW else SMALL_DEPTH


def recall(similarities: np.ndarray, matches: np.ndarray, k: int) -> float:
    """Fraction of the queries with a match among the nearest k.

    Args:
        similarities: Shape `(queries, items)`.
        matches: True where an item answers a query, same shape.
        k: How far down to look.

    Returns:
        The fraction.
    """
    return recall_at(similarities, matches, ks=(k,))[f"recall@{k}"]


def cosines(queries: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Cosine similarities of all queries and items.

    Args:
        queries: Shape `(queries, features)`.
        items: Shape `(items, features)`.

    Returns:
        Shape `(queries, items)`.
    """
    return _unit(queries) @ _unit(items).T


def _unit(values: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return values / np.maximum(lengths, np.finfo("float64").tiny)
