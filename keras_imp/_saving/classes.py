"""Make objects from a file, and name the classes that this process lacks.

Keras would print the whole config of what it cannot make.
"""

from collections.abc import Iterator
from typing import Any

import keras

from keras_imp._errors import message

# Keras finds classes of these by itself.
FOUND_BY_KERAS = ("builtins", "keras", "keras_hub")


def deserialized(
    config: dict[str, Any], custom_objects: dict[str, Any] | None, what: str
) -> Any:
    """Make what a file describes.

    Args:
        config: What `keras.saving.serialize_keras_object` returned.
        custom_objects: Classes by name that are known beside the registered
            ones.
        what: What it is, such as `"a task"`.

    Returns:
        The object.

    Raises:
        ValueError: If it or a part of it is of a class that is not known; it
            names the class.

    Example:
        >>> import keras, keras_imp
        >>> from keras_imp._saving.classes import deserialized
        >>> task = keras_imp.tasks.Regression("price", "image")
        >>> config = keras.saving.serialize_keras_object(task)
        >>> deserialized(config, None, "a task").name
        'price'
    """
    try:
        return keras.saving.deserialize_keras_object(config, custom_objects)
    except Exception as error:
        unknown = dict.fromkeys(_unknown(config, custom_objects))
        if not unknown:
            raise
        # Not from the error: it holds the config of all that is around.
        raise ValueError(_missing(unknown, config, what)) from (
            None if isinstance(error, TypeError) else error
        )


def _unknown(config: Any, custom_objects: Any) -> Iterator[tuple[str, str]]:
    """Names and modules of the classes that cannot be found."""
    if isinstance(config, list | tuple):
        for part in config:
            yield from _unknown(part, custom_objects)
    if not isinstance(config, dict):
        return
    name, module = config.get("class_name"), config.get("module")
    if isinstance(name, str) and isinstance(module, str):
        registered = config.get("registered_name") or name
        found = keras.saving.get_registered_object(registered, custom_objects)
        if found is None and module.split(".")[0] not in FOUND_BY_KERAS:
            yield name, module
    for part in config.values():
        yield from _unknown(part, custom_objects)


def _missing(
    unknown: dict[tuple[str, str], None], config: dict[str, Any], what: str
) -> str:
    classes = [name for name, _ in unknown]
    modules = list(dict.fromkeys(module for _, module in unknown))
    several = len(classes) > 1
    return message(
        f"{what} of the file needs {'classes' if several else 'a class'} that "
        f"{'are' if several else 'is'} not registered with Keras in this "
        f"process: {', '.join(classes)}.",
        f"Import {', '.join(modules)} before you load the file. There, the "
        "class must be decorated with "
        '@keras.saving.register_keras_serializable(package="..."); or pass '
        "custom_objects={name: class}.",
        name=config.get("config", {}).get("name"),
    )
