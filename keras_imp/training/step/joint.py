"""The step of `CombinedModel`: one batch of each of several tasks."""

from typing import Any, NamedTuple, Protocol

import keras
from keras import ops

from keras_imp.tasks.metrics import TaskMetric
from keras_imp.training.step.program import Batch, StepProgram, TrainedModel
from keras_imp.typing import Tensor

# Where a padded step tells the fraction of padding; no task has the name.
WASTED = "@wasted_tokens"


class JointBatch(NamedTuple):
    """One batch of each of several tasks, on the device.

    Attributes:
        parts: The batches, in the order of the model's tasks.
    """

    parts: list[Batch]

    @property
    def microbatches(self) -> int:
        """Joint batches go through the encoder as a whole."""
        return 1


class JointPredictions(NamedTuple):
    """What the forward pass of a joint batch gave.

    Attributes:
        outputs: What each task's `call` returns, by name.
        losses: The weighted loss of each task, a float32 scalar, by name.
    """

    outputs: dict[str, Any]
    losses: dict[str, Tensor]


class JointModel(TrainedModel, Protocol):
    """What the program of a joint step uses of a model besides."""

    padding_metric: TaskMetric | None

    def pads(self, training: bool | None) -> bool: ...


class JointProgram(StepProgram):
    """A step that takes one batch of each of several tasks."""

    model: JointModel

    def unpack(self, item: dict[str, tuple]) -> JointBatch:
        parts = [self.batch_of(key, batch) for key, batch in item.items()]
        # A traced dict is sorted by key.
        order = self.model.task_list.index
        return JointBatch(sorted(parts, key=lambda part: order(part.task)))

    def run(
        self, batch: JointBatch, training: bool
    ) -> tuple[Tensor, JointPredictions]:
        x = {part.task.name: part.x for part in batch.parts}
        # The model is the entry layer, as in `StepProgram.forward`.
        outputs = self.model(x, training=training)
        if len(x) == 1 and not self.model.pads(training):
            outputs = dict.fromkeys(x, outputs)
        # Before the tasks' losses, for which replicas take turns.
        added = [ops.cast(ops.sum(v), "float32") for v in self.model.losses]
        losses = {
            part.task.name: self.task_loss(part, outputs[part.task.name])
            for part in batch.parts
        }
        loss = sum([*losses.values(), *added])
        return loss, JointPredictions(outputs, losses)

    def failing_tasks(
        self, batch: JointBatch, y_pred: JointPredictions
    ) -> Tensor:
        """Tasks whose loss is not finite; all if it is only the gradient."""
        good = {
            name: ops.isfinite(loss) for name, loss in y_pred.losses.items()
        }
        bad = ops.stack(
            [ops.logical_not(good.get(name, True)) for name in self.model.tasks]
        )
        return ops.logical_or(bad, ops.logical_not(ops.any(bad)))

    def update_schedule(
        self,
        batch: JointBatch,
        loss: Tensor,
        gradient_norm: Tensor,
        good: Tensor,
    ) -> None:
        """Nothing: where every step takes all tasks, no schedule decides."""

    def record(
        self, batch: JointBatch, y_pred: JointPredictions, loss: Tensor
    ) -> dict:
        """Update the metrics of all tasks of the step, and return them."""
        outputs, losses = y_pred
        whole = [
            self.devices.gather(part, outputs[part.task.name])
            for part in batch.parts
        ]
        padding = self.model.padding_metric
        (wasted,) = self.devices.mean([outputs.get(WASTED)])
        if self.devices.keeps_metrics:
            weights = [part.total_weight for part, _ in whole]
            self.loss_tracker.update_state(loss, sample_weight=sum(weights))
            for ((task, x, y, sample_weight), y_part), weight in zip(
                whole, weights
            ):
                task.loss_metric.update_state(
                    losses[task.name], sample_weight=weight
                )
                task.update_metrics(x, y, y_part, sample_weight)
            if padding is not None and wasted is not None:
                padding.update_state(wasted)
        return self.logs(batch)

    def metrics_of(self, batch: JointBatch) -> list[keras.Metric]:
        tasks = [m for part in batch.parts for m in part.task.metrics]
        padding = self.model.padding_metric
        return [self.loss_tracker, *tasks, *([padding] if padding else [])]
