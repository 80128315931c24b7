"""Build the tasks of a model, and make them its own."""

from typing import Any

from keras_imp._errors import message
from keras_imp._saving.names import save_by_name
from keras_imp.models.protocols import finish_building, has_own_build
from keras_imp.tasks.owners import set_owner
from keras_imp.tasks.task import Task
from keras_imp.training.input.checks import Named


def attach_tasks(model: Any) -> None:
    """Build the tasks for a model's encoder; save them by name.

    Args:
        model: An `AlternatingModel`, whose tasks were checked.

    Raises:
        ValueError: If the encoder lacks what a task needs, or a task does not
            build all its layers; it names the task.
    """
    for task in model.task_list:
        with Named(task):
            task.prepare(model.encoder)
        if not task.built and has_own_build(task):
            task.build(dict.fromkeys(task.modalities, (None, model.hidden_dim)))
        _check_built(task)
    set_owner(model.task_list, f"the model {model.name!r}")
    save_by_name(model, "head", model.tasks)


def _check_built(task: Task) -> None:
    unbuilt = finish_building(task)
    if unbuilt:
        raise ValueError(
            message(
                f"Task {task.name!r} must build all its layers in `build`: the "
                "optimizer must know all weights before the first step.",
                "Define build(self, pooled_shape), where pooled_shape is "
                "{modality: (None, hidden_dim)}, and build each layer there, "
                "such as self.head.build(pooled_shape["
                f"{task.modalities[0]!r}]).",
                not_built=unbuilt,
            )
        )
