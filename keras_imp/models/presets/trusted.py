"""Presets come from strangers: what a config may name.

Keras makes what a config describes. Here it describes nothing but data, what
this process has registered, and parts of Keras: no module is imported for it,
and no function of another one is called.
"""

import inspect
from collections.abc import Iterator
from typing import Any

import keras

from keras_imp._errors import message

# What Keras writes in place of values that JSON lacks.
_DATA = (
    "__bytes__",
    "__ellipsis__",
    "__numpy__",
    "__slice__",
    "__tensor__",
    "__tuple__",
)
# Modules whose classes are parts of a model. Not all of `keras`:
# `keras.utils.get_file` would download.
_PARTS = {
    f"keras.{name}": getattr(keras, name)
    for name in (
        "constraints",
        "dtype_policies",
        "initializers",
        "layers",
        "regularizers",
    )
} | {"keras": keras}


def encoder_class(config: dict[str, Any], base: type, preset: str) -> type:
    """The class that a preset is of.

    Args:
        config: Content of its `config.json`.
        base: What the class must be, or derive from.
        preset: What the user called the preset.

    Returns:
        A class that is registered with Keras.

    Raises:
        ValueError: If it is not registered, or is another one.

    Example:
        >>> import keras_imp
        >>> from keras_imp.models.presets.trusted import encoder_class
        >>> encoder_class({"registered_name": "keras_imp>IMPEncoder"},
        ...     keras_imp.IMPEncoder, "my_encoder").__name__
        'IMPEncoder'
    """
    name = config.get("registered_name")
    known = isinstance(name, str)
    found = keras.saving.get_registered_object(name) if known else None
    if found is None:
        raise ValueError(
            message(
                "The class of a preset must be registered with Keras in this "
                "process.",
                "If you trust the preset, import the module that registers the "
                "class before you load it.",
                preset=preset,
                module=config.get("module"),
                class_name=config.get("class_name"),
                registered_name=name,
            )
        )
    if not inspect.isclass(found) or not issubclass(found, base):
        raise ValueError(
            message(
                f"`{base.__name__}.from_preset` reads presets of that class "
                "only.",
                preset=preset,
                registered_name=name,
            )
        )
    return found


def check_named(value: Any, preset: str) -> None:
    """Raise unless all that a config names may be made.

    Args:
        value: The constructor arguments of an encoder, as JSON has them.
        preset: What the user called the preset.

    Raises:
        ValueError: If they name something foreign. None of it has run.

    Example:
        >>> from keras_imp.models.presets.trusted import check_named
        >>> check_named({"dtype": {"module": "keras", "config": {},
        ...     "class_name": "DTypePolicy"}}, "my_encoder")
    """
    for named in _named(value):
        if not _is_known(named):
            raise ValueError(
                message(
                    "A preset may name only what is registered with Keras in "
                    "this process, and parts of Keras. Nothing of it was run.",
                    "If you trust the preset, import the module that registers "
                    "the name before you load it.",
                    preset=preset,
                    **{
                        key: named.get(key)
                        for key in ("module", "class_name", "registered_name")
                    },
                )
            )


def _named(value: Any) -> Iterator[dict[str, Any]]:
    """All that Keras would make an object of, also inside of one another."""
    parts = [value]
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            if "class_name" in part:
                yield part
            parts += part.values()
        elif isinstance(part, list):
            parts += part


def _is_known(named: dict[str, Any]) -> bool:
    name, module = named["class_name"], named.get("module")
    if not isinstance(name, str):
        return False
    if name in _DATA:
        return True
    if name == "function":
        return _is_known_function(named)
    registered = named.get("registered_name") or name
    if not isinstance(registered, str):
        return False
    if keras.saving.get_registered_object(registered) is not None:
        return True
    found = getattr(_PARTS.get(str(module)), name, None)
    return inspect.isclass(found) and not name.startswith("_")


def _is_known_function(named: dict[str, Any]) -> bool:
    """Whether it is registered, or an activation."""
    registered, name = named.get("registered_name"), named.get("config")
    for key in (registered, name):
        if not isinstance(key, str) or key == "function":
            continue
        if keras.saving.get_registered_object(key) is not None:
            return True
    module = named.get("module")
    is_of_keras = module in ("builtins", "keras.activations")
    found = getattr(keras.activations, str(name), None)
    return is_of_keras and inspect.isfunction(found)
