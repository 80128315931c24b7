"""All tasks in each step: the two alternatives to alternating.

They are here to be compared with `AlternatingModel` on one's own data. All but
the step is the same: tasks, logs, checks, saving.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_imp._errors import check_choice, message
from keras_imp.models.embedders import Embedded
from keras_imp.models.padded_pass import padded_pass
from keras_imp.models.protocols import check_encoder
from keras_imp.tasks.metrics import TaskMetric
from keras_imp.tasks.task import Task
from keras_imp.training.alternating_model import AlternatingModel
from keras_imp.training.input.checks import check_items
from keras_imp.training.input.task_mixture import TaskMixture
from keras_imp.training.step.program import Batch, total_weight
from keras_imp.typing import Tensor

# Where a padded step tells the share of padding; no task can have the name.
WASTED = "@wasted_tokens"


class Batches(NamedTuple):
    """One batch of each of several tasks, on the device.

    Attributes:
        parts: The batches, in the order of the model's tasks.
    """

    parts: list[Batch]

    @property
    def microbatches(self) -> int:
        """Combined batches are not cut into parts."""
        return 1


@keras.saving.register_keras_serializable(package="keras_imp")
class CombinedModel(AlternatingModel):
    """Train one encoder on many tasks, all of them in each step.

    The alternatives to `AlternatingModel`, to compare them. `fit` takes
    `TaskMixture.together`, whose items have one batch of every task, and makes
    one update for each by the gradient of the weighted sum of the tasks'
    losses. All else is as there, `evaluate` on `TaskMixture.sequential` too.

    A step holds the activations of all tasks at once, and a padded one those
    of the padding too. `keras_imp.models.padded_pass` says in what the two
    strategies can differ; without dropout and experts they are the same.

    Under `"padded"` the `call` of a task runs twice in a training step, first
    on placeholders, to learn what it wants encoded; its random draws are the
    same both times. So it must not add losses or update metrics itself.

    Args:
        encoder: As for `AlternatingModel`; for `"padded"` one with `embed`,
            `body` and `finish`, such as `IMPEncoder`.
        tasks: The tasks, each with a name of its own.
        strategy: `"sum"` encodes each input of each task on its own.
            `"padded"` pads the tokens of all of them to one length and encodes
            them in one pass with a padding mask, after tokens were dropped.
        update: As for `AlternatingModel`.
        hidden_dim: Width of the encoder's pooled output. Defaults to
            `encoder.hidden_dim`.
        **kwargs: Arguments of `keras.Model`, such as `name`.

    Call arguments:
        inputs: `{task name: {modality: values}}`.
        training: Whether the model trains.

    Returns:
        What the task's `call` returns; with several tasks, and in a padded
        training step, a dict of that. There `"@wasted_tokens"` is added, the
        share of the tokens in the pass that are padding.

    Metrics:
        Those of the tasks. `loss` is the sum over the tasks, with the losses
        that layers add, such as a router's, which belong to no single task.
        `"padded"` adds `padding/wasted_tokens`, over the steps of training.

    Raises:
        ValueError: As `AlternatingModel`; or if the strategy is unknown or
            not possible with this encoder, or a task has microbatches.

    Example:
        >>> import keras, keras_imp, numpy as np
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2,
        ...     modalities=("image", "text"), vocabulary_size=10)
        >>> model = keras_imp.CombinedModel(encoder, [
        ...     keras_imp.tasks.Classification("objects", "image", 3),
        ...     keras_imp.tasks.Classification("topics", "text", 2)],
        ...     strategy="padded")
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> y = np.array([0, 1])
        >>> mixture = keras_imp.TaskMixture.together({
        ...     "objects": [({"image": np.zeros((2, 32, 32, 3))}, y)],
        ...     "topics": [({"text": np.ones((2, 2), int)}, y)]})
        >>> history = model.fit(mixture, steps_per_epoch=1, verbose=0).history
        >>> history["padding/wasted_tokens"]  # 4 + 4 + 2 + 2 of 4 * 4
        [0.25]

    Reference:
        imp.md 13.4: alternating objectives against summing them.
    """

    def __init__(
        self,
        encoder: keras.Layer,
        tasks: list[Task],
        strategy: str = "sum",
        update: str = "touched",
        hidden_dim: int | None = None,
        **kwargs,
    ):
        check_choice(("sum", "padded"), strategy=strategy)
        # Before the tasks are this model's.
        tasks = list(tasks)
        _check_parts(tasks)
        if strategy == "padded":
            check_encoder(
                encoder,
                needs=("embed", "body", "finish"),
                purpose='`strategy="padded"`',
                hint='Or use strategy="sum".',
            )
        super().__init__(
            encoder, tasks, update=update, hidden_dim=hidden_dim, **kwargs
        )
        self.strategy = strategy
        if strategy == "padded":
            self.padding_metric = TaskMetric(
                keras.metrics.Mean(), name="padding/wasted_tokens"
            )

    def call(
        self, inputs: dict[str, dict[str, Tensor]], training: bool | None = None
    ) -> Any:
        if self._pads(training):
            return self._run_padded(inputs)
        outputs = self._run(inputs, training)
        return outputs if len(inputs) > 1 else outputs.popitem()[1]

    # The step, as far as it differs -----------------------------------------

    def unpack(self, data: dict[str, tuple]) -> Batches:
        """Take an item of a mixture apart, of one task or of several."""
        return Batches([self._batch(k, data[k]) for k in self._in_order(data)])

    def batch_loss(self, batch: Batches, training: bool) -> tuple[Tensor, Any]:
        """The weighted sum of all losses; predictions and losses by task."""
        x = {part.key: part.x for part in batch.parts}
        # The model is the entry layer, as in `AlternatingModel.run_task`.
        outputs = self(x, training=training)
        if len(x) == 1 and not self._pads(training):
            outputs = dict.fromkeys(x, outputs)
        # Before the tasks' losses, for which replicas take turns.
        added = [ops.cast(ops.sum(loss), "float32") for loss in self.losses]
        losses = {
            part.key: self.loss_of(part, outputs[part.key])
            for part in batch.parts
        }
        return sum([*losses.values(), *added]), (outputs, losses)

    def blamed(self, batch: Batches, y_pred: Any) -> Tensor:
        """Tasks whose loss is not finite; all if it is only the gradient."""
        _, losses = y_pred
        good = {
            part.task.name: ops.isfinite(losses[part.key])
            for part in batch.parts
        }
        bad = [ops.logical_not(good.get(name, True)) for name in self.tasks]
        bad = ops.stack(bad)
        return ops.logical_or(bad, ops.logical_not(ops.any(bad)))

    def measure(
        self, batch: Batches, loss: Tensor, gradient_norm: Tensor, good: Tensor
    ) -> None:
        """Nothing: where every step takes all tasks, no schedule decides."""

    def record(self, batch: Batches, y_pred: Any, loss: Tensor) -> dict:
        """Update the metrics of all tasks of the step, and return them."""
        outputs, losses = y_pred
        whole = [self.gather(part, outputs[part.key]) for part in batch.parts]
        wasted = outputs.get(WASTED)
        if wasted is not None:
            _, wasted = self.mean_over_replicas([], wasted)
        if self.keeps_metrics:
            weights = [total_weight(part) for part, _ in whole]
            self._loss_tracker.update_state(loss, sample_weight=sum(weights))
            for (part, y_part), weight in zip(whole, weights):
                key, task, x, y, sample_weight = part
                task.loss_metric.update_state(losses[key], sample_weight=weight)
                task.update_metrics(x, y, y_part, sample_weight)
            if wasted is not None:
                self.padding_metric.update_state(wasted)
        return self._logs(batch)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "strategy": self.strategy}

    # Helpers ----------------------------------------------------------------

    def _run(
        self,
        inputs: dict[str, dict],
        training: bool | None,
        encoder: Any = None,
    ) -> dict[str, Any]:
        """What each task returns, with an encoder or what stands for it."""
        return {
            key: self._task_of(key)(
                inputs[key],
                encoder=encoder or self.encoder,
                training=training,
            )
            for key in self._in_order(inputs)
        }

    def _pads(self, training: bool | None) -> bool:
        """Only training does: without, evaluation gives the same for less."""
        return self.strategy == "padded" and bool(training)

    def _run_padded(self, inputs: dict[str, dict]) -> dict[str, Any]:
        """The same in training, with one pass through the encoder blocks."""
        before = [(v, ops.copy(v.value)) for v in self._random_states()]
        asked = _Asked(self.encoder)
        self._run(inputs, True, asked)
        for variable, value in before:
            variable.assign(value)
        features, wasted = padded_pass(self.encoder, asked.parts, training=True)
        outputs = self._run(inputs, True, _Answer(self.encoder, features))
        return {**outputs, WASTED: wasted}

    def _in_order(self, items: dict[str, Any]) -> list[str]:
        """Keys in the order of the tasks; a traced dict is sorted by key."""
        names = list(self.tasks)
        return sorted(items, key=lambda k: names.index(self._task_of(k).name))

    def _metrics_of(self, batch: Batches) -> list[keras.Metric]:
        padding = [self.padding_metric] if self.strategy == "padded" else []
        tasks = [m for part in batch.parts for m in part.task.metrics]
        return [self._loss_tracker, *tasks, *padding]

    def _check_items(
        self, mixture: TaskMixture, argument: str, training: bool
    ) -> None:
        if training:
            check_items(mixture, argument, together=True)


class _StandIn:
    """Takes the encoder's place in a task's `call`.

    Args:
        encoder: The encoder, whose attributes a task may ask for.
    """

    def __init__(self, encoder: Any):
        self.encoder = encoder

    def __getattr__(self, name: str) -> Any:
        return getattr(self.encoder, name)

    def _present(self, inputs: dict[str, Any]) -> list[str]:
        """The modalities in the order in which the encoder takes them."""
        return [name for name in self.encoder.modalities if name in inputs]


class _Asked(_StandIn):
    """Embeds what tasks want encoded; answers as if there were no blocks."""

    def __init__(self, encoder: Any):
        super().__init__(encoder)
        self.parts: list[Embedded] = []

    def __call__(self, inputs, training=None, kept=None) -> dict[str, dict]:
        features = {}
        for name in self._present(inputs):
            part = self.encoder.embed(
                name, inputs[name], (kept or {}).get(name)
            )
            self.parts.append(part)
            features[name] = self.encoder.finish(part, part.tokens)
        return features


class _Answer(_StandIn):
    """Gives the features of a padded pass, in the order of the questions."""

    def __init__(self, encoder: Any, features: list[dict[str, Tensor]]):
        super().__init__(encoder)
        self.features: Iterator[dict[str, Tensor]] = iter(features)

    def __call__(self, inputs, training=None, kept=None) -> dict[str, dict]:
        del training, kept
        return {name: next(self.features) for name in self._present(inputs)}


def _check_parts(tasks: list[Task]) -> None:
    for task in tasks:
        if task.microbatches > 1:
            raise ValueError(
                message(
                    "A combined step takes the batch of each task as a whole.",
                    "Leave `microbatches` away, or use AlternatingModel.",
                    task=task.name,
                    microbatches=task.microbatches,
                )
            )
