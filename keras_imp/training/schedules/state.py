"""What an adaptive schedule measures and decides, as weights of the model.

Weights, so that every checkpoint holds them and a resumed run continues
exactly.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_imp._saving.names import (
    from_array,
    in_order,
    save_variables,
    to_array,
    variables_by_position,
)
from keras_imp._values import value_of
from keras_imp.training.schedules import Rounds, Statistics
from keras_imp.typing import Tensor

# A mean over the first 1 / SMOOTHING steps of a task, then a moving average.
SMOOTHING = 0.02
# Steps whose mean loss is the initial loss of a task.
FIRST_STEPS = 10
# Weights with one entry for each task, and the axis of the tasks.
TASK_AXES = {"shares": 1, "counts": 0, "statistics": 0}


@keras.saving.register_keras_serializable(package="keras_imp")
class ScheduleState(keras.layers.Layer):
    """Statistics of each task, and the rounds of an adaptive schedule.

    Every `AlternatingModel` has one, so that the weights of a model do not
    depend on the schedule it trains with.

    Args:
        tasks: Names of the tasks, in the order of the model.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:
        >>> from keras_imp.training.schedules.state import ScheduleState
        >>> state = ScheduleState(["a", "b"])
        >>> state.update("b", loss=2.0, gradient_norm=3.0, good=True)
        >>> state.measured(("b", "a")).squared_gradient.tolist()
        [9.0, 0.0]
    """

    def __init__(self, tasks: list[str], **kwargs: Any):
        super().__init__(**kwargs)
        self.tasks = list(tasks)
        many = len(self.tasks)
        self.round = self._weight("round", (), "int32", "zeros")
        self.shares = self._weight(
            "shares",
            (2, many),
            "float32",
            keras.initializers.Constant(1 / many),
        )
        self.counts = self._weight("counts", (many,), "int32", "zeros")
        # Replicas see losses of their own; all updates are linear in them.
        self.statistics = self._weight(
            "statistics",
            (many, len(Statistics._fields)),
            "float32",
            "zeros",
            aggregation="mean",
        )
        self.built = True

    def update(
        self, task: str, loss: Tensor, gradient_norm: Tensor, good: Tensor
    ) -> None:
        """Add one step to the statistics, inside of the compiled step.

        Args:
            task: Name of the task.
            loss: Its loss, a float32 scalar.
            gradient_norm: Global norm of its gradient, a float32 scalar.
            good: Whether the step counts, a bool scalar. One whose gradient
                overflowed never does: mixed float16 skips such steps.
        """
        index = self.tasks.index(task)
        statistics = self.statistics.value
        draws, mean, initial, squared = (statistics[index, i] for i in range(4))
        rate = ops.maximum(1 / (draws + 1), SMOOTHING)
        mean = mean + rate * (loss - mean)
        found = ops.square(gradient_norm)
        # In the order of `Statistics`.
        after = ops.stack(
            [
                draws + 1,
                mean,
                ops.where(draws < FIRST_STEPS, mean, initial),
                squared + rate * (found - squared),
            ]
        )
        this = np.arange(len(self.tasks))[:, None] == index
        good = ops.logical_and(good, ops.isfinite(found))
        self.statistics.assign(
            ops.where(ops.logical_and(this, good), after, statistics)
        )

    def measured(self, names: tuple[str, ...]) -> Statistics:
        """The statistics, for a schedule.

        Args:
            names: Names of the tasks, in the order of the schedule.

        Returns:
            float64 arrays in that order.
        """
        rows = value_of(self.statistics)[self._order(names)]
        return Statistics(*rows.astype("float64").T)

    def read(self, names: tuple[str, ...]) -> Rounds:
        """The rounds, for a schedule.

        Args:
            names: Names of the tasks, in the order of the schedule.

        Returns:
            The rounds in that order.
        """
        order = self._order(names)
        return Rounds(
            int(value_of(self.round)),
            value_of(self.shares)[:, order],
            value_of(self.counts)[order].astype("int64"),
        )

    def write(self, names: tuple[str, ...], rounds: Rounds) -> None:
        """Keep the rounds of a schedule.

        Args:
            names: Names of the tasks, in the order of the schedule.
            rounds: Where the schedule is.
        """
        order = self._order(names)
        # A task that is not in the mixture has no share.
        shares = np.zeros(self.shares.shape, "float32")
        counts = np.zeros(self.counts.shape, "int32")
        shares[:, order], counts[order] = rounds.shares, rounds.counts
        self.round.assign(rounds.number)
        self.shares.assign(shares)
        self.counts.assign(counts)

    def reset(self) -> None:
        """Forget what was measured and decided: a new run begins."""
        self.round.assign(0)
        self.shares.assign(np.full(self.shares.shape, 1 / len(self.tasks)))
        self.counts.assign(np.zeros(self.counts.shape))
        self.statistics.assign(np.zeros(self.statistics.shape))

    def save_own_variables(self, store: Any) -> None:
        save_variables(super().save_own_variables, store)
        store["tasks"] = to_array(self.tasks)

    def load_own_variables(self, store: Any) -> None:
        """Load what was saved, by task.

        With other tasks than were saved, what was measured stays with its
        task, and the round starts again.

        Args:
            store: Arrays by name.
        """
        own = {name: store[name] for name in store.keys()}  # noqa: SIM118
        saved = from_array(own.pop("tasks", to_array(self.tasks)))
        save = super().save_own_variables
        if saved != self.tasks:
            own = self._of_tasks(own, saved)
        super().load_own_variables(variables_by_position(save, own))

    def _of_tasks(self, own: dict[str, Any], saved: list[str]) -> dict:
        """What was saved for other tasks, or for these in another order."""
        now = {v.name: value_of(v) for v in self.variables}
        axes = TASK_AXES
        if set(saved) != set(self.tasks):
            axes = {"statistics": TASK_AXES["statistics"]}
            own = {**now, "statistics": own["statistics"]}
        for name, axis in axes.items():
            before, after = (
                np.moveaxis(found[name], axis, 0) for found in (own, now)
            )
            own[name] = np.stack(
                in_order(before, saved, self.tasks, after), axis
            )
        return own

    def _order(self, names: tuple[str, ...]) -> list[int]:
        return [self.tasks.index(name) for name in names]

    def _weight(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: str,
        initializer: Any,
        **options: Any,
    ) -> keras.Variable:
        return self.add_weight(
            name=name,
            shape=shape,
            dtype=dtype,
            initializer=initializer,
            trainable=False,
            autocast=False,
            **options,
        )
