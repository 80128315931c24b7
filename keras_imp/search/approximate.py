"""The nearest of millions of vectors, nearly always, by a graph."""

from pathlib import Path
from typing import Any

import numpy as np

from keras_imp._optional import require


def build(vectors: np.ndarray, path: Path) -> None:
    """Write the graph of some vectors.

    Args:
        vectors: Unit vectors, float16, shape `(vectors, width)`.
        path: The file.

    Raises:
        ImportError: If usearch is not installed.
    """
    index = _index(vectors.shape[1])
    index.add(np.arange(len(vectors)), np.asarray(vectors, "float32"))
    index.save(str(path))


def load(path: Path, width: int) -> Any:
    """The graph that `build` wrote.

    Args:
        path: The file; it is mapped and not read.
        width: Width of the vectors.

    Returns:
        The graph.

    Raises:
        ImportError: If usearch is not installed.
    """
    index = _index(width)
    index.view(str(path))
    return index


def nearest(
    queries: np.ndarray, graph: Any, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The vectors that a graph finds for each query.

    Args:
        queries: Unit vectors, shape `(queries, width)`.
        graph: From `load`.
        k: How many to find; fewer if there are fewer.

    Returns:
        As `search.nearest`: positions and inner products.
    """
    found = graph.search(np.asarray(queries, "float32"), min(k, len(graph)))
    keys = np.atleast_2d(np.asarray(found.keys)).astype("int64")
    return keys, 1 - np.atleast_2d(np.asarray(found.distances, "float32"))


def _index(width: int) -> Any:
    index = require("usearch.index", extra="ann")
    return index.Index(ndim=width, metric="ip", dtype="f16")
