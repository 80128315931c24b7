"""What makes a training run this one: tasks, shapes, arguments, data order.

A backup holds this description, so that another run's backup is refused with
the argument that differs, and not loaded into a model that it half fits.
"""

import json
import re
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_imp._keras_private import applied_optimizer
from keras_imp.data.description import content_difference
from keras_imp.training.input.task_mixture import TaskMixture
from keras_imp.training.schedules import Schedule

# Not the user's choice, or of no effect once the state is restored: Keras
# numbers names within a process, and seeds only set the first random states.
NOT_COMPARED = (
    "name",
    "seed",
    "module",
    "registered_name",
    "build_config",
    "inbound_nodes",
    "input_layers",
    "output_layers",
)
MISSING = "nothing"
# In the config of an optimizer, and of one that scales the loss for another.
LEARNING_RATE = "learning_rate"
INNER = "inner_optimizer"


class Difference(NamedTuple):
    """Where two descriptions differ first.

    Attributes:
        where: Dotted path, such as `"optimizer.weight_decay"`.
        backup: The value in the backup.
        now: The value in this run.
    """

    where: str
    backup: Any
    now: Any


def describe(model: keras.Model, mixture: TaskMixture) -> dict[str, Any]:
    """Describe a run, before it starts or is restored.

    Args:
        model: An `AlternatingModel` whose optimizer is built.
        mixture: Its training data.

    Returns:
        A description that JSON can hold, the same on each backend.
    """
    optimizer = _plain(keras.saving.serialize_keras_object(model.optimizer))
    _rate_left_out(optimizer)
    description = {
        "tasks": list(model.tasks),
        "model": {"class": type(model).__name__, **_model_config(model)},
        "optimizer": {**optimizer, LEARNING_RATE: learning_rate(model)},
        "weights": _shapes(model.weights),
        "random_states": len(model.run_state.random_states()),
        "optimizer_weights": _shapes(model.optimizer.variables),
        "mixture": {
            "steps_per_epoch": mixture.num_batches,
            "schedule": _schedule(mixture.schedule),
            "batches": {
                name: source.num_batches
                for name, source in mixture.sources.items()
            },
            "sources": {
                # With its seed: it decides the order of the batches.
                name: _plain(source.describe(), leave_out=())
                for name, source in mixture.sources.items()
            },
        },
    }
    # As it will come back from a file: tuples are lists.
    return json.loads(json.dumps(description))


def learning_rate(model: keras.Model) -> Any:
    """The learning rate: a number, which callbacks may change, or a schedule.

    Args:
        model: A compiled model.

    Returns:
        A float, or the schedule's config.
    """
    applied = applied_optimizer(model.optimizer)
    return _plain(applied.get_config().get(LEARNING_RATE))


def with_learning_rate(description: dict[str, Any], rate: Any) -> dict:
    """The description of a run as if it had begun with a learning rate.

    Args:
        description: The one of a backup; it stays as it is.
        rate: What `learning_rate` gives.

    Returns:
        The other description.

    Example:
        >>> from keras_imp.training.checkpoint import run_description
        >>> run_description.with_learning_rate({"optimizer": {}}, 0.1)
        {'optimizer': {'learning_rate': 0.1}}
    """
    optimizer = dict(description.get("optimizer", {}))
    # Files of version 0.1.0 may have it there.
    _rate_left_out(optimizer)
    return {**description, "optimizer": {**optimizer, LEARNING_RATE: rate}}


def first_difference(
    backup: Any, now: Any, where: str = "", same_version: bool = True
) -> Difference | None:
    """Compare two descriptions.

    Args:
        backup: The one of a backup.
        now: The one of this run.
        where: Path that leads here.
        same_version: Whether one version of keras-imp wrote both. Versions
            know other facts: what one of them does not have is no difference.

    Returns:
        The first `Difference`, or None.

    Example:
        >>> from keras_imp.training.checkpoint import run_description
        >>> run_description.first_difference({"a": {"b": 1}}, {"a": {"b": 2}})
        Difference(where='a.b', backup=1, now=2)
    """
    if where.endswith(".content"):
        return _difference_of_content(backup, now, where)
    pairs = _parts(backup, now, where, same_version)
    if pairs is None:
        equal = _any_backend(backup) == _any_backend(now)
        return None if equal else Difference(where, backup, now)
    found = (
        first_difference(old, new, path, same_version)
        for path, old, new in pairs
    )
    return next(filter(None, found), None)


def _parts(
    backup: Any, now: Any, where: str, same_version: bool
) -> list[tuple[str, Any, Any]] | None:
    """Path and values of each part; None if they are compared as a whole."""
    if isinstance(backup, dict) and isinstance(now, dict):
        keys = [*now, *(key for key in backup if key not in now)]
        if not same_version:
            keys = [key for key in keys if key in backup and key in now]
        return [
            (
                f"{where}.{key}" if where else key,
                backup.get(key, MISSING),
                now.get(key, MISSING),
            )
            for key in keys
        ]
    if isinstance(backup, list) and isinstance(now, list) and _is_long(now):
        if len(backup) != len(now):
            return [(f"len({where})", len(backup), len(now))]
        return [
            (f"{where}[{i}]", old, new)
            for i, (old, new) in enumerate(zip(backup, now))
        ]
    return None


def _difference_of_content(
    backup: Any, now: Any, where: str
) -> Difference | None:
    found = content_difference(backup, now)
    if found is None:
        return None
    index, *values = found
    return Difference(where + index, *values)


def _any_backend(value: Any) -> Any:
    """A value as each backend would describe it.

    JAX has 32 bits where the others count in 64.
    """
    if isinstance(value, str):
        return re.sub(r"^(u?)int(32|64) \(", r"\1int (", value)
    return (
        [_any_backend(v) for v in value] if isinstance(value, list) else value
    )


def _model_config(model: keras.Model) -> dict[str, Any]:
    """Config of the model, as far as its encoder has one."""
    try:
        return _plain(model.get_config())
    except NotImplementedError:
        # The user's encoder does not tell its arguments; its weights' shapes
        # are compared all the same.
        return {"encoder": type(model.encoder).__name__}


def _rate_left_out(optimizer: dict[str, Any]) -> None:
    optimizer.pop(LEARNING_RATE, None)
    if isinstance(optimizer.get(INNER), dict):
        inner = optimizer[INNER] = dict(optimizer[INNER])
        inner.pop(LEARNING_RATE, None)


def _schedule(schedule: Schedule) -> dict[str, Any]:
    """Class and public attributes of a schedule."""
    attributes = {k: v for k, v in vars(schedule).items() if k[0] != "_"}
    # The seed decides which task each step gets.
    return {
        "class": type(schedule).__name__,
        **_plain(attributes),
        "seed": schedule.seed,
    }


def _shapes(variables: list) -> list[str]:
    return [f"{v.dtype} {tuple(v.shape)}" for v in variables]


def _plain(value: Any, leave_out: tuple[str, ...] = NOT_COMPARED) -> Any:
    """A config without what Keras numbers, and with plain values only."""
    if isinstance(value, dict):
        if "class_name" in value and isinstance(value.get("config"), dict):
            config = value["config"]
            # A dtype policy is its name; a layer's name is no argument.
            if value["class_name"].endswith("DTypePolicy"):
                return config.get("name")
            return {"class": value["class_name"], **_plain(config, leave_out)}
        return {
            str(key): _plain(part, leave_out)
            for key, part in value.items()
            if key not in leave_out
        }
    if isinstance(value, list | tuple):
        return [_plain(part, leave_out) for part in value]
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return type(value).__name__


def _is_long(values: list) -> bool:
    """Whether only the part that differs is worth showing."""
    nested = any(isinstance(value, dict | list) for value in values)
    return nested or len(values) > 8
