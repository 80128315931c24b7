"""Orders without chance."""

import math

import numpy as np

from keras_imp._errors import message
from keras_imp.training.schedules._checks import check_names, check_task_values
from keras_imp.training.schedules.base import Schedule, Sizes

# Longest cycle of an interval schedule that is worth listing.
MAX_CYCLE = 1_000_000


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
        docs/method.md, Alternating gradient descent.
    """

    def __init__(self, intervals: dict[str, int]):
        self.intervals = intervals
        check_task_values("interval", intervals)
        for name, interval in intervals.items():
            if interval != int(interval):
                raise ValueError(
                    message(
                        "An interval must be an integer.",
                        task=name,
                        interval=interval,
                    )
                )

    def bind(
        self,
        names: tuple[str, ...],
        seed: int = 0,
        sizes: Sizes | None = None,
    ) -> "Intervals":
        super().bind(names, seed, sizes)
        check_names("intervals", self.intervals, names)
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
