"""Several losses on one batch, as one task."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_imp import _keras_private as keras_private
from keras_imp._errors import check_choice, message
from keras_imp._saving.names import save_by_name
from keras_imp.layers._runtime.config import arguments_of, layer_from
from keras_imp.models.protocols import Encoder
from keras_imp.tasks.owners import check_list, check_tasks_of, set_owner
from keras_imp.tasks.shared_passes import SharedPasses
from keras_imp.tasks.task import Task, total_weight
from keras_imp.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_imp")
class Combined(Task):
    """The sum or the mean of the losses of several tasks on the same batch.

    The step of this task does all of its parts. Parts that encode the very
    same input share one pass through the encoder (and its dropout): any number
    of `Classification`, `Regression` and `Contrastive` of one modality, but
    for text with several captions. `MaskedModeling` masks a part of the input,
    and a part with `drop_tokens` drops its own; each of these needs a pass of
    its own.

    Args:
        name: Name of the task.
        tasks: The parts, each with a name of its own.
        reduce: `"sum"` or `"mean"` of the parts' losses, each times its own
            `loss_weight`.
        loss_weight: Factor of the whole.
        **kwargs: Arguments of `Task`, such as `microbatches`, which the parts
            must not have.

    Call arguments:
        inputs: Inputs of all parts by modality. Parts that miss all of theirs
            are left out.
        encoder: The shared encoder (keyword).
        training: Whether the encoder trains.

    Returns:
        What each part returns, by its name.

    Batches:
        `(x,)`, `(x, y)` or `(x, y, sample_weight)`; `y` is a dict from the
        names of the parts that have targets to their targets.

    Metrics:
        `<task>/loss`, and those of each part as `<task>/<part>/<metric>`. The
        parts' losses are computed once more for them; XLA merges the two.

    Raises:
        ValueError: If there is no part, two have one name, one belongs to
            another task or a model already or has microbatches of its own, or
            `drop_tokens` is given here.

    Example:
        >>> import keras_imp
        >>> task = keras_imp.tasks.Combined("clothes", tasks=[
        ...     keras_imp.tasks.Classification("kind", "image", 10),
        ...     keras_imp.tasks.Regression("price", "image")])
        >>> task.modalities, [metric.name for metric in task.metrics][:2]
        (('image',), ['clothes/loss', 'clothes/kind/loss'])

    Reference:
        docs/method.md, Tasks and losses, the aggregator of objectives.
    """

    def __init__(
        self,
        name: str,
        tasks: list[Task],
        reduce: str = "sum",
        loss_weight: float = 1.0,
        **kwargs,
    ):
        super().__init__(name=name, loss_weight=loss_weight, **kwargs)
        check_choice(("sum", "mean"), reduce=reduce)
        if self.drop_tokens:
            raise ValueError(
                message(
                    "A task of several parts does not encode by itself.",
                    "Give `drop_tokens` to the parts.",
                    drop_tokens=self.drop_tokens,
                )
            )
        check_list(tasks)
        self.tasks = [layer_from(part) for part in tasks]
        self.reduce = reduce
        _check_parts(self.tasks)
        save_by_name(self, "part", {part.name: part for part in self.tasks})
        set_owner(self.tasks, f"the task {name!r}")
        for part in self.tasks:
            for metric in part.metrics:
                metric.name = f"{name}/{metric.name}"
                keras_private.name_variables(metric)

    @property
    def min_examples(self) -> int:
        """Fewest examples of a batch that have a loss: those of all parts."""
        return max(part.min_examples for part in self.tasks)

    @property
    def contrasts_examples(self) -> bool:
        """Whether a part contrasts the examples of a batch."""
        return any(part.contrasts_examples for part in self.tasks)

    def chance_loss(self, examples: int) -> float | None:
        """That of the parts, weighted and reduced as their losses are."""
        losses = [part.chance_loss(examples) for part in self.tasks]
        if None in losses:
            return None
        total = sum(
            part.loss_weight * loss
            for part, loss in zip(self.tasks, losses, strict=True)
            if loss is not None
        )
        return total / len(losses) if self.reduce == "mean" else total

    @property
    def modalities(self) -> tuple[str, ...]:
        names = (name for part in self.tasks for name in part.modalities)
        return tuple(dict.fromkeys(names))

    def prepare(self, encoder: Encoder) -> None:
        for part in self.tasks:
            part.prepare(encoder)

    @property
    def prepared(self) -> dict[str, Any]:
        """What each part took from the encoder, by its name."""
        return {part.name: part.prepared for part in self.tasks}

    @prepared.setter
    def prepared(self, value: dict[str, Any]) -> None:
        for part in self.tasks:
            part.prepared = value[part.name]

    @property
    def keeps_what_it_prepared(self) -> bool:
        return all(part.keeps_what_it_prepared for part in self.tasks)

    def build(self, pooled_shape):
        for part in self.tasks:
            part.build({name: pooled_shape[name] for name in part.modalities})

    def call(
        self,
        inputs: dict[str, Tensor],
        encoder: Encoder | None = None,
        training: bool | None = None,
    ) -> dict[str, Any]:
        shared = SharedPasses(self.given(encoder))
        return {
            part.name: part(given, encoder=shared, training=training)
            for part in self.tasks
            if (given := _inputs_of(part, inputs))
        }

    def compute_output_spec(self, inputs, encoder=None, training=None):
        options = {"encoder": encoder, "training": training}
        return {
            part.name: part.compute_output_spec(given, **options)
            for part in self.tasks
            if (given := _inputs_of(part, inputs))
        }

    def compute_loss(self, x, y, y_pred, sample_weight=None) -> Tensor:
        losses = [
            part.loss_weight
            * ops.cast(part.compute_loss(*batch, sample_weight), "float32")
            for part, *batch in self._batches(x, y, y_pred)
        ]
        total = sum(losses[1:], start=losses[0])
        return total / len(losses) if self.reduce == "mean" else total

    def update_metrics(self, x, y, y_pred, sample_weight=None) -> None:
        weight = total_weight(x, sample_weight)
        for part, *batch in self._batches(x, y, y_pred):
            loss = part.compute_loss(*batch, sample_weight)
            part.loss_metric.update_state(
                part.loss_weight * loss, sample_weight=weight
            )
            part.update_metrics(*batch, sample_weight)

    def check_batch(self, x, y, sample_weight=None) -> None:
        names = [part.name for part in self.tasks]
        if y is not None and not isinstance(y, dict):
            raise ValueError(
                message(
                    f"`y` must be a dict from parts, of {names}, to their "
                    "targets.",
                    type=type(y).__name__,
                )
            )
        for name in y or {}:
            if name not in names:
                raise ValueError(
                    message(f"`y` may have the parts {names}.", part=name)
                )
        for part in self.tasks:
            try:
                part.check_batch(
                    _inputs_of(part, x), (y or {}).get(part.name), sample_weight
                )
            except ValueError as error:
                raise ValueError(f"Part {part.name!r}: {error}") from error

    def encoder_inputs(self, x: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        seen: dict[str, np.ndarray] = {}
        for part in self.tasks:
            given = _inputs_of(part, x)
            for name, values in part.encoder_inputs(given).items():
                # If parts differ, check what goes in as it is.
                if name not in seen or values is x[name]:
                    seen[name] = values
        return seen

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        parts = [serialize(part) for part in self.tasks]
        return {
            **super().get_config(),
            **arguments_of(self, Combined, tasks=parts),
            "microbatches": self.microbatches,
            "accumulate": self.accumulate,
        }

    def _batches(self, x, y, y_pred):
        """Each part with its own x, y and y_pred."""
        for part in self.tasks:
            targets = None if y is None else y.get(part.name)
            yield part, _inputs_of(part, x), targets, y_pred[part.name]


def tasks_and_parts(tasks: dict[str, Task]) -> dict[str, Task]:
    """Tasks, and the parts of combined ones, by the names that logs have.

    Args:
        tasks: Tasks by name.

    Returns:
        Each task by its name, followed by its parts as `"<task>/<part>"`.

    Example:
        >>> import keras_imp
        >>> from keras_imp.tasks.combined import tasks_and_parts
        >>> task = keras_imp.tasks.Combined("clothes", tasks=[
        ...     keras_imp.tasks.Classification("kind", "image", 10)])
        >>> list(tasks_and_parts({"clothes": task}))
        ['clothes', 'clothes/kind']
    """
    found = {}
    for name, task in tasks.items():
        found[name] = task
        for part in task.tasks if isinstance(task, Combined) else ():
            found[f"{name}/{part.name}"] = part
    return found


def _inputs_of(part: Task, x: dict[str, Any]) -> dict[str, Any]:
    return {name: x[name] for name in part.modalities if name in x}


def _check_parts(parts: list[Task]) -> None:
    check_tasks_of(parts)
    for part in parts:
        if part.microbatches > 1:
            raise ValueError(
                message(
                    "A part has no microbatches of its own.",
                    "Give `microbatches` to the task that combines them.",
                    part=part.name,
                    microbatches=part.microbatches,
                )
            )
