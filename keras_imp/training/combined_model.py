"""All tasks in each step: the two alternatives to alternating.

They are here to be compared with `AlternatingModel` on one's own data. All but
the step is the same: tasks, logs, checks, saving.
"""

from typing import Any

import keras
from keras import ops

from keras_imp._errors import check_choice, message
from keras_imp.models.body import EncoderBody
from keras_imp.models.encoder_proxy import RecordingEncoder
from keras_imp.models.padded_pass import padded_pass
from keras_imp.models.protocols import check_encoder
from keras_imp.tasks.metrics import TaskMetric
from keras_imp.tasks.owners import check_list
from keras_imp.tasks.task import Task
from keras_imp.training.alternating_model import AlternatingModel
from keras_imp.training.input.prediction import called
from keras_imp.training.step.joint import WASTED, JointProgram
from keras_imp.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_imp")
class CombinedModel(AlternatingModel):
    """Train one encoder on many tasks, all of them in each step.

    The alternatives to `AlternatingModel`, to compare them. `fit` takes
    `TaskMixture.together`, whose items have one batch of every task, and makes
    one update for each by the gradient of the weighted sum of the tasks'
    losses. All else is as there, `evaluate` on `TaskMixture.sequential` too.
    `strategy="padded"` is experimental: it may change or go.

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
            `"padded"` (experimental) pads the tokens of all of them to one
            length and encodes them in one pass with a padding mask, after
            tokens were dropped.
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
        fraction of the tokens in the pass that are padding.

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
        docs/method.md, Results in the paper: alternating objectives against
        summing them.
    """

    program_class = JointProgram
    reads_together = True

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
        _check_parts(tasks)
        if strategy == "padded":
            check_encoder(
                encoder,
                needs=("embed", "body", "finish"),
                purpose='`strategy="padded"`',
                hint='Or use strategy="sum".',
            )
            if isinstance(encoder.body, EncoderBody):
                encoder.body.check_shared_pass()
        super().__init__(
            encoder, tasks, update=update, hidden_dim=hidden_dim, **kwargs
        )
        self.strategy = strategy
        self.padding_metric = None
        if strategy == "padded":
            self.padding_metric = TaskMetric(
                keras.metrics.Mean(), name="padding/wasted_tokens"
            )

    def call(
        self, inputs: dict[str, dict[str, Tensor]], training: bool | None = None
    ) -> Any:
        called(self.tasks, inputs, most=len(self.tasks))
        if self.pads(training):
            return self._run_padded(inputs)
        outputs = self._run(inputs, training)
        return outputs if len(inputs) > 1 else outputs.popitem()[1]

    def pads(self, training: bool | None) -> bool:
        """Whether a call pads: one that does not train gives the same for less.

        Args:
            training: As in `call`.

        Returns:
            Whether all tokens go through the encoder in one padded pass.
        """
        return self.strategy == "padded" and bool(training)

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
            task.name: task(
                inputs[task.name],
                encoder=encoder or self.encoder,
                training=training,
            )
            for task in self.task_list
            if task.name in inputs
        }

    def _run_padded(self, inputs: dict[str, dict]) -> dict[str, Any]:
        """The same in training, with one pass through the encoder blocks."""
        states = self.run_state.random_states()
        before = [(v, ops.copy(v.value)) for v in states]
        recorder = RecordingEncoder(self.encoder)
        self._run(inputs, True, recorder)
        for variable, value in before:
            variable.assign(value)
        features, wasted = padded_pass(
            self.encoder, recorder.parts, training=True
        )
        recorder.replay(features)
        return {**self._run(inputs, True, recorder), WASTED: wasted}


def _check_parts(tasks: list[Task]) -> None:
    check_list(tasks)
    for task in tasks:
        if getattr(task, "microbatches", 1) > 1:
            raise ValueError(
                message(
                    "A combined step takes the batch of each task as a whole.",
                    "Omit `microbatches`, or use AlternatingModel.",
                    task=task.name,
                    microbatches=task.microbatches,
                )
            )
