import numpy as np
import pytest

from keras_imp.evaluation import intervals

pytestmark = pytest.mark.one_backend


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    # Newcombe, Two-sided confidence intervals for the single proportion,
    # 1998, table I, score method.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_intervals_are_those_of_the_literature(hits, count, low, high):
    found = intervals.wilson(hits, count)
    assert found.value == hits / count
    assert found.low == pytest.approx(low, abs=1e-4)
    assert found.high == pytest.approx(high, abs=1e-4)


def test_a_figure_lies_in_its_interval():
    for count in (1, 2, 3, 1000):
        for hits in (0, 1, count):
            value, low, high = intervals.wilson(hits, count)
            assert 0 <= low <= value <= high <= 1


@pytest.mark.parametrize(("hits", "count"), [(2, 1), (-1, 3), (0, 0)])
def test_what_is_no_fraction_is_refused(hits, count):
    with pytest.raises(ValueError, match="must be"):
        intervals.wilson(hits, count)


def coverage(make, draw, truth, tries=200):
    generator = np.random.default_rng(1)
    inside = 0
    for _ in range(tries):
        _, low, high = make(*draw(generator))
        inside += low <= truth <= high
    return inside / tries


def test_intervals_of_fractions_hold_the_truth_as_often_as_they_say():
    def draw(generator):
        return (generator.random(150) < 0.3,)

    assert 0.91 <= coverage(intervals.fraction, draw, 0.3) <= 0.99


def test_examples_that_depend_on_each_other_are_drawn_together():
    """Ten copies of each example are no ten examples."""

    def draw(generator):
        hits = generator.random(60) < 0.3
        return np.repeat(hits, 10), np.repeat(np.arange(60), 10)

    assert 0.89 <= coverage(intervals.fraction, draw, 0.3) <= 0.99

    def as_if_alone(hits, groups):
        return intervals.fraction(hits)

    assert coverage(as_if_alone, draw, 0.3) < 0.7


def test_groups_that_are_all_right_are_as_many_examples():
    hits, groups = np.ones(40, bool), np.arange(40) // 4
    assert intervals.fraction(hits, groups) == intervals.wilson(10, 10)
    assert intervals.fraction(~hits, groups) == intervals.wilson(0, 10)


def test_intervals_of_medians_hold_the_truth():
    def draw(generator):
        return (generator.normal(5.0, 2.0, 101),)

    def draw_groups(generator):
        values = generator.normal(5.0, 2.0, 101)
        return np.repeat(values, 3), np.repeat(np.arange(101), 3)

    assert 0.91 <= coverage(intervals.median, draw, 5.0) <= 0.99
    assert 0.89 <= coverage(intervals.median, draw_groups, 5.0, 60) <= 1.0


def test_intervals_of_a_mean_of_classes_hold_the_truth():
    truth = np.array([0.2, 0.5, 0.9])
    counts = np.array([40, 80, 120])

    def draw(generator):
        return generator.binomial(counts, truth), counts

    found = coverage(intervals.mean_of_classes, draw, truth.mean())
    assert 0.89 <= found <= 0.99


def test_classes_without_examples_do_not_count():
    found = intervals.mean_of_classes(np.array([1, 0, 2]), np.array([2, 0, 2]))
    assert found.value == 0.75


def test_an_interval_is_the_same_each_time_and_in_blocks(monkeypatch):
    hits = np.arange(60) % 3 == 0
    groups = np.arange(60) // 2
    whole = intervals.fraction(hits, groups)
    monkeypatch.setattr(intervals, "BLOCK", 90)
    assert intervals.fraction(hits, groups) == whole


def test_groups_must_be_of_the_examples():
    with pytest.raises(ValueError, match="an id for each example"):
        intervals.fraction(np.ones(3, bool), np.zeros(2))


def test_classes_that_are_all_right_have_an_interval_with_width():
    found = intervals.mean_of_classes(np.ones(20), np.ones(20))
    assert found.value == found.high == 1.0
    assert found.low < 0.95
    one_of_each = intervals.mean_of_classes(np.arange(20) % 2, np.ones(20))
    assert one_of_each.low < 0.45 < 0.55 < one_of_each.high


def test_classes_of_dependent_examples_have_wider_intervals():
    hits = np.repeat(np.arange(40) % 8 < 4, 5)
    labels = np.repeat(np.arange(40) % 4, 5)
    alone = intervals.mean_of_groups(hits, labels, np.arange(200))
    together = intervals.mean_of_groups(hits, labels, np.repeat(range(40), 5))
    assert alone.value == together.value == 0.5
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


def test_draws_beside_the_figure_are_moved_to_it():
    """As of average precision, which rows that are drawn twice raise."""

    def biased(weights):
        return 0.5 + 0.2 * (weights.max(axis=1) > 1) + 0.01 * weights[:, 0]

    found = intervals.bootstrap(biased, 30)
    assert found.low <= found.value <= found.high
    moved = intervals.bootstrap(biased, 30, centered=True)
    assert moved.low < moved.value < moved.high < 0.55
