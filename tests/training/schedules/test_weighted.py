"""Shares by weight, size and plan, against the chi-square distribution.

Schedules are pure NumPy: the digest below is the same on every backend, since
the tests of each backend compare with it.
"""

import hashlib
import re

import numpy as np
import pytest

import keras_imp
from keras_imp import schedules
from keras_imp.training.schedules import BLOCK

pytestmark = pytest.mark.one_backend

NAMES = ("a", "b", "c")
STEPS = 8 * BLOCK
# Two degrees of freedom: above it once in a thousand seeds.
CHI_SQUARE = 13.8


def exactly(text, error=ValueError):
    return pytest.raises(error, match=f"^{re.escape(text)}$")


def chi_square(counts, shares):
    total = sum(counts.values())
    return sum(
        (counts[name] - total * share) ** 2 / (total * share)
        for name, share in shares.items()
    )


def assert_shares(schedule, weights, sizes=None):
    counts = schedule.bind(NAMES, 0, sizes).counts(STEPS)
    total = sum(weights.values())
    shares = {name: weight / total for name, weight in weights.items()}
    assert chi_square(counts, shares) < CHI_SQUARE, counts


# Temperature ----------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_a_temperature_flattens_or_sharpens_weights(temperature):
    weights = {"a": 1, "b": 2, "c": 4}
    assert_shares(
        schedules.Weighted(weights, temperature),
        {name: w ** (1 / temperature) for name, w in weights.items()},
    )


def test_another_temperature_is_not_within_chance():
    schedule = schedules.Weighted({"a": 1, "b": 2, "c": 4}, 3.0).bind(NAMES)
    shares = {"a": 1 / 7, "b": 2 / 7, "c": 4 / 7}
    assert chi_square(schedule.counts(STEPS), shares) > 10 * CHI_SQUARE


@pytest.mark.parametrize("temperature", [1e-3, 1e6, float("inf")])
def test_an_extreme_temperature_overflows_nothing(temperature):
    weights = {"a": 1e6, "b": 1e-6, "c": 1e6}
    counts = schedules.Weighted(weights, temperature).bind(NAMES).counts(3000)
    expected = 1000 if temperature > 1 else 0
    assert abs(counts["b"] - expected) <= 0.15 * expected


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan")])
def test_a_temperature_that_is_not_positive_is_refused(temperature):
    text = (
        "`temperature` must be greater than 0. "
        f"Received: temperature={temperature}."
    )
    for make in (schedules.Weighted, schedules.Proportional):
        with exactly(text):
            make(temperature=temperature)


# Proportional ---------------------------------------------------------------


def test_shares_follow_the_sizes_that_the_mixture_knows():
    sizes = {"a": 100, "b": 700, "c": 200}
    assert_shares(schedules.Proportional(), sizes, sizes)


def test_given_sizes_come_before_those_of_the_mixture():
    sizes = {"a": 1, "b": 3, "c": 4}
    known = {"a": 5, "b": None, "c": 5}
    assert_shares(schedules.Proportional(sizes), sizes, known)


def test_a_cap_and_a_temperature_as_in_t5():
    sizes = {"a": 100, "b": 10**6, "c": 900}
    assert_shares(
        schedules.Proportional(temperature=2.0, max_size=400),
        {"a": 10, "b": 20, "c": 20},
        sizes,
    )


def arrays(rows, size):
    return keras_imp.data.Arrays(
        {"audio": np.zeros((rows, 2))}, np.arange(rows), batch_size=size
    )


def test_a_mixture_counts_examples_if_all_sources_tell_them():
    sources = {"a": arrays(64, 32), "b": arrays(256, 2), "c": arrays(64, 2)}
    mixture = keras_imp.TaskMixture(sources, schedules.Proportional())
    counts = mixture.schedule.counts(STEPS)
    shares = {"a": 1 / 6, "b": 4 / 6, "c": 1 / 6}
    assert chi_square(counts, shares) < CHI_SQUARE, counts


def test_a_mixture_counts_batches_if_one_source_tells_no_examples():
    sources = {"a": arrays(64, 32), "b": [()] * 4, "c": arrays(64, 16)}
    mixture = keras_imp.TaskMixture(sources, schedules.Proportional())
    counts = mixture.schedule.counts(STEPS)
    shares = {"a": 0.2, "b": 0.4, "c": 0.4}
    assert chi_square(counts, shares) < CHI_SQUARE, counts


def test_a_source_of_unknown_size_is_refused_without_reading_it():
    def endless():
        raise AssertionError("read")

    text = (
        "A schedule by size must know the size of each task's data. Received: "
        "task='b', size=None. Give `sizes` to the schedule: this source has "
        "neither a length nor `num_examples`."
    )
    sources = {"a": [()], "b": endless}
    with exactly(text):
        keras_imp.TaskMixture(sources, schedules.Proportional())
    keras_imp.TaskMixture(sources, schedules.Proportional({"a": 1, "b": 2}))


def test_a_size_that_is_not_positive_is_refused():
    text = (
        "The size of a task must be finite and greater than 0. Received: "
        "task='b', size=0. Leave the task out of the mixture to not train it."
    )
    with exactly(text):
        schedules.Proportional({"a": 1, "b": 0})
    with exactly("`max_size` must be greater than 0. Received: max_size=0."):
        schedules.Proportional(max_size=0)


# Curriculum -----------------------------------------------------------------

PLAN = {
    0: {"a": 1, "b": 0, "c": 1},
    2 * BLOCK: {"a": 1, "b": 2, "c": 1},
    4 * BLOCK: {"a": 0, "b": 2, "c": 6},
}


def tally(schedule, first, last):
    before, after = schedule.counts(first), schedule.counts(last)
    return {name: after[name] - before[name] for name in NAMES}


def expected_of(steps):
    """Number of draws of each task that a plan makes likely, by summing."""
    knots = sorted(PLAN)
    weights = np.stack(
        [
            np.interp(steps, knots, [PLAN[knot][name] for knot in knots])
            for name in NAMES
        ]
    )
    return (weights / weights.sum(0)).sum(1)


@pytest.mark.parametrize("quarter", range(8))
def test_a_curriculum_goes_in_straight_lines(quarter):
    schedule = schedules.Curriculum(PLAN).bind(NAMES, seed=2)
    first, last = quarter * 800, (quarter + 1) * 800
    counts = tally(schedule, first, last)
    expected = expected_of(np.arange(first, last)) / 800
    shares = dict(zip(NAMES, expected))
    if not shares["a"]:  # After the last step of the plan.
        assert counts["a"] == 0
        del shares["a"]
    assert chi_square(counts, shares) < CHI_SQUARE, counts


def test_a_curriculum_without_interpolation_holds_each_weight():
    schedule = schedules.Curriculum(PLAN, interpolate=False)
    schedule.bind(NAMES, seed=0)
    first = tally(schedule, 0, 2 * BLOCK)
    assert first["b"] == 0
    assert chi_square(first, {"a": 0.5, "c": 0.5}) < CHI_SQUARE
    second = tally(schedule, 2 * BLOCK, 4 * BLOCK)
    shares = {"a": 0.25, "b": 0.5, "c": 0.25}
    assert chi_square(second, shares) < CHI_SQUARE
    third = tally(schedule, 4 * BLOCK, 6 * BLOCK)
    assert third["a"] == 0
    assert chi_square(third, {"b": 0.25, "c": 0.75}) < CHI_SQUARE


@pytest.mark.parametrize("interpolate", [True, False])
def test_before_its_first_step_a_curriculum_has_its_first_weights(interpolate):
    plan = {500: {"a": 1, "b": 0, "c": 0}, 501: {"a": 0, "b": 1, "c": 0}}
    schedule = schedules.Curriculum(plan, interpolate).bind(NAMES)
    drawn = "".join(schedule.task(step) for step in range(1000))
    assert drawn == "a" * 501 + "b" * 499


def test_a_curriculum_as_a_function_equals_its_plan():
    def weights(steps):
        knots = sorted(PLAN)
        return {
            name: np.interp(steps, knots, [PLAN[knot][name] for knot in knots])
            for name in NAMES
        }

    plan = schedules.Curriculum(PLAN).bind(NAMES, seed=9)
    function = schedules.Curriculum(weights).bind(NAMES, seed=9)
    for step in range(0, 5 * BLOCK, 7):
        assert plan.task(step) == function.task(step)


def test_a_function_may_give_plain_numbers():
    schedule = schedules.Curriculum(lambda steps: {"a": 0, "b": 1, "c": 3})
    counts = schedule.bind(NAMES).counts(STEPS)
    assert counts.pop("a") == 0
    assert chi_square(counts, {"b": 0.25, "c": 0.75}) < CHI_SQUARE


@pytest.mark.parametrize(
    ("plan", "text"),
    [
        (
            {},
            "The plan of a curriculum must have at least one step. Received: "
            "weights={}.",
        ),
        (
            {-1: {}},
            "The steps of a curriculum must be integers of at least 0. "
            "Received: step=-1.",
        ),
        (
            {0.5: {}},
            "The steps of a curriculum must be integers of at least 0. "
            "Received: step=0.5.",
        ),
    ],
)
def test_a_plan_without_good_steps_is_refused(plan, text):
    with exactly(text):
        schedules.Curriculum(plan)


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        (
            {"a": 1, "b": -0.5, "c": 1},
            "The weight of a task must be a finite number of at least 0. "
            "Received: step=0, task='b', weight=-0.5.",
        ),
        (
            {"a": 1, "b": 1, "c": float("nan")},
            "The weight of a task must be a finite number of at least 0. "
            "Received: step=0, task='c', weight=nan.",
        ),
        (
            {"a": 0, "b": 0, "c": 0},
            "At least one task must have a weight above 0 at each step. "
            "Received: step=0, weights={'a': 0.0, 'b': 0.0, 'c': 0.0}.",
        ),
        (
            {"a": 1, "b": 1},
            "`weights` of the schedule must name exactly the tasks of the "
            "mixture, ['a', 'b', 'c']. Received: weights=['a', 'b'].",
        ),
    ],
)
def test_bad_weights_of_a_curriculum_are_refused(weights, text):
    with exactly(text):
        schedules.Curriculum({0: weights}).bind(NAMES)
    function = schedules.Curriculum(lambda steps: weights).bind(NAMES)
    with exactly(text):
        function.task(0)


# Reproducible ---------------------------------------------------------------


def digest():
    """Of the first blocks of every schedule with chance."""
    sizes = {"a": 10, "b": 40, "c": 50}
    found = hashlib.sha256()
    for schedule in (
        schedules.Weighted(),
        schedules.Weighted({"a": 1, "b": 2, "c": 5}, temperature=2.0),
        schedules.Proportional(max_size=45),
        schedules.Curriculum(PLAN),
        schedules.LossDriven(every=BLOCK),
    ):
        schedule.bind(NAMES, 2**40 + 7, sizes)
        drawn = "".join(schedule.task(step) for step in range(2 * BLOCK))
        found.update(drawn.encode())
    return found.hexdigest()[:16]


def test_draws_are_the_same_in_every_process_and_on_every_backend():
    # `tests/test_import.py` compares with those of another process.
    assert digest() == "f9789e4b2d27b381"
