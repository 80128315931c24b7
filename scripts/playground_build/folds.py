"""Divide what is not in the test split into folds of about equal size."""

from collections import Counter
from collections.abc import Iterable

from playground_build.concepts import hashed

FOLDS = 5


def deal(
    sizes: dict[str, int], seed: str, load: list[int] | None = None
) -> dict[str, int]:
    """Return the fold of each group: in hash order, each to the smallest.

    Two groups never share a fold while another fold is empty, so no fold
    holds all of several groups.

    Args:
        sizes: How many examples each group has.
        seed: What the hash of a group begins with.
        load: How many examples each fold has of groups dealt before, to
            choose between equally filled folds; counted up.
    """
    load = [0] * FOLDS if load is None else load
    filled = [0] * FOLDS
    result = {}
    for group in sorted(sizes, key=lambda name: hashed(name, seed)):
        fold = min(range(FOLDS), key=lambda at: (filled[at], load[at]))
        filled[fold] += sizes[group]
        load[fold] += sizes[group]
        result[group] = fold
    return result


def concept_folds(
    concepts: Iterable[str], always_train: frozenset[str], seed: str
) -> dict[str, int | None]:
    """Return the fold of each concept, None if it trains in every fold."""
    sizes = Counter(concepts)
    dealt = deal(
        {name: n for name, n in sizes.items() if name not in always_train},
        seed,
    )
    return {name: dealt.get(name) for name in sizes}
