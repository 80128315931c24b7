"""How well a model finds what belongs together, in both directions."""

from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from keras_imp._errors import check_positive, message
from keras_imp.evaluation.intervals import Estimate, fraction, median
from keras_imp.evaluation.parts import find_part, predict_part
from keras_imp.evaluation.ranks import CHUNK, ranks
from keras_imp.evaluation.report import Report
from keras_imp.evaluation.retrieval import chance_recall

KS = (1, 5, 10)


def evaluate_retrieval(
    model: Any,
    task: str,
    x: dict[str, np.ndarray],
    groups: np.ndarray | None = None,
    ks: tuple[int, ...] = KS,
    batch_size: int = 64,
    chunk: int = CHUNK,
) -> Report:
    """Measure a contrastive task as a search: each modality finds the others.

    All rows of a query's group answer it. A text that several rows of a group
    have is one item: they could not be told apart. The similarities are
    compared chunk by chunk: memory is that of the vectors, and less than
    100 MB for a million rows.

    Args:
        model: An `AlternatingModel`.
        task: Name of a contrastive task; `"<task>/<part>"` if it is a part of
            a `Combined` one.
        x: Inputs of at least two of its modalities, row by row.
        groups: Ids of what belongs together, integers or texts, shape
            `(rows,)`. Defaults to each row on its own, with those of the same
            text, if text is a modality.
        ks: How far down to look.
        batch_size: Examples of a batch.
        chunk: Items that are compared at once.

    Returns:
        For each direction the fraction of the queries with an answer among
        the first k, and the median rank, from 1. Where rows share a group,
        the intervals draw groups.

    Raises:
        ValueError: If the model has no such task, or rows do not fit.

    Example:
        >>> import numpy as np, keras_imp
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2, ("image", "text"),
        ...     vocabulary_size=9)
        >>> model = keras_imp.AlternatingModel(encoder, [
        ...     keras_imp.tasks.Contrastive("captions", projection_dim=8)])
        >>> model.compile()
        >>> report = keras_imp.evaluate_retrieval(model, "captions", {
        ...     "image": np.zeros((4, 16, 16, 3)),
        ...     "text": np.array([[1], [1], [2], [3]])}, ks=(1,))
        >>> list(report.values)[:2]
        ['image to text, R@1', 'image to text, median rank']
    """
    found = retrieval_ranks(model, task, x, groups, batch_size, chunk)
    values: dict[str, Estimate] = {}
    chance: dict[str, float] = {}
    for (query, item), of_queries in found.ranks.items():
        of_items = found.items[item]
        right = np.bincount(of_items)[found.groups]
        for k in ks:
            name = f"{query} to {item}, R@{k}"
            values[name] = fraction(of_queries <= k, found.groups)
            chance[name] = chance_recall(right, len(of_items), k)
        name = f"{query} to {item}, median rank"
        values[name] = median(of_queries, found.groups)
    title, settings = f"{task}, retrieval", {"ks": list(ks)}
    rows = len(found.groups)
    return Report(title, values, rows, chance, settings=settings)


class RetrievalRanks(NamedTuple):
    """What a search found.

    Attributes:
        ranks: Rank of the best answer to each row, from 1, by the modality
            that is searched by and the one that is searched for.
        groups: Number of each row's group.
        items: Numbers of the groups of what was searched for, by modality.
    """

    ranks: dict[tuple[str, str], np.ndarray]
    groups: np.ndarray
    items: dict[str, np.ndarray]


def retrieval_ranks(
    model: Any,
    task: str,
    x: dict[str, np.ndarray],
    groups: np.ndarray | None = None,
    batch_size: int = 64,
    chunk: int = CHUNK,
) -> RetrievalRanks:
    """Search by each row of each modality for the rows of each other.

    Args:
        model: An `AlternatingModel`.
        task: As in `evaluate_retrieval`.
        x: Inputs of at least two modalities, row by row.
        groups: Ids of what belongs together, or None.
        batch_size: Examples of a batch.
        chunk: Items that are compared at once.

    Returns:
        The ranks.

    Raises:
        ValueError: If the model has no such task, or rows do not fit.
    """
    check_positive(batch_size=batch_size)
    rows = check_retrieval(model, task, x, groups)
    if groups is None:
        groups = _same_texts(x["text"]) if "text" in x else np.arange(rows)
    vectors: dict[str, np.ndarray] = {}
    for modality, inputs in x.items():
        vectors |= predict_part(model, task, {modality: inputs}, batch_size)
    _, groups = np.unique(groups, return_inverse=True)
    groups = groups.reshape(-1)
    items = {modality: _items(x, modality, groups) for modality in x}
    found = {
        (query, item): ranks(
            vectors[f"{query}_to_{item}"],
            vectors[f"{item}_to_{query}"][items[item]],
            groups,
            groups[items[item]],
            chunk,
        )
        for query, item in permutations(x, 2)
    }
    of_items = {modality: groups[rows] for modality, rows in items.items()}
    return RetrievalRanks(found, groups, of_items)


def _items(
    x: dict[str, np.ndarray], modality: str, groups: np.ndarray
) -> np.ndarray:
    """Rows of the items of a modality, each text of a group once."""
    if modality != "text":
        return np.arange(len(groups))
    texts = np.column_stack([_same_texts(x["text"]), groups])
    return np.sort(np.unique(texts, axis=0, return_index=True)[1])


def _same_texts(ids: np.ndarray) -> np.ndarray:
    """A number for each text; equal texts have the same."""
    return np.unique(ids, axis=0, return_inverse=True)[1].reshape(-1)


def check_retrieval(
    model: Any, name: str, x: dict[str, np.ndarray], groups: np.ndarray | None
) -> int:
    """Raise unless a task can be asked for rows.

    Args:
        model: An `AlternatingModel`.
        name: Name of the task.
        x: Inputs by modality.
        groups: Ids of what belongs together, or None.

    Returns:
        How many rows there are.

    Raises:
        ValueError: If the model has no such task, or rows do not fit.
    """
    modalities = tuple(find_part(model, name).modalities)
    if len(x) < 2 or not set(x) <= set(modalities):
        raise ValueError(
            message(
                "`x` must have at least two modalities of the task.",
                f"Those of {name!r} are {modalities}.",
                modalities=sorted(x),
            )
        )
    counts = {modality: len(values) for modality, values in x.items()}
    if groups is not None:
        counts["groups"] = len(groups)
    if len(set(counts.values())) > 1 or not min(counts.values()):
        raise ValueError(
            message("Each row must have an entry of everything.", rows=counts)
        )
    return next(iter(counts.values()))
