import re

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from keras_imp.evaluation.nearest import BLOCK, nearest

pytestmark = pytest.mark.one_backend


@hypothesis.given(
    seed=strategies.integers(0, 2**20),
    queries=strategies.integers(1, 5),
    vectors=strategies.integers(1, 200),
    k=strategies.integers(1, 30),
    chunk=strategies.sampled_from([1, 7, 64, 65536]),
)
@hypothesis.settings(deadline=None, max_examples=100)
def test_the_nearest_are_those_of_a_full_sort(seed, queries, vectors, k, chunk):
    generator = np.random.default_rng(seed)
    # Small integers: exact in float32, with many ties.
    x = generator.integers(-2, 3, (queries, 3))
    y = generator.integers(-2, 3, (vectors, 3))
    products = x @ y.T
    expected = np.argsort(-products, axis=1, kind="stable")[:, :k]
    positions, found = nearest(x, y, k, chunk)
    np.testing.assert_array_equal(positions, expected)
    np.testing.assert_array_equal(
        found, np.take_along_axis(products, expected, 1)
    )


def test_many_queries_are_compared_block_by_block():
    generator = np.random.default_rng(0)
    x = generator.integers(-2, 3, (BLOCK + 7, 3))
    y = generator.integers(-2, 3, (90, 3))
    expected = np.argsort(-(x @ y.T), axis=1, kind="stable")[:, :4]
    positions, _ = nearest(x, y.astype("float16"), 4, chunk=16)
    np.testing.assert_array_equal(positions, expected)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"k": 0}, "`k`"),
        ({"vectors": np.zeros((0, 2))}, "must be rows of one width"),
        ({"vectors": np.zeros((3, 4))}, "must be rows of one width"),
        ({"queries": np.zeros(2)}, "must be rows of one width"),
    ],
    ids=["none", "no vectors", "width", "one query"],
)
def test_what_does_not_fit_is_refused(change, text):
    arguments = {
        "queries": np.zeros((1, 2)),
        "vectors": np.zeros((3, 2)),
        "k": 1,
        **change,
    }
    with pytest.raises(ValueError, match=re.escape(text)):
        nearest(**arguments)
