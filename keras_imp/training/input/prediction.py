"""The inputs of `predict`: arrays in memory, of one task."""

from typing import Any

from keras_imp._errors import check_integer, message
from keras_imp.tasks.task import Task, count_examples
from keras_imp.training.input.checks import check_inputs
from keras_imp.training.input.host_batch import host_batch


def task_named(tasks: dict[str, Task], name: str | None) -> Task:
    """A task of a model.

    Args:
        tasks: The tasks by name.
        name: Name of the task; None for the only one.

    Returns:
        The task.

    Raises:
        ValueError: If there is none of this name, or several to choose from.
    """
    if name is None and len(tasks) == 1:
        return next(iter(tasks.values()))
    if name is None:
        raise ValueError(
            message(
                f"`task` must be given: the model has the tasks {list(tasks)}.",
                task=None,
            )
        )
    if name not in tasks:
        raise ValueError(
            message(f"The model has the tasks {list(tasks)}.", task=name)
        )
    return tasks[name]


def called(tasks: dict[str, Task], inputs: Any, most: int) -> dict[str, Any]:
    """Check what a model is called with.

    Args:
        tasks: The tasks by name.
        inputs: Should be inputs by task.
        most: How many tasks a call may have.

    Returns:
        `inputs`.

    Raises:
        ValueError: If they are no dict of tasks, none or too many.
    """
    names = list(inputs) if isinstance(inputs, dict) else type(inputs).__name__
    known = isinstance(inputs, dict) and set(inputs) <= set(tasks)
    if not known or not 0 < len(inputs) <= most:
        several = "one or more tasks" if most > 1 else "one task"
        raise ValueError(
            message(
                f"A call must have the inputs of {several} of {list(tasks)}.",
                "Use model({task: {modality: values}}), or model.predict("
                "{modality: values}, task=task).",
                inputs=names,
            )
        )
    return inputs


def prediction_inputs(task: Task, encoder: Any, x: Any) -> dict[str, Any]:
    """Check the inputs of a prediction, and keep what the task needs.

    Args:
        task: The task.
        encoder: The shared encoder.
        x: Inputs by modality, some or all of the task's; or the array alone,
            of a task of one modality.

    Returns:
        Inputs by modality.

    Raises:
        ValueError: If the inputs do not fit the task or each other.
    """
    x = host_batch((by_modality(task, x),))[0]
    check_inputs(task, x, encoder, some=True)
    x = {name: x[name] for name in task.modalities if name in x}
    check_lengths(task, x)
    return x


def placed(
    placement: Any, x: dict[str, Any], batch_size: Any
) -> tuple[dict[str, Any], int]:
    """Inputs and batch size as the devices of a model take them.

    Args:
        placement: Puts batches on several devices; None for one device.
        x: Inputs by modality.
        batch_size: What the user gave.

    Returns:
        The inputs, maybe with more examples, and a batch size that the
        devices can share.

    Raises:
        ValueError: If the batch size is no integer of at least 1.
    """
    check_integer(batch_size=batch_size)
    if placement is None:
        return x, batch_size
    return placement.fill(x), placement.round_up(batch_size)


def check_lengths(task: Task, x: dict[str, Any]) -> None:
    """Raise unless all inputs of a prediction have as many examples.

    Args:
        task: The task.
        x: Inputs by modality.

    Raises:
        ValueError: If they differ, or there is no example.
    """
    counts = {name: count_examples(values) for name, values in x.items()}
    if len(set(counts.values())) > 1 or not all(counts.values()):
        raise ValueError(
            message(
                f"Task {task.name!r}: all inputs must have the same number of "
                "examples, at least one.",
                "Leave empty batches out." if not any(counts.values()) else "",
                examples=counts,
            )
        )


def by_modality(task: Task, x: Any) -> Any:
    """Inputs as a dict; a task of one modality takes its array alone."""
    if isinstance(x, dict) or len(task.modalities) > 1:
        return x
    return {task.modalities[0]: x}
