"""Copy a task with its weights: `copy.deepcopy`, pickle.

Keras copies a layer by its config and what its `build` was given. A task also
needs what `prepare` took from the encoder, which is no part of the copy.
"""

from typing import Any, NamedTuple

import keras

from keras_imp._errors import message


class BuiltTask(NamedTuple):
    """What a built task has beside its config.

    Attributes:
        shapes: What `build` was given.
        prepared: What `prepare` took from the encoder.
        values: Of all its variables, in their order.
    """

    shapes: Any
    prepared: Any
    values: list[Any]


def taken_apart(task: Any) -> tuple:
    """What makes a copy of a task, for `__reduce__`.

    Args:
        task: The task.

    Returns:
        `put_together`, and its arguments.

    Raises:
        TypeError: If it is a built task of a class of one's own that takes
            something from its encoder in `prepare`.

    Example:
        >>> import copy, keras_imp
        >>> task = keras_imp.tasks.Regression("price", "image")
        >>> task.build({"image": (None, 4)})
        >>> copy.deepcopy(task).count_params()
        5
    """
    config = task.get_config()
    if not task.built:
        return put_together, (type(task), config, None)
    if not task.keeps_what_it_prepared:
        raise TypeError(
            message(
                "A built task that takes something from its encoder in "
                "`prepare` cannot be copied without the encoder.",
                "Copy the model that it belongs to, or make a new task: "
                "type(task).from_config(task.get_config()).",
                task=task.name,
            )
        )
    built = BuiltTask(
        _plain(keras.layers.Layer.get_build_config(task)["input_shape"]),
        _plain(task.prepared),
        [keras.ops.convert_to_numpy(v) for v in task.variables],
    )
    return put_together, (type(task), config, built)


def put_together(
    cls: type, config: dict[str, Any], built: BuiltTask | None
) -> Any:
    """A task from what `taken_apart` returned; no model owns it.

    Args:
        cls: Class of the task.
        config: Its config.
        built: What it has beside; None if it was not built.

    Returns:
        The task.
    """
    task: Any = cls.from_config(config)  # type: ignore[attr-defined]
    if built is not None:
        task.prepared = built.prepared
        task.build(built.shapes)
        for variable, value in zip(task.variables, built.values, strict=True):
            variable.assign(value)
    return task


def _plain(value: Any) -> Any:
    """The same without what Keras tracks dicts by, which holds the task."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    return value
