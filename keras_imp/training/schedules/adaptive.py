"""Fractions of the steps that follow what training measures, decided in rounds.

Steps go in rounds of `every` steps. At the end of round r the fractions of
round r + 2 are decided: by then a thread has read batches of round r + 1 ahead,
and it must neither wait for a decision nor guess one. The order within a round
is a pure function of the seed, the round and its fractions.
"""

from typing import NamedTuple

import numpy as np

from keras_imp._errors import check_positive, check_rate, message
from keras_imp.training.schedules.base import Schedule, Sizes


class Statistics(NamedTuple):
    """What training measured of each task so far.

    Each is an array of shape `(tasks,)`, in the order of the schedule's
    `names`. The model updates them at each step.

    Attributes:
        draws: Steps that the task took.
        loss: Loss, smoothed: the mean of the first 50, then a moving average
            with rate 0.02.
        initial_loss: Mean of the losses of its first 10 steps.
        squared_gradient: Squared global norm of the gradient, smoothed
            likewise.

    Example:
        >>> import numpy as np, keras_imp
        >>> statistics = keras_imp.schedules.Statistics(*np.ones((4, 2)))
        >>> statistics.loss
        array([1., 1.])
    """

    draws: np.ndarray
    loss: np.ndarray
    initial_loss: np.ndarray
    squared_gradient: np.ndarray


class Rounds(NamedTuple):
    """Where an adaptive schedule is: all that a checkpoint must hold.

    Attributes:
        number: Number of the current round, from 0.
        shares: Fractions of the current and the next round, float32, shape `(2,
            tasks)`.
        counts: How often each task was drawn before the current round, int64,
            shape `(tasks,)`.

    Example:
        >>> import keras_imp
        >>> schedule = keras_imp.schedules.LossDriven(every=10)
        >>> schedule.bind(("a", "b")).rounds.number
        0
    """

    number: int
    shares: np.ndarray
    counts: np.ndarray


class AdaptiveSchedule(Schedule):
    """Base class: fractions that follow the losses or gradients of the tasks.

    A subclass defines `shares(statistics)`. In each round of `every` steps
    every task gets its fraction, up to rounding, in a random order. The
    fractions of a round are decided when the round before the last one ends,
    and are equal until each task was drawn. `AlternatingModel.fit` measures and
    decides; the model's weights hold the state.

    Args:
        exploration: Part of the steps that all tasks share equally, in [0, 1).
            At 0, what is known of a task can stay out of date for ever.
        every: Steps of a round. At least `prefetch + 2 * steps_per_execution
            + 2`.

    Raises:
        ValueError: If `exploration` is not in [0, 1) or `every` is not
            greater than 0.

    Example:
        >>> import numpy as np, keras_imp
        >>> class MostUncertain(keras_imp.schedules.AdaptiveSchedule):
        ...     "Steps in proportion to the logarithm of the perplexity."
        ...     def shares(self, statistics):
        ...         return statistics.loss
        >>> schedule = MostUncertain(exploration=0.2, every=50)
        >>> schedule = schedule.bind(("a", "b"), seed=0)
        >>> measured = keras_imp.schedules.Statistics(
        ...     draws=np.array([25, 25]), loss=np.array([3.0, 1.0]),
        ...     initial_loss=np.ones(2), squared_gradient=np.ones(2))
        >>> print(schedule.decide(measured).round(2))
        [0.7 0.3]

    Reference:
        docs/method.md, Results in the paper: adaptive schedules are an open
        question of the paper.
    """

    def __init__(self, exploration: float = 0.1, every: int = 100):
        check_rate(exploration=exploration)
        check_positive(every=every)
        self.exploration = exploration
        self.every = every

    def shares(self, statistics: Statistics) -> np.ndarray:
        """What part of the steps each task should get.

        Called once per round, when each task was drawn at least once.

        Args:
            statistics: What was measured, in the order of `self.names`.

        Returns:
            Shape `(tasks,)`, 0 or more, not all 0. It need not sum to 1.
        """
        raise NotImplementedError(f"{type(self).__name__}.shares")

    def bind(
        self,
        names: tuple[str, ...],
        seed: int = 0,
        sizes: Sizes | None = None,
    ) -> "AdaptiveSchedule":
        super().bind(names, seed, sizes)
        self._enter(self._start())
        return self

    @property
    def rounds(self) -> Rounds:
        """The state: give it to `resume` to continue from here."""
        return self._now[0]

    def task(self, step: int) -> str:
        rounds, drawn = self._now
        index = step - rounds.number * self.every
        if not 0 <= index < len(drawn):
            raise self._unknown(step, rounds)
        return self.names[drawn[index]]

    def counts(self, step: int) -> dict[str, int]:
        rounds, drawn = self._now
        index = step - rounds.number * self.every
        if not 0 <= index <= len(drawn):
            raise self._unknown(step, rounds)
        totals = rounds.counts + self._tally_of(drawn[:index])
        return dict(zip(self.names, totals.tolist()))

    def decide(self, statistics: Statistics) -> np.ndarray:
        """Fractions of a round, with exploration.

        Args:
            statistics: What was measured, in the order of `self.names`.

        Returns:
            float32, shape `(tasks,)`, sums to 1.

        Raises:
            ValueError: If `shares` returns what cannot be shares.
        """
        equal = np.full(len(self.names), 1 / len(self.names))
        if (statistics.draws == 0).any():
            return equal.astype("float32")
        wanted = np.asarray(self.shares(statistics), "float64")
        if (
            wanted.shape != equal.shape
            or not np.isfinite(wanted).all()
            or (wanted < 0).any()
            or not wanted.any()
        ):
            raise ValueError(
                message(
                    f"{type(self).__name__}.shares must return one finite "
                    "number of at least 0 for each task, not all 0.",
                    shares=wanted.tolist(),
                    tasks=self.names,
                )
            )
        # Of the largest, so that the sum does not overflow.
        wanted = wanted / wanted.max()
        shares = (1 - self.exploration) * wanted / wanted.sum()
        return (shares + self.exploration * equal).astype("float32")

    def resume(self, rounds: Rounds, step: int, statistics: Statistics) -> None:
        """Resume from a saved state.

        A state of another `every`, or of a later step, is left for the start.

        Args:
            rounds: The state.
            step: Global step that comes next.
            statistics: What was measured before it.
        """
        first = rounds.number * self.every
        fits = first <= step and rounds.counts.sum() == first
        self._enter(rounds if fits else self._start())
        self.catch_up(step, statistics)

    def catch_up(self, step: int, statistics: Statistics) -> None:
        """Decide what is due at a step.

        Usually one round. After steps that another schedule took, all rounds
        since then: as though this schedule had drawn them.

        Args:
            step: Global step that comes next.
            statistics: What was measured before it.
        """
        rounds, now = self.rounds, step // self.every
        if rounds.number >= now:
            return
        decided = self.decide(statistics)
        while rounds.number < now:
            drawn = self._draw_round(rounds.number, rounds.shares[0])
            rounds = Rounds(
                rounds.number + 1,
                np.stack([rounds.shares[1], decided]),
                rounds.counts + self._tally_of(drawn),
            )
        self._enter(rounds)

    def _start(self) -> Rounds:
        tasks = len(self.names)
        return Rounds(
            0,
            np.full((2, tasks), 1 / tasks, "float32"),
            np.zeros(tasks, "int64"),
        )

    def _enter(self, rounds: Rounds) -> None:
        drawn = [
            self._draw_round(rounds.number + i, rounds.shares[i])
            for i in range(2)
        ]
        # One assignment: a thread reads ahead while this one decides.
        self._now = rounds, np.concatenate(drawn)

    def _draw_round(self, number: int, shares: np.ndarray) -> np.ndarray:
        """Tasks of a round: evenly spaced points in the fractions, shuffled."""
        generator = self.generator(number)
        points = (np.arange(self.every) + generator.random()) / self.every
        edges = np.cumsum(shares, dtype="float64")
        drawn = np.searchsorted(edges[:-1] / edges[-1], points, side="right")
        return generator.permutation(drawn)

    def _tally_of(self, drawn: np.ndarray) -> np.ndarray:
        return np.bincount(drawn, minlength=len(self.names))

    def _unknown(self, step: int, rounds: Rounds) -> ValueError:
        first = rounds.number * self.every
        return ValueError(
            message(
                "An adaptive schedule knows its current and its next round, "
                f"steps {first} to {first + 2 * self.every - 1}.",
                "Only `AlternatingModel.fit` decides further rounds; by hand, "
                "read fewer steps or use a schedule that does not adapt.",
                step=step,
            )
        )
