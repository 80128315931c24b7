"""The step of a batch, from top to bottom: unpack, forward, count, record.

The gradient and the update are in `_<backend>_step.py`, the only part that
differs between backends; `combined_model.py` overrides what takes a batch
apart, sums and records.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from keras.optimizers import LossScaleOptimizer

from keras_imp.tasks.task import Task
from keras_imp.training.input.task_mixture import SEPARATOR
from keras_imp.typing import Tensor


class Batch(NamedTuple):
    """One batch of one task, on the device.

    Attributes:
        key: Static key of the item, task and shapes.
        task: The task.
        x: Inputs by modality.
        y: Targets, or None.
        sample_weight: Weight of each example, or None.
    """

    key: str
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
        """In how many parts it goes through the encoder."""
        return self.task.microbatches

    def with_arrays(self, arrays: tuple) -> "Batch":
        """The same batch with other examples.

        Args:
            arrays: As `arrays` has them.

        Returns:
            The batch.
        """
        x, y, sample_weight = arrays
        return Batch(self.key, self.task, x, y, sample_weight)


class TaskStep:
    """What a step does with the batch of one task; mixed into a model.

    The model has the tasks, the counters and the metrics.
    """

    @property
    def layer_state(self) -> list[keras.Variable]:
        """What layers change by themselves, such as random states.

        A step whose update is refused leaves it alone.
        """
        return [
            variable
            for layer in (self.encoder, *self.task_list)
            for variable in layer.non_trainable_variables
        ]

    def unpack(self, data: dict[str, tuple]) -> Batch:
        """Take the one item of a mixture apart."""
        ((key, batch),) = data.items()
        return self._batch(key, batch)

    def batch_loss(self, batch: Batch, training: bool) -> tuple[Tensor, Any]:
        """The batch's loss, a float32 scalar, and its predictions."""
        y_pred, added = self.run_task(batch, training)
        return self.loss_of(batch, y_pred) + added, y_pred

    def run_task(self, batch: Batch, training: bool) -> tuple[Any, Tensor]:
        """Predictions, and the sum of the losses that layers add."""
        # The model is the entry layer: called directly, a task would leave
        # the losses that layers add from one trace to the next.
        y_pred = self({batch.key: batch.x}, training=training)
        added = ops.zeros((), "float32")
        for loss in self.losses:
            added = added + ops.cast(ops.sum(loss), "float32")
        return y_pred, added

    def loss_of(self, batch: Batch, y_pred: Any) -> Tensor:
        """The task's own loss of the whole batch, a float32 scalar."""
        batch, y_pred = self.gather(batch, y_pred)
        loss = batch.task.compute_loss(
            batch.x, batch.y, y_pred, batch.sample_weight
        )
        return ops.cast(loss, "float32") * batch.task.loss_weight

    def finish_step(
        self, batch: Batch, y_pred: Any, loss: Tensor, gradient_norm: Tensor
    ) -> tuple[Tensor, dict]:
        """Count and record a step; whether to update, and its logs."""
        finite = ops.isfinite(loss)
        if not isinstance(self.optimizer, LossScaleOptimizer):
            # That one looks for such gradients to find its scale.
            finite = ops.logical_and(finite, ops.isfinite(gradient_norm))
        update = self.count_step(self.blamed(batch, y_pred), finite)
        self.measure(batch, loss, gradient_norm, update)
        if self.on_non_finite == "skip":
            return update, self._record_if(finite, batch, y_pred, loss)
        loss = ops.where(finite, loss, float("nan"))
        return update, self.record(batch, y_pred, loss)

    def blamed(self, batch: Batch, y_pred: Any) -> Any:
        """Which task it is if the step is not finite; bool, shape (tasks,)."""
        return np.array([task is batch.task for task in self.task_list])

    def count_step(self, blamed: Any, finite: Tensor) -> Tensor:
        """Count the step; say whether its update may be applied.

        After a step that is not finite, no update is applied any more until
        `fit` is called again, unless such steps are to be skipped.
        """
        step = self.step_counter.value
        if self.on_non_finite == "skip":
            skipped = ops.logical_and(blamed, ops.logical_not(finite))
            self.skipped_steps.assign_add(ops.cast(skipped, "int32"))
            self.step_counter.assign(step + 1)
            return finite
        good_so_far = self.failed_step.value < 0
        fails_now = ops.logical_and(good_so_far, ops.logical_not(finite))
        self.failed_step.assign(
            ops.where(fails_now, step, self.failed_step.value)
        )
        blamed = ops.cast(blamed, "int32")
        self.failed_tasks.assign(
            ops.where(fails_now, blamed, self.failed_tasks.value)
        )
        update = ops.logical_and(good_so_far, finite)
        self.step_counter.assign(step + ops.cast(update, "int32"))
        return update

    def measure(
        self, batch: Batch, loss: Tensor, gradient_norm: Tensor, good: Tensor
    ) -> None:
        """Keep what an adaptive schedule decides by."""
        self.schedule_state.update(
            batch.task.name, loss, gradient_norm, good=good
        )

    def record(self, batch: Batch, y_pred: Any, loss: Tensor) -> dict:
        """Update the metrics; return the loss and those of the batch's task.

        Not all metrics of all tasks: `fit` converts what a step returns to
        Python numbers one by one, at each step.
        """
        batch, y_pred = self.gather(batch, y_pred)
        if self.keeps_metrics:
            # As Keras does: an epoch's loss is the mean over examples.
            weight = total_weight(batch)
            self._loss_tracker.update_state(loss, sample_weight=weight)
            batch.task.loss_metric.update_state(loss, sample_weight=weight)
            batch.task.update_metrics(
                batch.x, batch.y, y_pred, batch.sample_weight
            )
        return self._logs(batch)

    def _record_if(self, finite, batch, y_pred, loss) -> dict:
        """Record a step, but leave the metrics alone where it is skipped."""
        metrics = self._metrics_of(batch)
        variables = [v for metric in metrics for v in metric.variables]
        before = [ops.copy(v.value) for v in variables]
        self.record(batch, y_pred, loss)
        for variable, old in zip(variables, before):
            variable.assign(ops.where(finite, variable.value, old))
        return self._logs(batch)

    def _logs(self, batch: Any) -> dict:
        metrics = self._metrics_of(batch)
        return self.share_logs({m.name: m.result() for m in metrics})

    def logs_so_far(self) -> dict:
        """What a step that was taken before a resume returns."""
        return self.share_logs({"loss": self._loss_tracker.result()})

    def _metrics_of(self, batch: Batch) -> list[keras.Metric]:
        return [self._loss_tracker, *batch.task.metrics]

    def _task_of(self, key: str) -> Task:
        """The task of an item's key."""
        return self._task(key.split(SEPARATOR)[0])

    def _batch(self, key: str, batch: tuple) -> Batch:
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        return Batch(key, self._task_of(key), x, y, sample_weight)


def total_weight(batch: Batch) -> Any:
    """Weight of all examples of a batch together; 1 each by default.

    Args:
        batch: The batch.

    Returns:
        A number, or a float32 scalar.
    """
    if batch.sample_weight is None:
        return float(keras.tree.flatten(batch.x)[0].shape[0])
    return ops.sum(ops.cast(batch.sample_weight, "float32"))
