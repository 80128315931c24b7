"""How high the right item ranks among all items."""

import numpy as np

from keras_imp._errors import message


def recall_at(
    similarities: np.ndarray,
    relevant: np.ndarray,
    ks: tuple[int, ...] = (1, 5, 10),
) -> dict[str, float]:
    """Fraction of the queries with a relevant item among the first k.

    Args:
        similarities: Shape `(queries, items)`; higher is nearer.
        relevant: True where an item answers a query, same shape. Several may:
            small data repeats captions.
        ks: How far down to look.

    Returns:
        `{"recall@1": ..., ..., "median_rank": ...}`; ranks count from 1.

    Raises:
        ValueError: If the shapes differ, or a query has no relevant item.

    Example:
        >>> import numpy as np
        >>> from keras_imp.evaluation.retrieval import recall_at
        >>> s = np.array([[0.9, 0.1, 0.0], [0.8, 0.1, 0.3]])
        >>> recall_at(s, np.eye(2, 3, dtype=bool), ks=(1, 2))
        {'recall@1': 0.5, 'recall@2': 0.5, 'median_rank': 2.0}

    Reference:
        docs/method.md, Results in the paper.
    """
    ranks = ranks_of(similarities, relevant)
    recalls = {f"recall@{k}": float((ranks <= k).mean()) for k in ks}
    return {**recalls, "median_rank": float(np.median(ranks))}


def ranks_of(similarities: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Rank of the first relevant item of each query, from 1.

    Args:
        similarities: Shape `(queries, items)`; higher is nearer.
        relevant: True where an item answers a query, same shape.

    Returns:
        int64, shape `(queries,)`. A tie with an item that is not relevant
        counts against the query.

    Raises:
        ValueError: If the shapes differ, or a query has no relevant item.

    Example:
        >>> import numpy as np
        >>> from keras_imp.evaluation.retrieval import ranks_of
        >>> s = np.array([[0.9, 0.1, 0.0], [0.8, 0.1, 0.3]])
        >>> ranks_of(s, np.eye(2, 3, dtype=bool)).tolist()
        [1, 3]
    """
    if similarities.shape != relevant.shape:
        raise ValueError(
            message(
                "`similarities` and `relevant` must have the same shape.",
                similarities=similarities.shape,
                relevant=relevant.shape,
            )
        )
    lonely = np.flatnonzero(~relevant.any(axis=1))
    if len(lonely):
        raise ValueError(
            message(
                "Each query must have at least one relevant item.",
                query=int(lonely[0]),
            )
        )
    best = np.where(relevant, similarities, -np.inf).max(axis=1, keepdims=True)
    # What is no number counts against the query.
    rivals = ~(similarities < best) & ~relevant
    return 1 + rivals.sum(axis=1)


def same_text(queries: list[str], items: list[str]) -> np.ndarray:
    """True where a query and an item are the same text.

    Args:
        queries: Texts.
        items: Texts.

    Returns:
        Booleans, shape `(queries, items)`.

    Example:
        >>> from keras_imp.evaluation.retrieval import same_text
        >>> same_text(["a", "b"], ["b", "b"]).tolist()
        [[False, False], [True, True]]
    """
    return np.array(queries)[:, None] == np.array(items)[None, :]


def chance_recall(right: np.ndarray, items: int, k: int) -> float:
    """The recall of a random order.

    Args:
        right: How many items answer each query, shape `(queries,)`.
        items: How many there are.
        k: How far down to look.

    Returns:
        The fraction of the queries with an answer among the first k.

    Example:
        >>> import numpy as np
        >>> from keras_imp.evaluation.retrieval import chance_recall
        >>> round(chance_recall(np.ones(50), 50, 10), 3)
        0.2
    """
    missed = np.ones(len(right))
    for place in range(min(k, items)):
        # The next item is wrong too, given that all before are.
        missed *= np.maximum(items - right - place, 0) / (items - place)
    return float(1 - missed.mean())
