"""Draws: pure functions of seed, batch, row and name, and random enough."""

import re

import numpy as np
import pytest

from keras_imp.data.augment import Draws

pytestmark = pytest.mark.one_backend

# Of a standard normal number, less than 1 in 10^6 is beyond.
SIGMAS = 5.0
MANY = 20_000


def correlation(first, second):
    """In standard deviations of that of independent numbers."""
    value = np.corrcoef(np.ravel(first), np.ravel(second))[0, 1]
    return abs(value) * np.sqrt(np.size(first))


def everything(draws):
    return [
        draws.uniform("a"),
        draws.uniform("b", size=(3, 2), dtype="float64"),
        draws.integers("c", 0, 100, (4,)),
        draws.bernoulli("d", 0.5),
        draws.permutation("e", 7),
        draws.choice("f", [1.0, 2.0, 3.0]),
    ]


def test_the_numbers_are_these_on_every_machine():
    draws = Draws(seed=1, index=2, rows=[0, 5])
    assert draws.integers("a", 0, 1000).tolist() == [951, 246]
    assert draws.within("x", "y").integers("a", 0, 1000).tolist() == [886, 949]


def test_a_row_gets_the_same_numbers_alone_among_others_and_in_any_order():
    rows = [11, 3, 8, 500_000]
    together = everything(Draws(0, 3, rows))
    for place, row in enumerate(rows):
        for one, several in zip(everything(Draws(0, 3, [row])), together):
            np.testing.assert_array_equal(one[0], several[place])


def test_the_first_numbers_of_a_row_do_not_depend_on_how_many_are_drawn():
    draws = Draws(0, 0, 5)
    few, more = (draws.uniform("a", size=(n,)) for n in (2, 9))
    np.testing.assert_array_equal(few, more[:, :2])


@pytest.mark.parametrize(
    "other",
    [
        Draws(1, 3, MANY).within("z"),
        Draws(0, 4, MANY).within("z"),
        Draws(0, 3, np.arange(MANY) + 1).within("z"),
        Draws(0, 3, np.arange(MANY) + MANY).within("z"),
        Draws(0, 3, MANY),
        Draws(0, 3, MANY).within("z", "z"),
    ],
    ids=["seed", "index", "next row", "rows", "no path", "longer path"],
)
def test_other_seeds_batches_rows_and_paths_are_independent(other):
    here = Draws(0, 3, MANY).within("z").uniform("a")
    assert correlation(here, other.uniform("a")) < SIGMAS


def test_names_and_positions_are_independent():
    draws = Draws(0, 3, MANY)
    assert correlation(draws.uniform("a"), draws.uniform("b")) < SIGMAS
    numbers = draws.uniform("c", size=(4,))
    for shift in (1, 2, 3):
        assert correlation(numbers, np.roll(numbers, shift, axis=1)) < SIGMAS


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", [0, 1, 1 << 70])
def test_uniform_numbers_are_uniform(seed, dtype):
    numbers = Draws(seed, 0, MANY).uniform("a", -1.0, 3.0, (3,), dtype)
    assert numbers.dtype == dtype
    assert numbers.shape == (MANY, 3)
    assert numbers.min() >= -1
    assert numbers.max() <= 3
    count = numbers.size
    width = 4 / np.sqrt(12)
    assert abs(numbers.mean() - 1) < SIGMAS * width / np.sqrt(count)
    # The fourth moment of a uniform number is 9 / 5 of its variance squared.
    spread = width**2 * np.sqrt(4 / 5 / count)
    assert abs(numbers.var() - width**2) < SIGMAS * spread
    # Pearson's statistic of 64 cells: mean 63, variance 126.
    cells = np.histogram(numbers, 64, (-1, 3))[0]
    statistic = ((cells - count / 64) ** 2).sum() / (count / 64)
    assert abs(statistic - 63) < SIGMAS * np.sqrt(126)


def test_integers_are_uniform_from_low_to_below_high():
    numbers = Draws(0, 0, MANY).integers("a", -2, 3)
    counts = np.bincount(numbers + 2)
    assert numbers.dtype == "int64"
    assert len(counts) == 5
    assert np.all(abs(counts - 4000) < SIGMAS * np.sqrt(MANY * 0.2 * 0.8))


def test_integers_may_have_limits_of_each_row():
    high = np.array([1, 2, 1 << 31])
    numbers = np.stack(
        [Draws(0, i, 3).integers("a", high - 1, high + 1) for i in range(50)]
    )
    assert np.all((numbers == high) | (numbers == high - 1))
    assert np.all(np.ptp(numbers, axis=0) == 1)


def test_a_bernoulli_draw_has_its_probability():
    draws = Draws(0, 0, MANY)
    count = draws.bernoulli("a", 0.2).sum()
    assert abs(count - 0.2 * MANY) < SIGMAS * np.sqrt(MANY * 0.2 * 0.8)
    assert not draws.bernoulli("a", 0.0).any()
    assert draws.bernoulli("a", 1.0).all()


def test_permutations_are_uniform():
    orders = Draws(0, 0, MANY).permutation("a", 3)
    found, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(found) == 6
    assert np.all(abs(counts - MANY / 6) < SIGMAS * np.sqrt(MANY * 5 / 36))


def test_choices_follow_their_weights():
    picks = Draws(0, 0, MANY).choice("a", [0.0, 1.0, 0.0, 3.0, 0.0])
    counts = np.bincount(picks, minlength=5)
    assert counts[[0, 2, 4]].tolist() == [0, 0, 0]
    assert abs(counts[1] - MANY / 4) < SIGMAS * np.sqrt(MANY * 3 / 16)


def test_choices_may_have_weights_of_each_row():
    weights = np.eye(4)[[2, 0, 3]]
    assert Draws(0, 0, 3).choice("a", weights).tolist() == [2, 0, 3]


def test_shared_draws_are_those_without_a_path():
    draws = Draws(0, 3, 4)
    np.testing.assert_array_equal(
        draws.within("image", "0").shared.uniform("place"),
        draws.uniform("place"),
    )


def test_names_with_separators_do_not_meet():
    draws = Draws(0, 0, 4)
    first = draws.within("a', 'b").uniform("c")
    assert np.all(first != draws.within("a", "b").uniform("c"))


def test_a_generator_gives_the_seed():
    numbers = [
        Draws.of(np.random.default_rng(seed), 5).uniform("a").tolist()
        for seed in (0, 0, 1)
    ]
    assert numbers[0] == numbers[1]
    assert set(numbers[0]).isdisjoint(numbers[2])


def test_no_rows_give_no_numbers():
    assert Draws(0, 0, []).uniform("a", size=(2,)).shape == (0, 2)
    assert Draws(0, 0, 0).integers("a", 0, 2).shape == (0,)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: Draws(-1, 0, 2),
            "`seed` must be an integer of at least 0. Received: seed=-1.",
        ),
        (
            lambda: Draws(0, 0, [0.5]),
            "`rows` must be one row number per example, or how many. Received: "
            "shape=(1,), dtype='float64'.",
        ),
        (
            lambda: Draws(0, 0, [3, -1]),
            "Row numbers must be at least 0. Received: least=-1.",
        ),
        (
            lambda: Draws(0, 0, 2).uniform("a", dtype="float16"),
            "`dtype` must be one of ['float32', 'float64']. Received: "
            "dtype='float16'.",
        ),
        (
            lambda: Draws(0, 0, 2).integers("a", 3, 3),
            "`high` must be above `low`, by 2^31 at most. Received: name='a', "
            "low=3, high=3.",
        ),
        (
            lambda: Draws(0, 0, 2).choice("a", [0.0, 0.0]),
            "`weights` must not be negative, and some must be above 0. "
            "Received: name='a', shape=(2,).",
        ),
    ],
    ids=["seed", "rows", "negative row", "dtype", "range", "weights"],
)
def test_bad_arguments(call, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        call()
