"""The config of a layer that takes other layers as arguments.

Keras writes the config of a layer with plain arguments by itself, but gives up
where one of them is a layer.
"""

import inspect
from typing import Any

import keras


def arguments_of(
    layer: keras.layers.Layer, cls: type, **given: Any
) -> dict[str, Any]:
    """The constructor arguments of `cls`, as the layer's attributes hold them.

    Args:
        layer: An instance of `cls` that keeps each argument under its name.
        cls: The class whose constructor is asked.
        **given: Values of arguments that the layer does not keep.

    Returns:
        Arguments by name, layers as their serialized form; without `kwargs`,
        `name` and `dtype`, which Keras writes.
    """
    names = [
        name
        for name in inspect.signature(
            cls.__init__  # type: ignore[misc]
        ).parameters
        if name not in ("self", "dtype", "kwargs")
    ]
    return {
        name: given[name] if name in given else _plain(getattr(layer, name))
        for name in names
    }


def layer_from(value: Any) -> Any:
    """A layer from itself or from its serialized form.

    Args:
        value: A layer, its serialized form, or None.

    Returns:
        The layer, or None.
    """
    if isinstance(value, dict):
        return keras.saving.deserialize_keras_object(value)
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, keras.layers.Layer):
        return keras.saving.serialize_keras_object(value)
    return value
