"""Test-time views: what is predicted for versions of one example is averaged.

Rows of one example follow each other: those of example i are the rows
`i * views` to `(i + 1) * views - 1`.
"""

from collections.abc import Sequence

import numpy as np


def rows_of_views(views: Sequence[np.ndarray]) -> np.ndarray:
    """Put versions of the same examples into one array.

    Args:
        views: Arrays of one shape, each with a row for each example.

    Returns:
        Shape `(examples * views, ...)`, the rows of an example together.

    Example:
        >>> import numpy as np
        >>> from keras_imp.evaluation.views import rows_of_views
        >>> rows_of_views([np.array([1, 2]), np.array([10, 20])]).tolist()
        [1, 10, 2, 20]
    """
    stacked = np.stack(views, axis=1)
    return stacked.reshape(-1, *stacked.shape[2:])


def mean_vectors(vectors: np.ndarray, views: int) -> np.ndarray:
    """The direction of the mean of an example's unit vectors.

    Args:
        vectors: Shape `(examples * views, dim)`.
        views: Rows of an example.

    Returns:
        Unit vectors, shape `(examples, dim)`; `vectors` itself for one view.

    Example:
        >>> import numpy as np
        >>> from keras_imp.evaluation.views import mean_vectors
        >>> mean_vectors(np.eye(2), views=2).round(2).tolist()
        [[0.71, 0.71]]
    """
    if views == 1:
        return vectors
    mean = vectors.reshape(-1, views, vectors.shape[-1]).mean(axis=1)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def mean_probabilities(logits: np.ndarray, views: int) -> np.ndarray:
    """The mean of the probabilities of the classes over an example's rows.

    Args:
        logits: Shape `(examples * views, classes)`.
        views: Rows of an example.

    Returns:
        Shape `(examples, classes)`.

    Example:
        >>> import numpy as np
        >>> from keras_imp.evaluation.views import mean_probabilities
        >>> logits = np.array([[0.0, 0.0], [0.0, np.log(3.0)]])
        >>> mean_probabilities(logits, views=2).round(3).tolist()
        [[0.375, 0.625]]
    """
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    found = powers / powers.sum(axis=-1, keepdims=True)
    return found.reshape(-1, views, found.shape[-1]).mean(axis=1)
