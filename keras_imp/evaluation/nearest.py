"""The nearest of many vectors, exactly, by chunks."""

import numpy as np

from keras_imp._errors import check_integer, message

# Queries and vectors that are compared at once: 64 MB of products.
BLOCK, CHUNK = 256, 65536


def nearest(
    queries: np.ndarray, vectors: np.ndarray, k: int, chunk: int = CHUNK
) -> tuple[np.ndarray, np.ndarray]:
    """The vectors with the largest inner products with each query.

    Args:
        queries: Float, shape `(queries, width)`.
        vectors: Float, shape `(vectors, width)`; float16 and memory maps are
            read chunk by chunk.
        k: How many to find; fewer if there are fewer.
        chunk: Vectors of a chunk.

    Returns:
        Their positions, int64, and products, float32, both of shape
        `(queries, k)`, the largest product first; of equal ones the first.

    Raises:
        ValueError: If shapes do not fit, or `k` is no positive integer.

    Example:
        >>> import numpy as np
        >>> from keras_imp.evaluation.nearest import nearest
        >>> positions, products = nearest(
        ...     np.array([[1.0, 0.0]]), np.array([[0.0, 1.0], [1.0, 0.0]]), 1)
        >>> positions.tolist(), products.tolist()
        ([[1]], [[1.0]])
    """
    check_integer(1, k=k, chunk=chunk)
    _check(queries, vectors)
    queries = np.asarray(queries, "float32")
    k = min(k, len(vectors))
    positions = np.empty((len(queries), k), "int64")
    products = np.empty((len(queries), k), "float32")
    chunk = max(chunk, k)
    for start in range(0, len(vectors), chunk):
        # Each vector is read once, and converted once.
        some = np.asarray(vectors[start : start + chunk], "float32").T
        for first in range(0, len(queries), BLOCK):
            rows = slice(first, first + BLOCK)
            found = queries[rows] @ some
            if start == 0:
                best = _largest(found, k)
                positions[rows] = best
                products[rows] = np.take_along_axis(found, best, 1)
            else:
                _enter(found, start, positions[rows], products[rows])
    return positions, products


def _enter(
    found: np.ndarray,
    start: int,
    positions: np.ndarray,
    products: np.ndarray,
) -> None:
    """Let products of a further chunk into those that are the largest so far.

    Few are above the least of them, so all others are only compared with it.
    One that equals it came later, and stays out.

    Args:
        found: Products with a chunk, shape `(queries, chunk)`.
        start: Position of its first vector.
        positions: Of the largest so far, shape `(queries, k)`: is changed.
        products: The largest so far, the largest first: is changed.
    """
    k = products.shape[1]
    above = found > products[:, -1:]
    for row in np.flatnonzero(above.any(axis=1)):
        entered = np.flatnonzero(above[row])
        values = np.concatenate([products[row], found[row, entered]])
        places = np.concatenate([positions[row], start + entered])
        order = np.argsort(-values, kind="stable")[:k]
        positions[row], products[row] = places[order], values[order]


def _largest(values: np.ndarray, k: int) -> np.ndarray:
    """Columns of the k largest values of each row, the largest first."""
    k = min(k, values.shape[1])
    if k == values.shape[1]:
        found = np.broadcast_to(np.arange(k), (len(values), k))
    else:
        # Those at the border are as large as others: take the first of them.
        border = np.partition(values, -k, axis=1)[:, -k, None]
        found = np.stack([_first(v, b, k) for v, b in zip(values, border)])
    order = np.argsort(
        -np.take_along_axis(values, found, 1), axis=1, kind="stable"
    )
    return np.take_along_axis(found, order, 1)


def _first(row: np.ndarray, border: np.ndarray, k: int) -> np.ndarray:
    """Positions of the k largest values of a row, in their order there."""
    above = np.flatnonzero(row > border)
    equal = np.flatnonzero(row == border)[: k - len(above)]
    return np.sort(np.concatenate([above, equal]))


def _check(queries: np.ndarray, vectors: np.ndarray) -> None:
    if (
        queries.ndim != 2
        or vectors.ndim != 2
        or queries.shape[1] != vectors.shape[1]
        or not len(vectors)
    ):
        raise ValueError(
            message(
                "`queries` and `vectors` must be rows of one width, and there "
                "must be a vector.",
                queries=queries.shape,
                vectors=vectors.shape,
            )
        )
