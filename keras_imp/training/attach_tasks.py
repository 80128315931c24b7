"""Build the tasks of a model, and make them its own."""

from typing import Any

from keras_imp._saving.names import save_by_name
from keras_imp.tasks.owners import set_owner
from keras_imp.training.input.checks import named


def attach_tasks(model: Any) -> None:
    """Build the tasks for a model's encoder; save them by name.

    Args:
        model: An `AlternatingModel`, whose tasks were checked.

    Raises:
        ValueError: If the encoder lacks what a task needs; it names the task.
    """
    for task in model.task_list:
        with named(task):
            task.prepare(model.encoder)
        if not task.built:
            task.build(dict.fromkeys(task.modalities, (None, model.hidden_dim)))
    set_owner(model.task_list, f"the model {model.name!r}")
    save_by_name(model, "head", model.tasks)
