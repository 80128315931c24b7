"""Rounds of adaptive schedules, without a model."""

import re

import numpy as np
import pytest

from keras_imp import TaskMixture, schedules
from keras_imp.training.input.checks import check_rounds
from keras_imp.training.input.prefetch import prefetch
from keras_imp.training.input.reader import MixtureReader
from keras_imp.training.schedules import Rounds, Statistics
from tests.training.input.test_task_mixture import batches, read

pytestmark = pytest.mark.one_backend

NAMES = ("a", "b", "c")
EVERY = 20


def exactly(text, error=ValueError):
    return pytest.raises(error, match=f"^{re.escape(text)}$")


def measured(draws=(9, 9, 9), loss=(1, 1, 1), initial=(1, 1, 1), gradient=None):
    rows = draws, loss, initial, (1, 1, 1) if gradient is None else gradient
    return Statistics(*np.array(rows, "float64"))


class Prefer(schedules.AdaptiveSchedule):
    """Shares as the losses are."""

    def shares(self, statistics):
        return statistics.loss


def make(exploration=0.0, every=EVERY, seed=3):
    return Prefer(exploration, every).bind(NAMES, seed)


def drawn(schedule, number):
    steps = range(number * schedule.every, (number + 1) * schedule.every)
    return [schedule.task(step) for step in steps]


# Rounds ---------------------------------------------------------------------


def test_two_rounds_of_equal_shares_are_decided_at_the_start():
    schedule = make()
    for number in (0, 1):
        tally = [drawn(schedule, number).count(name) for name in NAMES]
        assert sorted(tally) == [6, 7, 7]
    assert drawn(schedule, 0) != drawn(schedule, 1)


def test_what_a_round_measures_decides_the_round_after_the_next():
    schedule = make()
    second = drawn(schedule, 1)
    schedule.catch_up(EVERY, measured(loss=(1, 2, 7)))
    assert schedule.rounds.number == 1
    assert drawn(schedule, 1) == second
    third = drawn(schedule, 2)
    assert [third.count(name) for name in NAMES] == [2, 4, 14]
    assert third != sorted(third)  # In a random order.
    # In the middle of a round nothing is decided.
    schedule.catch_up(EVERY + 19, measured(loss=(9, 9, 1)))
    assert drawn(schedule, 2) == third


def test_each_task_gets_its_share_up_to_rounding():
    schedule = make(every=50)
    shares = np.array([0.11, 0.29, 0.6])
    totals = np.zeros(3)
    for number in range(1, 41):
        schedule.catch_up(number * 50, measured(loss=shares))
        tally = np.array([drawn(schedule, number + 1).count(n) for n in NAMES])
        assert (abs(tally - 50 * shares) < 1).all()
        totals += tally
    # Rounding has no preference.
    np.testing.assert_allclose(totals / 2000, shares, atol=0.01)


def test_a_share_of_zero_draws_nothing():
    schedule = make()
    for loss in ((0, 1, 1), (1, 0, 1), (1, 1, 0)):
        schedule.bind(NAMES, 3)
        schedule.catch_up(EVERY, measured(loss=loss))
        assert NAMES[loss.index(0)] not in drawn(schedule, 2)


def test_shares_stay_equal_until_each_task_was_drawn():
    schedule = make()
    statistics = measured(draws=(5, 0, 5), loss=(1, 0, 3))
    np.testing.assert_allclose(schedule.decide(statistics), 1 / 3, rtol=1e-6)


def test_exploration_is_shared_equally():
    schedule = make(exploration=0.3)
    np.testing.assert_allclose(
        schedule.decide(measured(loss=(0, 0, 5))), [0.1, 0.1, 0.8], rtol=1e-6
    )


def test_draws_are_a_pure_function_of_seed_round_and_shares():
    first, again, other = make(), make(), make(seed=4)
    for schedule in (first, again, other):
        schedule.catch_up(5 * EVERY, measured(loss=(1, 2, 7)))
    # Taken up in the middle, from the state alone.
    later = make()
    later.resume(first.rounds, 5 * EVERY + 7, measured(loss=(9, 1, 1)))
    for number in (5, 6):
        assert drawn(first, number) == drawn(again, number)
        assert drawn(first, number) == drawn(later, number)
        assert drawn(first, number) != drawn(other, number)


def test_counts_equal_a_tally():
    schedule = make()
    tally = dict.fromkeys(NAMES, 0)
    for step in range(7 * EVERY + 3):
        losses = 1 + np.arange(3) * step
        schedule.catch_up(step, measured(loss=losses))
        assert schedule.counts(step) == tally
        tally[schedule.task(step)] += 1
    ahead = schedule.counts(9 * EVERY)
    assert sum(ahead.values()) == 9 * EVERY


# State ----------------------------------------------------------------------


def test_a_state_that_is_behind_catches_up():
    schedule, steps = make(), 7 * EVERY
    for step in range(0, steps, EVERY):
        schedule.catch_up(step, measured(loss=(1, 2, 7)))
    late = make()
    # As a checkpoint made just before the decisions.
    late.resume(schedule.rounds, steps, measured(loss=(7, 2, 1)))
    schedule.catch_up(steps, measured(loss=(7, 2, 1)))
    assert late.rounds.number == 7
    for a, b in zip(late.rounds, schedule.rounds):
        np.testing.assert_array_equal(a, b)
    assert late.counts(steps + 5) == schedule.counts(steps + 5)


def test_a_run_that_had_another_schedule_starts_with_what_is_known():
    schedule = make()
    schedule.resume(schedule.rounds, 1000 * EVERY, measured(loss=(1, 2, 7)))
    assert sum(schedule.counts(1000 * EVERY).values()) == 1000 * EVERY
    assert drawn(schedule, 1000).count("c") == 14


@pytest.mark.parametrize("step", [3 * EVERY - 1, 0])
def test_the_state_of_a_later_step_is_left_for_the_start(step):
    schedule, other = make(), make()
    schedule.catch_up(3 * EVERY, measured(loss=(1, 2, 7)))
    other.resume(schedule.rounds, step, measured(loss=(1, 2, 7)))
    assert other.rounds.number == step // EVERY
    assert sum(other.counts(step).values()) == step


def test_the_state_of_rounds_of_another_length_is_left_for_the_start():
    schedule, other = make(), make(every=EVERY + 1)
    schedule.catch_up(3 * EVERY, measured(loss=(1, 2, 7)))
    step = 4 * EVERY
    other.resume(schedule.rounds, step, measured(loss=(1, 2, 7)))
    assert other.rounds.number == step // (EVERY + 1)
    assert sum(other.counts(step).values()) == step


def test_reading_and_deciding_in_two_threads():
    def run(depth):
        schedule, found = make(), []
        steps = map(schedule.task, range(100 * EVERY))
        for step, task in enumerate(prefetch(steps, str, depth)):
            schedule.catch_up(step, measured(loss=(1, 2, 1 + step % 7)))
            found.append(task)
        return found

    # As far ahead as a round allows: one item is in hand, one waits.
    assert run(EVERY - 2) == run(0)


# In a mixture ---------------------------------------------------------------


def mixture(steps):
    sources = {name: batches(name, 4) for name in NAMES}
    return TaskMixture(
        sources, make(), steps_per_epoch=steps, seed=3, prefetch=2
    )


def test_a_mixture_by_hand_has_two_rounds():
    assert len(read(mixture(2 * EVERY))) == 2 * EVERY
    text = (
        "An adaptive schedule knows its current and its next round, steps 0 "
        "to 39. Received: step=40. Only `AlternatingModel.fit` decides further "
        "rounds; by hand, read fewer steps or use a schedule that does not "
        "adapt."
    )
    for prefetched in (False, True):
        items = mixture(2 * EVERY + 1)
        if prefetched:
            items = MixtureReader(items).get_numpy_iterator()
        with exactly(text):
            list(items)


def test_rounds_that_are_over_are_refused_too():
    schedule = make()
    schedule.catch_up(3 * EVERY, measured())
    text = "steps 60 to 99. Received: step=59."
    with pytest.raises(ValueError, match=text):
        schedule.task(59)
    with pytest.raises(ValueError, match=text):
        schedule.counts(59)
    schedule.counts(100)
    with pytest.raises(ValueError, match=text.replace("=59", "=101")):
        schedule.counts(101)


def test_the_data_goes_on_where_the_rounds_before_stopped():
    whole = read(mixture(2 * EVERY))
    rest = mixture(EVERY - 5)
    rest.schedule.catch_up(EVERY, measured())
    assert read(rest.items(EVERY + 5)) == whole[EVERY + 5 :]


# The ready ones -------------------------------------------------------------


def decide(schedule, **statistics):
    return schedule.bind(NAMES).decide(measured(**statistics))


@pytest.mark.parametrize("exponent", [0.0, 0.5, 2.0, 1e4])
def test_loss_driven_shares_follow_the_relative_losses(exponent):
    loss, initial = np.array([1.0, 4.0, 0.3]), np.array([2.0, 16.0, 0.4])
    found = decide(
        schedules.LossDriven(exponent, exploration=0.2),
        loss=loss,
        initial=initial,
    )
    powers = (loss / initial / 0.75) ** exponent
    expected = 0.8 * powers / powers.sum() + 0.2 / 3
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_loss_driven_shares_with_losses_of_zero():
    loss = schedules.LossDriven(exploration=0.0)
    found = decide(loss, loss=(0, 1, 1))
    np.testing.assert_allclose(found, [0, 0.5, 0.5])
    found = decide(loss, loss=(0, 0, 0), initial=(0, 1, 0))
    np.testing.assert_allclose(found, 1 / 3, rtol=1e-6)
    found = decide(loss, loss=(1, 1, 0), initial=(0, 1, 0))
    np.testing.assert_allclose(found, [1, 0, 0], atol=1e-6)


def test_loss_driven_shares_need_losses_that_are_not_negative():
    text = (
        "A schedule by relative loss needs losses of at least 0. Received: "
        "task='b', loss=-0.5, initial_loss=1.0. Add a constant to the loss, "
        "or use GradientDriven."
    )
    with exactly(text):
        decide(schedules.LossDriven(), loss=(1, -0.5, 1))
    text = "`exponent` must not be negative. Received: exponent=-1."
    with exactly(text):
        schedules.LossDriven(exponent=-1)


def test_gradient_driven_takes_the_largest_expected_progress():
    schedule = schedules.GradientDriven(exploration=0.3)
    np.testing.assert_allclose(
        decide(schedule, gradient=(1, 5, 4)), [0.1, 0.8, 0.1], rtol=1e-6
    )
    np.testing.assert_allclose(
        decide(schedule, gradient=(4, 2, 4)), [0.45, 0.1, 0.45], rtol=1e-6
    )
    np.testing.assert_allclose(
        decide(schedule, gradient=(0, 0, 0)), 1 / 3, rtol=1e-6
    )


def test_relative_progress_does_not_depend_on_the_scale_of_a_loss():
    schedule = schedules.GradientDriven(exploration=0.0, relative=True)
    for scale in (1e-3, 1, 1e3):
        found = decide(
            schedule, loss=(1, 2 * scale, 3), gradient=(1, 8 * scale**2, 9)
        )
        np.testing.assert_array_equal(found, [0, 1, 0])
    found = decide(schedule, loss=(1, 0, 1), gradient=(5, 0, 1))
    np.testing.assert_array_equal(found, [1, 0, 0])


# Errors ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "shares", [[1.0, 1.0], [1.0, -1.0, 1.0], [0, 0, 0], [1.0, float("inf"), 0]]
)
def test_shares_that_are_none_are_refused(shares):
    class Bad(schedules.AdaptiveSchedule):
        def shares(self, statistics):
            return shares

    text = (
        "Bad.shares must return one finite number of at least 0 for each "
        f"task, not all 0. Received: shares={[float(s) for s in shares]}, "
        "tasks=('a', 'b', 'c')."
    )
    with exactly(text):
        decide(Bad())


def test_a_schedule_without_shares_says_so():
    class Empty(schedules.AdaptiveSchedule):
        pass

    with pytest.raises(NotImplementedError, match=r"Empty\.shares"):
        decide(Empty())


def test_arguments_out_of_range_are_refused():
    text = "`exploration` must be in [0, 1). Received: exploration=1.0."
    with exactly(text):
        schedules.GradientDriven(exploration=1.0)
    text = "`every` must be greater than 0. Received: every=0."
    with exactly(text):
        schedules.LossDriven(every=0)


def test_rounds_that_are_shorter_than_what_is_read_ahead_are_refused():
    check_rounds(every=14, prefetch=4, steps_per_execution=4)
    text = (
        "A round of an adaptive schedule must have at least `prefetch + 2 * "
        "steps_per_execution + 2` steps, 14 here: its batches are read while "
        "the round before it runs. Received: every=13, prefetch=4, "
        "steps_per_execution=4. Use longer rounds."
    )
    with exactly(text):
        check_rounds(every=13, prefetch=4, steps_per_execution=4)


def test_rounds_hold_all_that_there_is():
    assert Rounds._fields == ("number", "shares", "counts")
    first = make().rounds
    assert first.shares.dtype == np.float32
    assert first.counts.dtype == np.int64
