"""What goes into one file: an encoder, maybe a task, and one input."""

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from keras_imp._errors import message
from keras_imp.exporting.inputs import Input, input_of
from keras_imp.models.imp_encoder import IMPEncoder
from keras_imp.models.protocols import check_any_encoder
from keras_imp.models.sparse.placement import ROUTERS
from keras_imp.tasks.classification import Classification
from keras_imp.tasks.combined import Combined, tasks_and_parts
from keras_imp.tasks.contrastive.task import Contrastive
from keras_imp.tasks.masked.task import MaskedModeling
from keras_imp.tasks.regression import Regression
from keras_imp.tasks.task import Task
from keras_imp.typing import Tensor

# What the one output of a task is called; those of others are "output".
OUTPUTS = {Classification: "logits", Regression: "values"}
EMBEDDING = "embedding"


class Subject(NamedTuple):
    """What is exported.

    Attributes:
        encoder: The encoder.
        task: The task whose outputs are wanted; None for the pooled output.
        input: The one input.
    """

    encoder: Any
    task: Task | None
    input: Input

    @property
    def layers(self) -> list[Any]:
        """All that has weights."""
        return [part for part in (self.encoder, self.task) if part is not None]

    def outputs(self) -> Callable[[Tensor], dict[str, Tensor]]:
        """From the input to the outputs of the file, float32, by name."""

        def run(x: Tensor) -> dict[str, Tensor]:
            found = self._call({self.input.name: x})
            return {key: ops.cast(y, "float32") for key, y in found.items()}

        return run

    def _call(self, x: dict[str, Tensor]) -> dict[str, Tensor]:
        if self.task is None:
            features = self.encoder(x, training=False)[self.input.name]
            return {EMBEDDING: features["pooled_output"]}
        found = self.task(x, encoder=self.encoder, training=False)
        if isinstance(found, dict):
            return found
        names = [n for cls, n in OUTPUTS.items() if isinstance(self.task, cls)]
        return {names[0] if names else "output": found}


def subject_of(
    model: Any,
    modality: str | None,
    task: str | None,
    input_shape: tuple[int | None, ...] | None,
    preprocessor: Any,
) -> Subject:
    """What to export of a model, checked.

    Args:
        model: An encoder, or a model with an encoder and tasks.
        modality: The input; None if there is only one.
        task: Name of a task; None for the encoder's pooled output.
        input_shape: Shape of one input; None for that of the preprocessor.
        preprocessor: An `IMPPreprocessor`, or None.

    Returns:
        The subject.

    Raises:
        TypeError: If the model is none.
        ValueError: If it lacks the modality or the task, or the input has no
            size.
    """
    encoder = getattr(model, "encoder", model)
    check_any_encoder(encoder)
    _check_groups(encoder)
    chosen = None if task is None else _task_of(model, task)
    name = _modality_of(encoder, chosen, modality)
    given = input_of(encoder, name, input_shape, preprocessor)
    return Subject(encoder, chosen, given)


def _check_groups(encoder: Any) -> None:
    """Raise if outputs of an example depend on how large its batch is."""
    if not isinstance(encoder, IMPEncoder) or not encoder.num_experts:
        return
    group_size = encoder.router_options.get("group_size")
    of_batch = encoder.variant == "imp" or group_size == "batch"
    if of_batch and not ROUTERS[encoder.router].mixes_tokens:
        raise ValueError(
            message(
                "A group of the routed layers must not be a whole batch: a "
                "file takes batches of any size.",
                "Export a model whose groups are single examples or a number "
                'of tokens: variant="fixed", router_options={"group_size": '
                "None}.",
                variant=encoder.variant,
                group_size=group_size,
            )
        )


def _task_of(model: Any, name: str) -> Task:
    known = tasks_and_parts(getattr(model, "tasks", {}))
    if name not in known:
        raise ValueError(
            message(
                f"`task` must be one of the model's: {list(known)}.",
                "" if known else "Leave it out to export an encoder.",
                task=name,
            )
        )
    task = known[name]
    if isinstance(task, Combined):
        parts = [f"{name}/{part.name}" for part in task.tasks]
        raise ValueError(
            message(
                "A file has one task: a combined one has several.",
                f"Export its parts, each into a file of its own: {parts}.",
                task=name,
            )
        )
    if isinstance(task, MaskedModeling):
        raise ValueError(
            message(
                "Masked modeling has no output for a file: it masks at random.",
                "Leave `task` out, which exports the encoder it has trained.",
                task=name,
            )
        )
    if len(task.modalities) > 1 and not isinstance(task, Contrastive):
        raise ValueError(
            message(
                "A file has one input: this task needs several.",
                "Leave `task` out and export the encoder, one file for each "
                "of these modalities; compute the rest from their embeddings.",
                task=name,
                modalities=task.modalities,
            )
        )
    return task


def _modality_of(encoder: Any, task: Task | None, name: str | None) -> str:
    owner = "encoder" if task is None else f"task {task.name!r}"
    known = tuple((encoder if task is None else task).modalities)
    if name is None and len(known) == 1:
        return known[0]
    if name is None:
        raise ValueError(
            message(
                f"`modality` must be given: a file has one input, and the "
                f"{owner} takes {known}.",
                "Export one file for each, and compare their outputs.",
                modality=None,
            )
        )
    if name not in known:
        raise ValueError(
            message(
                f"`modality` must be one that the {owner} has: {known}.",
                modality=name,
            )
        )
    return name
