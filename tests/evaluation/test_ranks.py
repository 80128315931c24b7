import re

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from keras_imp.evaluation.ranks import ranks
from keras_imp.evaluation.retrieval import ranks_of

pytestmark = pytest.mark.one_backend


def by_brute_force(queries, items, query_groups, item_groups):
    similarities = queries @ items.T
    right = query_groups[:, None] == item_groups[None]
    best = np.where(right, similarities, -np.inf).max(axis=1, keepdims=True)
    return 1 + ((similarities >= best) & ~right).sum(axis=1)


@hypothesis.given(
    seed=strategies.integers(0, 2**20),
    queries=strategies.integers(1, 600),
    items=strategies.integers(1, 400),
    groups=strategies.integers(1, 60),
    chunk=strategies.sampled_from([1, 7, 64, 16384]),
)
@hypothesis.settings(deadline=None, max_examples=60)
def test_ranks_are_those_of_all_similarities(
    seed, queries, items, groups, chunk
):
    generator = np.random.default_rng(seed)
    # Small integers: exact in float32, with many ties.
    x = generator.integers(-2, 3, (queries, 3)).astype("float32")
    y = generator.integers(-2, 3, (items, 3)).astype("float32")
    of_items = generator.integers(0, groups, items)
    of_queries = generator.choice(of_items, queries)
    np.testing.assert_array_equal(
        ranks(x, y, of_queries, of_items, chunk),
        by_brute_force(x, y, of_queries, of_items),
    )


def test_groups_may_be_texts():
    items = np.eye(3, dtype="float32")
    names = np.array(["cat", "dog", "ox"])
    found = ranks(items[[1, 2]], items, np.array(["dog", "cat"]), names)
    # Of the cat's query, the ox is nearer and the dog is a tie.
    assert found.tolist() == [1, 3]


def test_items_may_be_a_memory_map_of_half_precision(tmp_path):
    generator = np.random.default_rng(0)
    items = generator.normal(size=(500, 8))
    items /= np.linalg.norm(items, axis=1, keepdims=True)
    items = items.astype("float16")
    np.save(tmp_path / "items.npy", items)
    mapped = np.load(tmp_path / "items.npy", mmap_mode="r")
    groups = np.arange(500)
    assert (ranks(items, mapped, groups, groups, 64) == 1).all()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"query_groups": np.array([0, 9])},
            "Each query must have at least one right item. Received: query=1",
        ),
        ({"items": np.zeros((3, 5))}, "must have the same width"),
        ({"items": np.zeros((0, 2))}, "must be rows of vectors, not empty"),
        ({"item_groups": np.zeros(2, int)}, "`item_groups` must have an id"),
        ({"chunk": 0}, "`chunk`"),
    ],
    ids=["no answer", "width", "no items", "groups", "chunk"],
)
def test_what_does_not_fit_is_refused(change, text):
    arguments = {
        "queries": np.zeros((2, 2)),
        "items": np.zeros((3, 2)),
        "query_groups": np.array([0, 1]),
        "item_groups": np.arange(3),
        **change,
    }
    with pytest.raises(ValueError, match=re.escape(text)):
        ranks(**arguments)


def test_what_is_no_number_counts_against_the_query():
    items = np.eye(3, dtype="float32")
    queries = np.array([[1, 0, 0], [np.nan, 1, 0]], "float32")
    found = ranks(queries, items, np.array([0, 1]), np.arange(3))
    assert found.tolist() == [1, 3]
    similarities = np.array([[0.9, np.nan, 0.1], [np.nan] * 3])
    found = ranks_of(similarities, np.eye(2, 3, dtype=bool))
    assert found.tolist() == [2, 3]
