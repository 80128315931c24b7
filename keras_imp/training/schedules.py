"""Which task gets the next step.

The task of global step s is a pure function of (seed, s). So a run that stops
and resumes goes on as if it had not, and all hosts of a job agree without
talking. To write a schedule, subclass `Schedule` and define `draw`.
"""

import math
from collections.abc import Mapping

import numpy as np

from keras_imp._errors import message

# Steps are drawn in blocks: one random generator each, whatever the step.
BLOCK = 1024
# Longest cycle of an interval schedule that is worth listing.
MAX_CYCLE = 1_000_000


class Schedule:
    """Base class: which of the tasks is drawn at each step.

    A subclass defines `draw(block)`. `TaskMixture` calls `bind` with the names
    of its tasks before the first draw.

    Example:
        >>> import numpy as np, keras_imp
        >>> class FirstThenAll(keras_imp.schedules.Schedule):
        ...     "The first task alone for 100 steps, then each in turn."
        ...     def draw(self, block):
        ...         step = self.steps(block)
        ...         return np.where(step < 100, 0, step % len(self.names))
        >>> schedule = FirstThenAll().bind(("a", "b"), seed=0)
        >>> [schedule.task(s) for s in (0, 99, 100, 101)]
        ['a', 'a', 'a', 'b']
    """

    def bind(self, names: tuple[str, ...], seed: int = 0) -> "Schedule":
        """Tell the schedule the tasks it chooses from.

        Args:
            names: Names of the tasks; `draw` returns indices into them.
            seed: Seed of the draws.

        Returns:
            The schedule itself.

        Raises:
            ValueError: If the schedule was made for other names.
        """
        self.names = tuple(names)
        self.seed = seed
        self._block: tuple[int, np.ndarray] | None = None
        self._before = [np.zeros(len(self.names), "int64")]
        return self

    def draw(self, block: int) -> np.ndarray:
        """Indices of the tasks of one block of steps.

        Args:
            block: Number of the block; it covers `steps(block)`.

        Returns:
            int, shape `(1024,)`, a pure function of the seed and the block.
        """
        raise NotImplementedError(f"{type(self).__name__}.draw")

    def steps(self, block: int) -> np.ndarray:
        """Global steps that a block covers.

        Args:
            block: Number of the block.

        Returns:
            int64, shape `(1024,)`.
        """
        return np.arange(block * BLOCK, (block + 1) * BLOCK)

    def generator(self, block: int) -> np.random.Generator:
        """A random generator that depends on the seed and the block only.

        Args:
            block: Number of the block.

        Returns:
            The generator.
        """
        bits = np.random.Philox(key=self.seed, counter=[0, 0, 0, block])
        return np.random.Generator(bits)

    def task(self, step: int) -> str:
        """Name of the task of a global step.

        Args:
            step: Global step, from 0.

        Returns:
            Name of the task.
        """
        return self.names[self._drawn(step // BLOCK)[step % BLOCK]]

    def counts(self, step: int) -> dict[str, int]:
        """How often each task was drawn before a global step.

        Args:
            step: Global step, from 0.

        Returns:
            Number of draws by name: the position in each task's data.
        """
        block, rest = divmod(step, BLOCK)
        while len(self._before) <= block:
            last = len(self._before) - 1
            self._before.append(self._before[-1] + self._tally(last, BLOCK))
        totals = self._before[block] + self._tally(block, rest)
        return dict(zip(self.names, totals.tolist()))

    def _drawn(self, block: int) -> np.ndarray:
        if self._block is None or self._block[0] != block:
            self._block = (block, np.asarray(self.draw(block)))
        return self._block[1]

    def _tally(self, block: int, length: int) -> np.ndarray:
        if not length:
            return np.zeros(len(self.names), "int64")
        drawn = self._drawn(block)[:length]
        return np.bincount(drawn, minlength=len(self.names))


class Weighted(Schedule):
    """Draw each step's task at random, in proportion to weights.

    Args:
        weights: Weight of each task, all greater than 0. They need not sum to
            1. Defaults to equal weights.

    Raises:
        ValueError: If a weight is 0 or negative, or names do not match.

    Example:
        >>> import keras_imp
        >>> schedule = keras_imp.schedules.Weighted({"a": 3, "b": 1})
        >>> schedule = schedule.bind(("a", "b"), seed=0)
        >>> 0.70 < schedule.counts(10_000)["a"] / 10_000 < 0.80
        True

    Reference:
        [IMP](https://arxiv.org/abs/2305.06324), algorithm 1.
    """

    def __init__(self, weights: dict[str, float] | None = None):
        self.weights = weights
        _check_positive("weight", weights or {})

    def bind(self, names: tuple[str, ...], seed: int = 0) -> "Weighted":
        super().bind(names, seed)
        weights = self.weights or dict.fromkeys(names, 1.0)
        _check_names("weights", weights, names)
        values = np.array([weights[name] for name in names], "float64")
        self._shares = values / values.sum()
        return self

    def draw(self, block: int) -> np.ndarray:
        generator = self.generator(block)
        return generator.choice(len(self.names), size=BLOCK, p=self._shares)


class RoundRobin(Schedule):
    """Each task in turn, in the order of the mixture.

    Example:
        >>> import keras_imp
        >>> schedule = keras_imp.schedules.RoundRobin().bind(("a", "b", "c"))
        >>> [schedule.task(s) for s in range(4)]
        ['a', 'b', 'c', 'a']
    """

    def draw(self, block: int) -> np.ndarray:
        return self.steps(block) % len(self.names)


class Intervals(Schedule):
    """Each task fires in every pass whose number its interval divides.

    The first implementation's order: passes 0, 1, 2, ... go over the tasks in
    the order of the mixture, and task k takes a step in pass p if
    `p % interval[k] == 0`. All fire in pass 0.

    Args:
        intervals: Interval of each task, an integer of at least 1.

    Raises:
        ValueError: If an interval is below 1, or names do not match.

    Example:
        >>> import keras_imp
        >>> schedule = keras_imp.schedules.Intervals({"a": 1, "b": 2})
        >>> schedule = schedule.bind(("a", "b"))
        >>> "".join(schedule.task(s) for s in range(6))
        'abaaba'

    Reference:
        imp.md 8.1 and 8.2.
    """

    def __init__(self, intervals: dict[str, int]):
        self.intervals = intervals
        _check_positive("interval", intervals)
        for name, interval in intervals.items():
            if interval != int(interval):
                raise ValueError(
                    message(
                        "An interval must be an integer.",
                        task=name,
                        interval=interval,
                    )
                )

    def bind(self, names: tuple[str, ...], seed: int = 0) -> "Intervals":
        super().bind(names, seed)
        _check_names("intervals", self.intervals, names)
        intervals = [int(self.intervals[name]) for name in names]
        passes = math.lcm(*intervals)
        if passes * len(names) > MAX_CYCLE:
            raise ValueError(
                message(
                    "The least common multiple of all intervals must stay "
                    f"below {MAX_CYCLE // len(names)}.",
                    "Use intervals with common factors.",
                    intervals=self.intervals,
                )
            )
        self._cycle = np.array(
            [
                task
                for number in range(passes)
                for task, interval in enumerate(intervals)
                if number % interval == 0
            ]
        )
        return self

    def draw(self, block: int) -> np.ndarray:
        return self._cycle[self.steps(block) % len(self._cycle)]


def _check_positive(what: str, values: Mapping[str, float]) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ValueError(
                message(
                    f"The {what} of a task must be greater than 0.",
                    "Leave the task out of the mixture to not train it.",
                    **{"task": name, what: value},
                )
            )


def _check_names(what: str, given: dict, names: tuple[str, ...]) -> None:
    if set(given) != set(names):
        raise ValueError(
            message(
                f"`{what}` of the schedule must name exactly the tasks of the "
                f"mixture, {sorted(names)}.",
                **{what: sorted(given)},
            )
        )
