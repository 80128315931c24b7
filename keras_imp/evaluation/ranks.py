"""Ranks of the right answers of a search, by chunks: memory stays bounded."""

import numpy as np

from keras_imp._errors import check_integer, message

# Queries that are compared at once; of the items, `chunk` are.
BLOCK = 256
CHUNK = 16384


def ranks(
    queries: np.ndarray,
    items: np.ndarray,
    query_groups: np.ndarray,
    item_groups: np.ndarray,
    chunk: int = CHUNK,
) -> np.ndarray:
    """Rank of the best right item of each query, by the inner product.

    All items of a query's group are right. An item that is not and is as near
    counts against the query. Similarities are never there all at once: 256
    queries and `chunk` items are compared at a time.

    Args:
        queries: Float, shape `(queries, width)`.
        items: Float, shape `(items, width)`; float16 and memory maps are read
            chunk by chunk.
        query_groups: Id of each query's group: integers or texts.
        item_groups: Id of each item's group.
        chunk: Items of a chunk.

    Returns:
        int64, shape `(queries,)`; 1 is the first.

    Raises:
        ValueError: If shapes do not fit, or a query has no right item.

    Example:
        >>> import numpy as np
        >>> from keras_imp.evaluation.ranks import ranks
        >>> items = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
        >>> queries = np.array([[1.0, 0.0], [0.1, 0.9]])
        >>> ranks(queries, items, np.array([0, 2]), np.arange(3)).tolist()
        [1, 2]
    """
    check_integer(chunk=chunk)
    _check(queries, items, query_groups, item_groups)
    wanted, of_items = _numbered(query_groups, item_groups)
    # Sorted by group, the right items of neighboring queries are neighbors.
    order = np.argsort(wanted, kind="stable")
    wanted, positions = wanted[order], np.argsort(of_items, kind="stable")
    sorted_groups = of_items[positions]

    def read(start: int) -> np.ndarray:
        return np.asarray(items[positions[start : start + chunk]], "float32")

    blocks = [slice(i, i + BLOCK) for i in range(0, len(queries), BLOCK)]
    sorted_queries = np.asarray(queries, "float32")[order]
    best = np.full(len(queries), -np.inf, "float32")
    for rows in blocks:
        first = np.searchsorted(sorted_groups, wanted[rows][0], "left")
        last = np.searchsorted(sorted_groups, wanted[rows][-1], "right")
        for start in range(first - first % chunk, last, chunk):
            near = sorted_queries[rows] @ read(start).T
            near[~_same(wanted[rows], sorted_groups, start, chunk)] = -np.inf
            best[rows] = np.maximum(best[rows], near.max(axis=1))
    rivals = np.zeros(len(queries), "int64")
    for start in range(0, len(positions), chunk):
        some = read(start)
        for rows in blocks:
            # The same products as above, to the last bit: ties are found.
            # What is no number counts against the query.
            near = ~(sorted_queries[rows] @ some.T < best[rows, None])
            near &= ~_same(wanted[rows], sorted_groups, start, chunk)
            rivals[rows] += np.count_nonzero(near, axis=1)
    found = np.empty(len(queries), "int64")
    found[order] = 1 + rivals
    return found


def _same(
    wanted: np.ndarray, groups: np.ndarray, start: int, chunk: int
) -> np.ndarray:
    """Which items of a chunk are of each query's group."""
    return wanted[:, None] == groups[None, start : start + chunk]


def _numbered(
    queries: np.ndarray, items: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The groups as numbers; raises where a query has no right item."""
    ids, numbers = np.unique(np.asarray(items), return_inverse=True)
    places = np.searchsorted(ids, queries)
    places = np.minimum(places, len(ids) - 1)
    lonely = np.flatnonzero(ids[places] != np.asarray(queries))
    if len(lonely):
        raise ValueError(
            message(
                "Each query must have at least one right item.",
                query=int(lonely[0]),
                group=queries[lonely[0]],
            )
        )
    return places, numbers.reshape(-1)


def _check(
    queries: np.ndarray,
    items: np.ndarray,
    query_groups: np.ndarray,
    item_groups: np.ndarray,
) -> None:
    if queries.ndim != 2 or items.ndim != 2 or not len(items):
        raise ValueError(
            message(
                "`queries` and `items` must be rows of vectors, not empty.",
                queries=queries.shape,
                items=items.shape,
            )
        )
    if queries.shape[1] != items.shape[1]:
        raise ValueError(
            message(
                "`queries` and `items` must have the same width.",
                queries=queries.shape,
                items=items.shape,
            )
        )
    for name, groups, rows in (
        ("query_groups", query_groups, queries),
        ("item_groups", item_groups, items),
    ):
        if np.shape(groups) != (len(rows),):
            raise ValueError(
                message(
                    f"`{name}` must have an id for each row.",
                    **{name: np.shape(groups)},
                    rows=len(rows),
                )
            )
