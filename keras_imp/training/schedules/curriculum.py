"""Fractions that change with the step, by a plan made before training."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike

from keras_imp._errors import message
from keras_imp.training.schedules._checks import check_names
from keras_imp.training.schedules.base import Schedule, Sizes

WeightsOfSteps = Callable[[np.ndarray], Mapping[str, ArrayLike]]


class Curriculum(Schedule):
    """Draw each step's task at random, with weights that follow a plan.

    Args:
        weights: Either `{step: {task: weight}}`: the weights at some global
            steps; before the first and after the last of them they stay. Or a
            function from global steps, int64 of shape `(1024,)`, to `{task:
            weights}`, each a number or an array of that shape. A weight may be
            0, but not all at one step; they need not sum to 1.
        interpolate: Whether weights go in straight lines from one step of the
            plan to the next; otherwise each holds until the next. Not used
            with a function.

    Raises:
        ValueError: If the plan is empty, a step of it is no integer of at
            least 0, a weight is negative or not finite, all are 0 at one
            step, or names do not match.

    Example:
        >>> import numpy as np, keras_imp
        >>> Curriculum = keras_imp.schedules.Curriculum
        >>> schedule = Curriculum({0: {"easy": 1, "hard": 0},
        ...                        1000: {"easy": 0, "hard": 1}})
        >>> schedule = schedule.bind(("easy", "hard"), seed=0)
        >>> schedule.task(0), schedule.task(1000)
        ('easy', 'hard')
        >>> half = schedule.counts(1000)["hard"] / 1000
        >>> 0.4 < half < 0.6
        True

        The same as a function:

        >>> same = Curriculum(lambda steps: {
        ...     "easy": np.maximum(1000 - steps, 0),
        ...     "hard": np.minimum(steps, 1000)})
        >>> same.bind(("easy", "hard"), seed=0).counts(1000)["hard"] / 1000 \
== half
        True
    """

    def __init__(
        self,
        weights: Mapping[int, Mapping[str, float]] | WeightsOfSteps,
        interpolate: bool = True,
    ):
        self.weights = weights
        self.interpolate = interpolate
        if not callable(weights):
            _check_steps(weights)

    def bind(
        self,
        names: tuple[str, ...],
        seed: int = 0,
        sizes: Sizes | None = None,
    ) -> "Curriculum":
        super().bind(names, seed, sizes)
        if not callable(self.weights):
            self._steps = np.array(sorted(self.weights))
            rows = [self.weights[step] for step in self._steps.tolist()]
            for row in rows:
                check_names("weights", row, self.names)
            self._plan = np.array(
                [[row[name] for name in self.names] for row in rows], "float64"
            )
            self._check(self._plan, self._steps)
        return self

    def draw(self, block: int) -> np.ndarray:
        edges = np.cumsum(self._weights_at(self.steps(block)), axis=1)
        edges /= edges[:, -1:]
        points = self.generator(block).random(len(edges))
        # A task of weight 0 has no room between its edge and the one before.
        return (points[:, None] >= edges).sum(axis=1)

    def _weights_at(self, steps: np.ndarray) -> np.ndarray:
        """Weights of each task at each step, `(steps, tasks)`."""
        if callable(self.weights):
            weights = self.weights(steps)
            check_names("weights", weights, self.names)
            columns = [
                np.broadcast_to(
                    np.asarray(weights[name], "float64"), len(steps)
                )
                for name in self.names
            ]
            values = np.stack(columns, axis=1)
            self._check(values, steps)
            return values
        if self.interpolate:
            columns = [np.interp(steps, self._steps, w) for w in self._plan.T]
            return np.stack(columns, axis=1)
        last = np.searchsorted(self._steps, steps, side="right") - 1
        return self._plan[np.maximum(last, 0)]

    def _check(self, values: np.ndarray, steps: np.ndarray) -> None:
        bad = ~((values >= 0) & np.isfinite(values))
        if bad.any():
            row, task = np.argwhere(bad)[0]
            raise ValueError(
                message(
                    "The weight of a task must be a finite number of at least "
                    "0.",
                    step=int(steps[row]),
                    task=self.names[task],
                    weight=float(values[row, task]),
                )
            )
        nothing = ~values.any(axis=1)
        if nothing.any():
            raise ValueError(
                message(
                    "At least one task must have a weight above 0 at each "
                    "step.",
                    step=int(steps[np.argmax(nothing)]),
                    weights=dict.fromkeys(self.names, 0.0),
                )
            )


def _check_steps(weights: Mapping[int, Mapping[str, float]]) -> None:
    if not weights:
        raise ValueError(
            message(
                "The plan of a curriculum must have at least one step.",
                weights=weights,
            )
        )
    for step in weights:
        if step != int(step) or step < 0:
            raise ValueError(
                message(
                    "The steps of a curriculum must be integers of at least 0.",
                    step=step,
                )
            )
