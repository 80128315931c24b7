"""Checks on the host: a compiled step cannot raise a readable error."""

from typing import Any

import numpy as np

from keras_imp._errors import message, outline
from keras_imp.models.protocols import check_encoder
from keras_imp.tasks.combined import Combined
from keras_imp.tasks.owners import check_tasks_of
from keras_imp.tasks.task import Task, count_examples
from keras_imp.training.input.host_batch import host_arrays
from keras_imp.training.input.task_mixture import TaskMixture

# Arguments of Keras' `fit` and `evaluate` that would have no effect.
ARGUMENTS_FOR_ARRAYS = (
    "y",
    "batch_size",
    "sample_weight",
    "class_weight",
    "validation_batch_size",
    "shuffle",
)


def check_mixture(mixture: Any, tasks: dict[str, Task], argument: str) -> None:
    """Raise unless a mixture fits the tasks of a model.

    Args:
        mixture: What the user gave.
        tasks: Tasks of the model by name.
        argument: Name of the argument, for the message.

    Raises:
        TypeError: If it is no mixture.
        ValueError: If it has a task that the model does not have.
    """
    if not isinstance(mixture, TaskMixture):
        raise TypeError(
            message(
                f"`{argument}` must be a keras_imp.TaskMixture.",
                "Wrap the data of each task: TaskMixture({task name: "
                "keras_imp.data.Arrays({modality: x}, y)}).",
                type=type(mixture).__name__,
            )
        )
    for name in mixture.names:
        if name not in tasks:
            raise ValueError(
                message(
                    f"`{argument}` has the task {name!r}, which the model does "
                    "not have.",
                    "Add the task to the model, or take its source out of the "
                    "mixture.",
                    mixture=list(mixture.names),
                    model=list(tasks),
                )
            )


def check_items(mixture: TaskMixture, argument: str, together: bool) -> None:
    """Raise unless the items of a mixture are of one task, or of all.

    Args:
        mixture: The mixture.
        argument: Name of the argument, for the message.
        together: Whether each item must have a batch of every task.

    Raises:
        ValueError: If the items are of the other kind.
    """
    if together and not mixture.is_together:
        raise ValueError(
            message(
                f"`{argument}` must have a batch of every task in each item.",
                "Use TaskMixture.together, or an AlternatingModel.",
                is_together=False,
            )
        )
    if mixture.is_together and not together:
        raise ValueError(
            message(
                f"`{argument}` must have a batch of one task in each item.",
                "Use TaskMixture, or a CombinedModel.",
                is_together=True,
            )
        )


def check_rounds(every: int, prefetch: int, steps_per_execution: int) -> None:
    """Raise unless a schedule decides its rounds before they are read.

    Args:
        every: Steps of a round of an adaptive schedule.
        prefetch: Batches that its mixture holds ready.
        steps_per_execution: Steps between two calls of callbacks.

    Raises:
        ValueError: If rounds are too short.
    """
    # A round may end at the first of the steps of an execution; while it runs,
    # the next execution and the batches to prefetch are read. Two to spare.
    needed = prefetch + 2 * steps_per_execution + 2
    if every < needed:
        raise ValueError(
            message(
                "A round of an adaptive schedule must have at least `prefetch "
                f"+ 2 * steps_per_execution + 2` steps, {needed} here: its "
                "batches are read while the round before it runs.",
                "Use longer rounds.",
                every=every,
                prefetch=prefetch,
                steps_per_execution=steps_per_execution,
            )
        )


def check_no_losses(given: dict[str, Any]) -> None:
    """Raise if `compile` is given what each task has for itself.

    Args:
        given: Arguments by name.

    Raises:
        ValueError: If there is a loss or a metric.
    """
    for name in ("loss", "metrics", "weighted_metrics", "loss_weights"):
        if given.get(name) is not None:
            raise ValueError(
                message(
                    f"`{name}` must not be given: each task has its own.",
                    "Set it in the task.",
                    **{name: given[name]},
                )
            )


def check_no_arguments_for_arrays(method: str, given: dict[str, Any]) -> None:
    """Raise if an argument says how to cut arrays, which a mixture does.

    Args:
        method: Name of the method, for the message.
        given: Arguments by name.

    Raises:
        ValueError: If there is one.
    """
    mixture = "TaskMixture" if method == "fit" else "TaskMixture.sequential"
    for name in ARGUMENTS_FOR_ARRAYS:
        if given.get(name) is not None:
            raise ValueError(
                message(
                    f"`{name}` of `{method}` is for arrays: a mixture has "
                    "batches, with their targets and weights.",
                    f"Write {method}(keras_imp.{mixture}({{task name: "
                    "keras_imp.data.Arrays({modality: x}, y, sample_weight, "
                    "batch_size=32)})).",
                    **{name: outline(given[name])},
                )
            )


def check_inputs(
    task: Task, x: Any, encoder: Any, some: bool = False, y: Any = None
) -> None:
    """Raise unless a batch has a task's modalities, in a form that fits.

    Args:
        task: The task.
        x: Inputs by modality.
        encoder: Its `check_inputs`, if it has one, checks the values.
        some: Whether a part of the modalities is enough.
        y: Targets, for the message.

    Raises:
        ValueError: If a modality is missing or does not fit.
    """
    names = list(x) if isinstance(x, dict) else []
    missing = [name for name in task.modalities if name not in names]
    if len(missing) == len(task.modalities) or (missing and not some):
        raise ValueError(
            message(
                f"Task {task.name!r} needs the inputs {list(task.modalities)}, "
                f"but its batch has {_names_in(x)}.",
                _how_to_give(missing, x, y),
            )
        )
    if hasattr(encoder, "check_inputs"):
        inputs = {name: x[name] for name in task.modalities if name in x}
        with Named(task):
            arrays = host_arrays(inputs, "`x`")
            encoder.check_inputs(task.encoder_inputs(arrays))


def check_order(task: Task, x: Any, y: Any) -> None:
    """Raise if targets come before inputs.

    Args:
        task: The task.
        x: What came first.
        y: What came second.

    Raises:
        ValueError: If `y` has the task's modalities, and `x` has not.
    """
    is_swapped = isinstance(y, dict) and not isinstance(x, dict)
    if is_swapped and set(task.modalities) & set(y):
        raise ValueError(
            f"Task {task.name!r}: the inputs are in `y`. Give (x, y), not "
            "(y, x)."
        )


def _names_in(x: Any) -> Any:
    return sorted(x) if isinstance(x, dict) else type(x).__name__


def _how_to_give(missing: list[str], x: Any, y: Any) -> str:
    """What to write where a batch lacks inputs."""
    if isinstance(x, dict) and len(x) > 1 and y is None:
        # Columns, as a loader of torch or Hugging Face gives them.
        target, *_, values = sorted(x, key=lambda name: np.ndim(x[name]))
        return (
            f"Make pairs (x, y) of columns: lambda: (({{{missing[0]!r}: "
            f"b[{values!r}]}}, b[{target!r}]) for b in loader)."
        )
    return (
        f"Add {missing} to the task's data, or choose a task with other "
        "modalities."
    )


def check_sample_weight(x: dict[str, Any], sample_weight: Any) -> None:
    """Raise unless there is one weight for each example.

    Args:
        x: Inputs by modality.
        sample_weight: Weights, or None.

    Raises:
        ValueError: If the number of weights differs, or one is negative, NaN
            or infinite.
    """
    if sample_weight is None:
        return
    examples = count_examples(x)
    if np.shape(sample_weight) != (examples,):
        raise ValueError(
            message(
                f"`sample_weight` must have shape {(examples,)}, one weight "
                "for each example.",
                shape=np.shape(sample_weight),
            )
        )
    weights = np.asarray(sample_weight)
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(wrong):
        raise ValueError(
            message(
                "`sample_weight` must be finite and at least 0.",
                weight=float(weights[wrong[0]]),
                row=int(wrong[0]),
            )
        )


def check_parts(task: Task, x: dict[str, Any]) -> None:
    """Raise unless a batch can be cut into the task's microbatches.

    Args:
        task: The task.
        x: Inputs by modality.

    Raises:
        ValueError: If the parts would not be equal, or would have no loss of
            their own where they need one.
    """
    examples = count_examples(x)
    if examples % task.microbatches:
        raise ValueError(
            message(
                "The number of examples of a batch must be a multiple of "
                "`microbatches`.",
                "Use another batch size or another number of parts.",
                batch_size=examples,
                microbatches=task.microbatches,
            )
        )
    if task.microbatches == 1 or task.accumulate != "mean":
        return
    if examples // task.microbatches < task.min_examples:
        raise ValueError(
            message(
                'With accumulate="mean", each part of a batch must have at '
                f"least {task.min_examples} examples: it has a loss of its "
                "own.",
                'Use fewer microbatches, or accumulate="exact".',
                batch_size=examples,
                microbatches=task.microbatches,
            )
        )


class Named:
    """A context that puts a task's name in front of an error about its data.

    Args:
        task: The task.
    """

    # A class, as every batch enters it twice: a generator takes five times as
    # long.
    def __init__(self, task: Task):
        self._task = task

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if isinstance(error, ValueError | TypeError):
            # Some of their subclasses cannot be made from one message.
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"Task {self._task.name!r}: {error}") from error


def check_tasks(tasks: Any, encoder: Any, hidden_dim: Any) -> None:
    """Raise unless tasks and encoder can make one model.

    Args:
        tasks: Tasks of the model.
        encoder: Its `modalities`, if it has them, are what tasks may use.
        hidden_dim: Width of the pooled output, or None if unknown.

    Raises:
        ValueError: If there is no task, two have one name, one belongs to
            another model, the width is not known, or the encoder lacks a
            modality.
    """
    check_tasks_of(tasks)
    if hidden_dim is None:
        raise ValueError(
            message(
                "`hidden_dim` must be given for an encoder without an "
                "attribute `hidden_dim`.",
                encoder=type(encoder).__name__,
            )
        )
    known = getattr(encoder, "modalities", ())
    for task in tasks:
        unknown = [m for m in task.modalities if known and m not in known]
        if unknown:
            raise ValueError(
                message(
                    f"Task {task.name!r} uses the modality {unknown[0]!r}, "
                    "which the encoder does not have.",
                    f"Add {unknown[0]!r} to the encoder's `modalities`.",
                    modalities=tuple(known),
                )
            )
        _check_drop_tokens(task, encoder)


def _check_drop_tokens(task: Task, encoder: Any) -> None:
    for part in task.tasks if isinstance(task, Combined) else ():
        _check_drop_tokens(part, encoder)
    for name in task.drop_tokens:
        if name not in task.modalities:
            raise ValueError(
                message(
                    f"`drop_tokens` of task {task.name!r} must name some of "
                    f"its modalities {tuple(task.modalities)}.",
                    modality=name,
                )
            )
    if task.drop_tokens:
        check_encoder(
            encoder,
            needs=("num_tokens", "kept"),
            purpose=f"`drop_tokens` of task {task.name!r}",
            hint="Or drop tokens on the host.",
        )
