"""A task belongs to one model, or to one task of several parts."""

import inspect
from typing import Any

from keras_imp._errors import message, outline
from keras_imp.tasks.task import Task


def check_tasks_of(tasks: Any) -> None:
    """Raise unless tasks can have one owner, new to all of them.

    Args:
        tasks: The tasks.

    Raises:
        TypeError: If they are no list of tasks, or one cannot be called.
        ValueError: If there is none, two have one name, or one has an owner.

    Example:
        >>> import keras_imp
        >>> from keras_imp.tasks.owners import check_tasks_of
        >>> check_tasks_of([keras_imp.tasks.Regression("price", "image")])
    """
    check_list(tasks)
    for task in tasks:
        _check_task(task)
    if not tasks:
        raise ValueError("`tasks` must have at least one task.")
    names = [task.name for task in tasks]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            message(
                f"Each task needs a name of its own, but {twice[0]!r} is there "
                "more than once.",
                names=names,
            )
        )
    for task in tasks:
        check_no_owner(task)


def check_list(tasks: Any) -> None:
    """Raise unless tasks are several.

    Args:
        tasks: What a user gave.

    Raises:
        TypeError: If it is no list.

    Example:
        >>> from keras_imp.tasks.owners import check_list
        >>> check_list([])
    """
    if not isinstance(tasks, list | tuple):
        raise TypeError(
            message(
                "`tasks` must be a list of tasks.",
                "Use [task].",
                type=type(tasks).__name__,
            )
        )


def _check_task(task: Any) -> None:
    if not isinstance(task, Task):
        raise TypeError(
            message(
                "Each of `tasks` must be an instance of a subclass of "
                "keras_imp.tasks.Task.",
                'Use keras_imp.tasks.Classification("objects", "image", 10), '
                "for example.",
                task=outline(task),
            )
        )
    if isinstance(task.modalities, str):
        raise TypeError(
            message(
                f"`modalities` of task {task.name!r} must be a tuple of names.",
                f'Use ("{task.modalities}",), with a comma.',
                modalities=task.modalities,
            )
        )
    parameters = inspect.signature(task.call).parameters.values()
    names = {parameter.name for parameter in parameters}
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
    missing = {"encoder", "training"} - names
    if missing and not takes_any:
        raise TypeError(
            message(
                f"`call` of task {task.name!r} must take the encoder.",
                "Write call(self, inputs, encoder=None, training=None).",
                arguments=sorted(names),
            )
        )


def check_no_owner(task: Task) -> None:
    """Raise if a task is in another model, or a part of another task, already.

    Two owners would share its head: training one would change the predictions
    of the other.

    Args:
        task: The task.

    Raises:
        ValueError: If it has an owner.

    Example:
        >>> import keras_imp
        >>> from keras_imp.tasks.owners import check_no_owner
        >>> check_no_owner(keras_imp.tasks.Regression("price", "image"))
    """
    owner = getattr(task, "_owner", None)
    if owner is not None:
        raise ValueError(
            message(
                f"Task {task.name!r} already belongs to {owner}: its head "
                "would be shared, so that training one changes what the other "
                "predicts.",
                "Make new tasks for each model, such as in a function "
                "that returns them; the encoder may be shared. To copy one: "
                "type(task).from_config(task.get_config()).",
                task=task.name,
            )
        )


def set_owner(tasks: list[Task], owner: str) -> None:
    """Note what the tasks belong to; see `check_no_owner`.

    Args:
        tasks: Tasks without an owner.
        owner: Such as `"the model 'alternating_model'"`.
    """
    for task in tasks:
        task._owner = owner
