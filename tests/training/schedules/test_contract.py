"""What every exported schedule promises, one promise per test.

To put a schedule under the contract, add a row to `CASES`.
"""

import copy
import pickle
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

from keras_imp import schedules
from keras_imp.training.schedules import BLOCK, Rounds, Schedule, Statistics

pytestmark = pytest.mark.one_backend

NAMES = ("a", "b", "c")
SEED = 5
SIZES = {"a": 10, "b": 40, "c": 20}
WEIGHTS = {"a": 1, "b": 2, "c": 5}
# Over the end of a block, and to the end of what adaptive ones decide at first.
STEPS = BLOCK + 100
EVERY = STEPS // 2


def falling(steps):
    """A curriculum as a function."""
    return {"a": np.exp(-steps / 500), "b": 1.0, "c": 2.0}


class ScheduleCase(NamedTuple):
    """A schedule, and how it prints.

    Attributes:
        make: Makes it.
        text: Its `repr`.
        is_random: Whether the seed matters.
        other_names: Makes one that names other tasks than the mixture has.
    """

    make: Callable[[], Schedule]
    text: str
    is_random: bool = True
    other_names: Callable[[], Schedule] | None = None


CASES = {
    "weighted": ScheduleCase(
        lambda: schedules.Weighted(WEIGHTS, temperature=2.0),
        "Weighted(weights={'a': 1, 'b': 2, 'c': 5}, temperature=2.0)",
        other_names=lambda: schedules.Weighted({"a": 1, "d": 2}),
    ),
    "weighted, by default": ScheduleCase(
        lambda: schedules.Weighted(),
        "Weighted()",
    ),
    "proportional": ScheduleCase(
        lambda: schedules.Proportional(max_size=30),
        "Proportional(max_size=30)",
        other_names=lambda: schedules.Proportional({"a": 1, "d": 2}),
    ),
    "round robin": ScheduleCase(
        schedules.RoundRobin, "RoundRobin()", is_random=False
    ),
    "intervals": ScheduleCase(
        lambda: schedules.Intervals({"a": 1, "b": 3, "c": 4}),
        "Intervals(intervals={'a': 1, 'b': 3, 'c': 4})",
        is_random=False,
        other_names=lambda: schedules.Intervals({"a": 1, "d": 2}),
    ),
    "curriculum": ScheduleCase(
        lambda: schedules.Curriculum(
            {0: WEIGHTS, 900: dict.fromkeys("abc", 1)}
        ),
        "Curriculum(weights={0: {'a': 1, 'b': 2, 'c': 5}, "
        "900: {'a': 1, 'b': 1, 'c': 1}})",
        other_names=lambda: schedules.Curriculum({0: {"a": 1, "d": 2}}),
    ),
    "curriculum, a function": ScheduleCase(
        lambda: schedules.Curriculum(falling),
        "Curriculum(weights=falling)",
    ),
    "loss-driven": ScheduleCase(
        lambda: schedules.LossDriven(every=EVERY),
        f"LossDriven(every={EVERY})",
    ),
    "gradient-driven": ScheduleCase(
        lambda: schedules.GradientDriven(every=EVERY, relative=True),
        f"GradientDriven(every={EVERY}, relative=True)",
    ),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request):
    return request.param


def bound(schedule, names=NAMES, seed=SEED):
    sizes = {name: SIZES["abc"[i]] for i, name in enumerate(names)}
    return schedule.bind(names, seed, sizes)


def drawn(schedule, steps=None):
    return [schedule.task(step) for step in steps or range(STEPS)]


def test_every_exported_schedule_has_a_case():
    exported = {getattr(schedules, name) for name in schedules.__all__}
    others = {BLOCK, Rounds, Statistics, Schedule, schedules.AdaptiveSchedule}
    assert exported - others == {type(c.make()) for c in CASES.values()}


def test_it_draws_the_tasks_of_the_mixture(case):
    assert set(drawn(bound(case.make()))) == set(NAMES)


def test_a_task_is_a_function_of_seed_and_step(case):
    expected = drawn(bound(case.make()))
    steps = list(reversed(range(STEPS)))
    assert drawn(bound(case.make()), steps) == expected[::-1]
    other = drawn(bound(case.make(), seed=SEED + 1))
    assert (other != expected) == case.is_random


def test_a_second_mixture_changes_nothing(case):
    """One object serves two mixtures, one after the other."""
    schedule = case.make()
    bound(schedule, seed=3)
    drawn(schedule)
    assert drawn(bound(schedule)) == drawn(bound(case.make()))


@pytest.mark.parametrize("step", [0, 1, 100, BLOCK - 1, BLOCK, BLOCK + 1])
def test_counts_equal_a_tally(case, step):
    schedule = bound(case.make())
    before = drawn(schedule, range(step)) if step else []
    tally = {name: before.count(name) for name in NAMES}
    assert schedule.counts(step) == tally
    # Going back gives the same as going on.
    schedule.counts(STEPS)
    assert schedule.counts(step) == tally


@pytest.mark.parametrize("how", [copy.deepcopy, "pickle"])
def test_a_copy_draws_the_same(case, how):
    schedule = bound(case.make())
    expected = drawn(schedule)
    if how == "pickle":
        how = lambda x: pickle.loads(pickle.dumps(x))
    assert drawn(how(schedule)) == expected


def test_it_prints_as_it_is_made(case):
    assert repr(case.make()) == repr(bound(case.make())) == case.text


def test_names_that_differ_from_the_mixture_are_refused(case):
    if case.other_names is None:
        pytest.skip("It names no tasks.")
    text = (
        r"^`(\w+)` of the schedule must name exactly the tasks of the "
        r"mixture, \['a', 'b', 'c'\]\. Received: \1=\['a', 'd'\]\.$"
    )
    with pytest.raises(ValueError, match=text):
        bound(case.other_names())
