"""The order of rows that arrays and files share."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_imp.data.order import Order, OrderInShapes

pytestmark = pytest.mark.one_backend


def batches(order, count=None):
    return [order.rows_at(i) for i in range(count or len(order))]


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=60),
    st.integers(1, 12),
    st.booleans(),
    st.integers(0, 3),
)
@settings(max_examples=200, deadline=None)
def test_a_pass_has_every_row_once(groups, size, drop_last, seed):
    if drop_last and len(groups) < size:
        return
    order = Order(
        len(groups), size, drop_last=drop_last, seed=seed, groups=groups
    )
    rows = np.concatenate(batches(order))
    kept = len(groups) - (len(groups) % size if drop_last else 0)
    assert len(rows) == len(set(rows.tolist())) == kept


@pytest.mark.parametrize("captions", [2, 5, 20])
def test_rows_of_a_group_do_not_meet_in_a_batch(captions):
    groups = np.repeat(np.arange(64), captions)
    order = Order(len(groups), 48, seed=1, groups=groups)
    for rows in batches(order, 3 * len(order)):
        assert len(set(groups[rows])) == len(rows)
    alone = Order(len(groups), 48, seed=1)
    assert any(len(set(groups[r])) < len(r) for r in batches(alone))


def test_the_rest_has_rows_of_different_groups():
    groups = np.repeat(np.arange(40), 5)
    order = Order(200, 48, drop_last=False, seed=2, groups=groups)
    last = order.rows_at(len(order) - 1)
    assert len(last) == 8
    assert len(set(groups[last])) == 8


def test_a_group_larger_than_a_pass_is_spread_evenly():
    groups = np.array([0] * 30 + list(range(1, 31)))
    order = Order(60, 10, groups=groups)
    assert {int((groups[rows] == 0).sum()) for rows in batches(order)} == {5}


def test_groups_do_not_meet_in_batches_of_several_sizes():
    groups = np.repeat(np.arange(120), 4)
    order = OrderInShapes(480, (24, 8), (1, 2), seed=3, groups=groups)
    # Where one pass follows another, what is the same row may not meet.
    inside = batches(order, len(order) - 1)
    assert all(len(set(groups[rows])) == len(rows) for rows in inside)


def test_the_order_is_drawn_anew_and_repeats_by_seed():
    groups = np.repeat(np.arange(30), 2)
    first, again, other = (
        Order(60, 10, seed=seed, groups=groups) for seed in (0, 0, 1)
    )
    assert np.array_equal(first.rows_at(9), again.rows_at(9))
    assert not np.array_equal(first.rows_at(9), other.rows_at(9))
    assert not np.array_equal(first.rows_of_pass(0), first.rows_of_pass(1))


def test_groups_that_do_not_repeat_change_nothing():
    plain, grouped = Order(20, 4), Order(20, 4, groups=np.arange(20))
    assert np.array_equal(plain.rows_of_pass(2), grouped.rows_of_pass(2))


def test_each_pair_of_groups_is_about_equally_often_together():
    groups = np.repeat(np.arange(12), 2)
    together = np.zeros((12, 12))
    for seed in range(1600):
        for rows in batches(Order(24, 6, seed=seed, groups=groups)):
            together[np.ix_(groups[rows], groups[rows])] += 1
    pairs = together[~np.eye(12, dtype=bool)]
    assert pairs.max() / pairs.min() < 1.3


def test_one_group_for_each_row_is_needed():
    with pytest.raises(ValueError, match="one group for each row"):
        Order(4, 2, groups=np.arange(3))
