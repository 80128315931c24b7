import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_imp.tasks import contrastive_loss
from tests.helpers import task_oracles as oracles
from tests.helpers.weights import assert_near, to_numpy

# docs/method.md, Tasks and losses: similarities [[0.9, 0.1], [0.2, 0.6]], one
# instance each.
PUBLISHED = [
    (1.0, 0.4421, 0.4386, 0.4403),
    (0.2, 0.0725, 0.0543, 0.0634),
    (0.07, 0.0017, 0.0004, 0.0010),
]


def four_axes(matrix):
    return ops.array(np.asarray(matrix, "float32")[:, None, :, None])


@pytest.mark.parametrize(("tau", "ab", "ba", "mean"), PUBLISHED)
def test_published_test_vector(tau, ab, ba, mean):
    found = contrastive_loss(four_axes([[0.9, 0.1], [0.2, 0.6]]) / tau)
    a_to_b, b_to_a = (to_numpy(part).mean() for part in found)
    assert round(float(a_to_b), 4) == ab
    assert round(float(b_to_a), 4) == ba
    # The published mean is of the unrounded values.
    assert float(a_to_b + b_to_a) / 2 == pytest.approx(mean, abs=6e-5)


def test_a_uniform_batch_is_at_chance():
    found = contrastive_loss(ops.zeros((7, 1, 7, 1)))
    assert_near(found.a_to_b, np.full(7, math.log(7)), oracles.TOLERANCE)


@pytest.mark.parametrize("margin", [0.0, 0.3])
@pytest.mark.parametrize("bags", [(1, 1), (1, 3), (2, 3)])
def test_several_instances_equal_the_oracle(rng, bags, margin):
    m, n = bags
    s = 2 * rng.normal(size=(5, m, 5, n))
    found = contrastive_loss(ops.array(s.astype("float32")), margin=margin)
    a_to_b, b_to_a = oracles.nce(s, margin=margin)
    assert_near(found.a_to_b, a_to_b, oracles.TOLERANCE)
    assert_near(found.b_to_a, b_to_a, oracles.TOLERANCE)


def test_the_margin_enters_the_numerator_only(rng):
    s = ops.array(rng.normal(size=(5, 1, 5, 1)).astype("float32"))
    plain, moved = contrastive_loss(s), contrastive_loss(s, margin=0.25)
    assert_near(moved.a_to_b, to_numpy(plain.a_to_b) + 0.25, 1e-6)


def test_excluded_pairs_equal_the_oracle_without_them(rng):
    s = 2 * rng.normal(size=(5, 2, 5, 3))
    excluded = rng.random(s.shape) < 0.3
    for i in range(5):
        excluded[i, 0, i, 0] = False  # Each example keeps a positive.
    found = contrastive_loss(
        ops.array(s.astype("float32")), ops.array(excluded)
    )
    a_to_b, b_to_a = oracles.nce(s, ~excluded)
    assert_near(found.a_to_b, a_to_b, oracles.TOLERANCE)
    assert_near(found.b_to_a, b_to_a, oracles.TOLERANCE)


batches = st.integers(2, 6).flatmap(
    lambda n: st.lists(
        st.lists(st.floats(-3, 3, width=32), min_size=n, max_size=n),
        min_size=n,
        max_size=n,
    )
)
few = settings(max_examples=20, deadline=None)


@few
@given(batches)
def test_loss_is_symmetric_in_its_modalities(matrix):
    there = contrastive_loss(four_axes(matrix))
    back = contrastive_loss(four_axes(np.transpose(matrix)))
    assert_near(there.a_to_b, to_numpy(back.b_to_a), 1e-5)
    assert_near(there.b_to_a, to_numpy(back.a_to_b), 1e-5)


@few
@given(batches, st.randoms(use_true_random=False))
def test_permuting_the_examples_permutes_the_losses(matrix, random):
    order = list(range(len(matrix)))
    random.shuffle(order)
    plain = contrastive_loss(four_axes(matrix))
    moved = contrastive_loss(four_axes(np.asarray(matrix)[order][:, order]))
    for a, b in zip(plain, moved, strict=True):
        assert_near(b, to_numpy(a)[order], 1e-5)
