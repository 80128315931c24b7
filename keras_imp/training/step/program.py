"""What a step does with a batch, on any backend: unpack, forward, loss, record.

Gradients and updates are in `step/<backend>.py`, the only part that differs
between backends. `joint.py` has the program of a step that takes all tasks.
"""

from typing import Any, NamedTuple, Protocol

import keras
import numpy as np
from keras import ops
from keras.optimizers import LossScaleOptimizer

from keras_imp import _keras_private as keras_private
from keras_imp._errors import message, outline
from keras_imp.tasks.task import Task, total_weight
from keras_imp.training.checkpoint.run_state import RunState
from keras_imp.training.devices.base import Devices
from keras_imp.training.input.task_mixture import SEPARATOR
from keras_imp.training.schedules.state import ScheduleState
from keras_imp.typing import Tensor


class Batch(NamedTuple):
    """One batch of one task, on the device.

    Attributes:
        task: The task.
        x: Inputs by modality.
        y: Targets, or None.
        sample_weight: Weight of each example, or None.
    """

    task: Task
    x: dict[str, Tensor]
    y: Any
    sample_weight: Tensor | None

    @property
    def arrays(self) -> tuple:
        """What has an axis of examples."""
        return (self.x, self.y, self.sample_weight)

    @property
    def microbatches(self) -> int:
        """Number of parts in which the batch goes through the encoder."""
        return self.task.microbatches

    @property
    def total_weight(self) -> Any:
        """Weight of all examples together, 1 each by default.

        A number, or a float32 scalar.
        """
        return total_weight(self.x, self.sample_weight)

    def with_arrays(self, arrays: tuple) -> "Batch":
        """The same batch with other examples.

        Args:
            arrays: As `arrays` has them.

        Returns:
            The batch.
        """
        return Batch(self.task, *arrays)


class TrainedModel(Protocol):
    """What the program and the engine of a step use of a model."""

    encoder: keras.Layer
    task_list: list[Task]
    update: str
    on_non_finite: str
    optimizer: keras.optimizers.Optimizer
    losses: list[Tensor]
    trainable_variables: list[keras.Variable]
    non_trainable_variables: list[keras.Variable]
    metrics_variables: list[keras.Variable]
    run_state: RunState
    schedule_state: ScheduleState

    @property
    def tasks(self) -> dict[str, Task]: ...

    def __call__(self, inputs: dict[str, Any], training: bool) -> Any: ...


class StepProgram:
    """A step that takes one batch of one task.

    Args:
        model: The model.
        devices: Where its batches and weights are.
    """

    def __init__(self, model: Any, devices: Devices):
        self.model: TrainedModel = model
        self.devices = devices

    @property
    def layer_state(self) -> list[keras.Variable]:
        """What layers change by themselves, such as random states.

        A step whose update is refused leaves it as it was.
        """
        return [
            variable
            for layer in (self.model.encoder, *self.model.task_list)
            for variable in layer.non_trainable_variables
        ]

    def unpack(self, item: dict[str, tuple]) -> Any:
        """Take the one batch out of an item of a mixture.

        Args:
            item: Batch by `"<task>@<shapes>"`.

        Returns:
            The `Batch`.
        """
        ((key, batch),) = item.items()
        return self.batch_of(key, batch)

    def batch_of(self, key: str, batch: tuple) -> Batch:
        """A batch with its task.

        Args:
            key: `"<task>@<shapes>"`.
            batch: `(x,)`, `(x, y)` or `(x, y, sample_weight)`.

        Returns:
            The batch.
        """
        task = self.model.tasks[key.split(SEPARATOR)[0]]
        return Batch(task, *keras.utils.unpack_x_y_sample_weight(batch))

    def run(self, batch: Any, training: bool) -> tuple[Tensor, Any]:
        """The loss to be minimized and the predictions of a batch.

        Args:
            batch: What `unpack` returned.
            training: Whether the model trains.

        Returns:
            A float32 scalar, and what the task's `call` returns.
        """
        y_pred, added = self.forward(batch, training)
        return self.task_loss(batch, y_pred) + added, y_pred

    def forward(self, batch: Batch, training: bool) -> tuple[Any, Tensor]:
        """The predictions of a batch, and the losses that layers add.

        Args:
            batch: The batch.
            training: Whether the model trains.

        Returns:
            What the task's `call` returns, and a float32 scalar.
        """
        # The model is the entry layer: called directly, a task would leave
        # the losses that layers add from one trace to the next.
        y_pred = self.model({batch.task.name: batch.x}, training=training)
        added = ops.zeros((), "float32")
        for loss in self.model.losses:
            added = added + ops.cast(ops.sum(loss), "float32")
        return y_pred, added

    def task_loss(self, batch: Batch, y_pred: Any) -> Tensor:
        """The weighted loss that a task computes of its whole batch.

        Args:
            batch: The batch; a replica's part of one will do.
            y_pred: Its predictions.

        Returns:
            A float32 scalar.
        """
        (task, *arrays), y_pred = self.devices.gather(batch, y_pred)
        x, y, sample_weight = arrays
        loss = task.compute_loss(x, y, y_pred, sample_weight)
        return one_number(task, loss) * task.loss_weight

    def finish(
        self, batch: Any, y_pred: Any, loss: Tensor, gradient_norm: Tensor
    ) -> tuple[Tensor, dict]:
        """Count and record a training step.

        Args:
            batch: What `unpack` returned.
            y_pred: What `run` returned.
            loss: Its loss, a float32 scalar.
            gradient_norm: Global norm of its gradient, a float32 scalar.

        Returns:
            Whether the update may be applied, a bool scalar, and the logs.
        """
        model = self.model
        finite = ops.isfinite(loss)
        if not isinstance(model.optimizer, LossScaleOptimizer):
            # That one looks for such gradients to find its scale.
            finite = ops.logical_and(finite, ops.isfinite(gradient_norm))
        skip = model.on_non_finite == "skip"
        failing = self.failing_tasks(batch, y_pred)
        update = model.run_state.count_step(failing, finite, skip)
        self.update_schedule(batch, loss, gradient_norm, update)
        if skip:
            return update, self._record_if(finite, batch, y_pred, loss)
        loss = ops.where(finite, loss, float("nan"))
        return update, self.record(batch, y_pred, loss)

    def failing_tasks(self, batch: Any, y_pred: Any) -> Any:
        """The tasks to name if the step is not finite.

        Args:
            batch: What `unpack` returned.
            y_pred: What `run` returned.

        Returns:
            bool, shape `(tasks,)`.
        """
        return np.array([task is batch.task for task in self.model.task_list])

    def update_schedule(
        self, batch: Any, loss: Tensor, gradient_norm: Tensor, good: Tensor
    ) -> None:
        """Keep what an adaptive schedule decides by.

        Args:
            batch: What `unpack` returned.
            loss: Its loss, a float32 scalar.
            gradient_norm: Global norm of its gradient, a float32 scalar.
            good: Whether the step counts, a bool scalar.
        """
        self.model.schedule_state.update(
            batch.task.name, loss, gradient_norm, good=good
        )

    def record(self, batch: Any, y_pred: Any, loss: Tensor) -> dict:
        """Update the metrics of a step.

        Args:
            batch: What `unpack` returned.
            y_pred: What `run` returned.
            loss: Its loss, a float32 scalar.

        Returns:
            The loss and the metrics of the step's tasks. Not those of all
            tasks: `fit` converts what a step returns to Python numbers one by
            one, at each step.
        """
        batch, y_pred = self.devices.gather(batch, y_pred)
        if self.devices.keeps_metrics:
            # As Keras does: an epoch's loss is the mean over examples.
            weight = batch.total_weight
            self.loss_tracker.update_state(loss, sample_weight=weight)
            batch.task.loss_metric.update_state(loss, sample_weight=weight)
            batch.task.update_metrics(
                batch.x, batch.y, y_pred, batch.sample_weight
            )
        return self.logs(batch)

    def logs(self, batch: Any) -> dict:
        """What Keras logs of a step.

        Args:
            batch: What `unpack` returned.

        Returns:
            Metric results by name.
        """
        return self.devices.share_logs(
            {metric.name: metric.result() for metric in self.metrics_of(batch)}
        )

    def logs_so_far(self) -> dict:
        """What a step returns that was taken before a resume.

        Returns:
            The epoch's loss up to here.
        """
        return self.devices.share_logs({"loss": self.loss_tracker.result()})

    def metrics_of(self, batch: Any) -> list[keras.Metric]:
        """The metrics that a step updates.

        Args:
            batch: What `unpack` returned.

        Returns:
            The metrics.
        """
        return [self.loss_tracker, *batch.task.metrics]

    @property
    def loss_tracker(self) -> keras.metrics.Mean:
        """The metric of `"loss"`, which `compile` makes."""
        return keras_private.loss_tracker(self.model)

    def _record_if(
        self, finite: Tensor, batch: Any, y_pred: Any, loss: Tensor
    ) -> dict:
        """Record a step, but leave the metrics alone where it is skipped."""
        variables = [v for m in self.metrics_of(batch) for v in m.variables]
        before = [ops.copy(v.value) for v in variables]
        self.record(batch, y_pred, loss)
        for variable, old in zip(variables, before):
            variable.assign(ops.where(finite, variable.value, old))
        return self.logs(batch)


def one_number(task: Task, loss: Any) -> Tensor:
    """The loss that a task computed, checked.

    Args:
        task: The task.
        loss: What its `compute_loss` returned.

    Returns:
        A float32 scalar.

    Raises:
        ValueError: If it is not one number.

    Example:
        >>> import keras_imp
        >>> from keras_imp.training.step.program import one_number
        >>> task = keras_imp.tasks.Regression("price", "image")
        >>> float(one_number(task, 0.5))
        0.5
    """
    is_tensor = ops.is_tensor(loss) or isinstance(loss, float | np.generic)
    if not is_tensor or tuple(getattr(loss, "shape", ())):
        raise ValueError(
            message(
                f"`compute_loss` of task {task.name!r} must return one number, "
                "the mean over examples.",
                "Use keras.ops.mean(losses), or with the weights of examples "
                "keras_imp.tasks.task.weighted_mean(losses, sample_weight).",
                returned=outline(loss),
            )
        )
    return ops.cast(loss, "float32")
