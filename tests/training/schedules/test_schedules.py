import re

import numpy as np
import pytest

from keras_imp import schedules
from keras_imp.training.schedules import BLOCK

pytestmark = pytest.mark.one_backend

NAMES = ("a", "b", "c")

# docs/method.md, Alternating gradient descent: intervals of the six loaders,
# and their updates per 120 passes.
PUBLISHED = {
    "image-text": (1, 120),
    "image-class": (1, 120),
    "video-text": (12, 10),
    "video-class": (5, 24),
    "video-audio-text": (12, 10),
    "audio-class": (8, 15),
}


def sequence(schedule, length, start=0):
    return [schedule.task(step) for step in range(start, start + length)]


# Weighted ------------------------------------------------------------------


def test_frequencies_match_the_weights():
    weights = {"a": 1, "b": 2, "c": 5}
    steps = 8000
    schedule = schedules.Weighted(weights).bind(NAMES, seed=0)
    counts = schedule.counts(steps)
    expected = {name: steps * w / 8 for name, w in weights.items()}
    chi_square = sum(
        (counts[name] - expected[name]) ** 2 / expected[name] for name in NAMES
    )
    # Two degrees of freedom: above 13.8 once in a thousand seeds.
    assert chi_square < 13.8


def test_weights_default_to_equal_shares():
    counts = schedules.Weighted().bind(NAMES, seed=0).counts(9000)
    # A deviation of 45 around 3000.
    assert all(abs(count - 3000) < 200 for count in counts.values())


def test_weights_need_not_sum_to_one():
    first = schedules.Weighted({"a": 1, "b": 3}).bind(("a", "b"), seed=4)
    second = schedules.Weighted({"a": 25, "b": 75}).bind(("a", "b"), seed=4)
    assert sequence(first, 100) == sequence(second, 100)


def test_blocks_differ():
    schedule = schedules.Weighted().bind(NAMES, seed=0)
    assert sequence(schedule, 50) != sequence(schedule, 50, start=BLOCK)


# The others ----------------------------------------------------------------


def test_round_robin_takes_each_in_turn_across_blocks():
    schedule = schedules.RoundRobin().bind(NAMES)
    assert "".join(sequence(schedule, 7, start=BLOCK - 1)) == "abcabca"
    assert BLOCK % 3 == 1  # So step BLOCK - 1 is an "a".


def test_published_intervals_give_299_updates_in_120_passes():
    intervals = {name: row[0] for name, row in PUBLISHED.items()}
    schedule = schedules.Intervals(intervals).bind(tuple(PUBLISHED))
    assert schedule.counts(299) == {
        name: row[1] for name, row in PUBLISHED.items()
    }


def test_published_intervals_give_the_published_sequence():
    intervals = {name: row[0] for name, row in PUBLISHED.items()}
    schedule = schedules.Intervals(intervals).bind(tuple(PUBLISHED))
    # docs/method.md, Alternating gradient descent, the loop as released, over
    # 2 x 120 passes.
    expected = []
    counters = dict.fromkeys(intervals, 0)
    for _ in range(240):
        for name, interval in intervals.items():
            if counters[name] % interval == 0:
                expected.append(name)
            counters[name] += 1
    assert len(expected) == 2 * 299
    assert sequence(schedule, 2 * 299) == expected
    assert expected[:6] == list(PUBLISHED)  # All fire in the first pass.


def test_intervals_without_a_one_skip_empty_passes():
    schedule = schedules.Intervals({"a": 2, "b": 3}).bind(("a", "b"))
    # Passes 0 to 5: "ab", none, "a", "b", "a", none.
    assert "".join(sequence(schedule, 10)) == "ababa" + "ababa"


def test_a_schedule_of_ones_own_in_ten_lines():
    class FadeOut(schedules.Schedule):
        """Task 0 at first, the others more and more."""

        def draw(self, block):
            step = self.steps(block)
            late = self.generator(block).random(len(step)) < step / 2000
            return np.where(late, 1 + step % (len(self.names) - 1), 0)

    schedule = FadeOut().bind(NAMES, seed=7)
    assert schedule.task(0) == "a"
    counts = schedule.counts(2000)
    # Half of the steps, with a deviation of 18 at most.
    assert abs(counts["a"] - 1000) < 100
    assert abs(counts["b"] - counts["c"]) < 100
    assert "a" not in sequence(schedule, 100, start=2048)


def test_a_schedule_without_draw_says_so():
    class Empty(schedules.Schedule):
        pass

    with pytest.raises(NotImplementedError, match=r"Empty\.draw"):
        Empty().bind(NAMES).task(0)


# Errors --------------------------------------------------------------------


@pytest.mark.parametrize("weight", [0, -2, 0.0, np.nan, np.inf, "3"])
def test_a_weight_that_is_not_positive_is_refused(weight):
    text = (
        "The weight of a task must be finite and greater than 0. "
        f"Received: task='b', weight={weight!r}. "
        "Leave the task out of the mixture to not train it."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        schedules.Weighted({"a": 1, "b": weight})


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (
            0,
            "The interval of a task must be finite and greater than 0. "
            "Received: task='b', interval=0. Leave the task out of the "
            "mixture to not train it.",
        ),
        (
            -1,
            "The interval of a task must be finite and greater than 0. "
            "Received: task='b', interval=-1. Leave the task out of the "
            "mixture to not train it.",
        ),
        (
            1.5,
            "An interval must be an integer. Received: task='b', interval=1.5.",
        ),
    ],
)
def test_an_interval_that_is_not_a_positive_integer_is_refused(interval, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        schedules.Intervals({"a": 1, "b": interval})


def test_intervals_without_common_factors_are_refused():
    intervals = {"a": 997, "b": 991, "c": 983}
    text = (
        "The least common multiple of all intervals must stay below 333333. "
        f"Received: intervals={intervals}. "
        "Use intervals with common factors."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        schedules.Intervals(intervals).bind(NAMES)
