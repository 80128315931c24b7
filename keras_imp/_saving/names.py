"""Names in a file of weights, instead of places in a list.

Keras saves the layers of a list or a dict as `<class>`, `<class>_1`, ...: in
another order, two heads of one shape would be swapped silently. Keras
follows attributes, so each of these layers also gets one with its name.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import numpy as np

from keras_imp._keras_private import inner_layers

# Between the kind of a layer and its name: "head.objects". No attribute that
# is written in Python has a dot, so that no name is taken already.
SEPARATOR = "."


def save_by_name(
    owner: keras.Layer, kind: str, layers: Mapping[str, keras.Layer]
) -> None:
    """Save layers as `<kind>.<name>`, whatever their order.

    Keras saves a layer under the first of its attributes in alphabetical
    order, so the kind must come before the list that holds the layers, and
    `head.` comes between a model's `encoder` and its `layers`.

    Args:
        owner: The layer that holds them.
        kind: What they are: `"adapter"`, `"head"`, `"part"` or `"embedder"`.
        layers: The layers by name.

    Example:
        >>> import keras
        >>> from keras_imp._saving.names import layers_by_name, save_by_name
        >>> owner = keras.layers.Layer()
        >>> owner.listed = [keras.layers.Dense(2)]
        >>> save_by_name(owner, "head", {"objects": owner.listed[0]})
        >>> list(layers_by_name(owner))
        ['head.objects']
    """
    for name, layer in layers.items():
        # Not tracked: the list has told Keras of it already.
        owner.__dict__[f"{kind}{SEPARATOR}{name}"] = layer


def kind_of(name: str) -> str:
    """What a layer with a name is.

    Args:
        name: Such as `"head.objects"`.

    Returns:
        Such as `"head"`; empty if it is no such name.

    Example:
        >>> from keras_imp._saving.names import kind_of
        >>> kind_of("head.objects"), kind_of("layers")
        ('head', '')
    """
    kind, dot, _ = name.partition(SEPARATOR)
    return kind if dot else ""


def layers_by_name(owner: keras.Layer) -> dict[str, keras.Layer]:
    """The layers that `save_by_name` was told of.

    Args:
        owner: The layer that holds them.

    Returns:
        The layers by `<kind>.<name>`, in their order in the list.
    """
    return {key: v for key, v in vars(owner).items() if SEPARATOR in key}


def named_layers(
    layer: keras.Layer,
) -> dict[tuple[str, ...], dict[str, keras.Layer]]:
    """All layers inside of one that have a name in a file.

    Args:
        layer: A layer or a model.

    Returns:
        Layers by name, by the names that lead to them, from the outermost on.

    Example:
        >>> import keras_imp
        >>> from keras_imp._saving.names import named_layers
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2, modalities=("image",))
        >>> {leads: list(found) for leads, found in
        ...  named_layers(encoder).items()}
        {(): ['embedder.vision']}
    """
    found: dict[tuple[str, ...], dict[str, keras.Layer]] = {}

    def visit(layer: keras.Layer, leads: tuple[str, ...]) -> None:
        named = layers_by_name(layer)
        if named:
            found.setdefault(leads, {}).update(named)
        names = {id(inner): name for name, inner in named.items()}
        for inner in inner_layers(layer):
            name = names.get(id(inner))
            visit(inner, (*leads, name) if name else leads)

    visit(layer, ())
    return found


def optimizer_names(model: keras.Model) -> list[str]:
    """Names of an optimizer's variables, which Keras saves by position.

    The paths of variables have numbers that Keras counts up in a process, and
    are no names between two. So a weight is named by the innermost layer that
    has a name in a file: `"head.objects/kernel:momentum"`.

    Args:
        model: An `AlternatingModel`.

    Returns:
        A name for each of `optimizer.variables`; none without an optimizer.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return []
    parts: dict[int, str] = {}
    for leads, layers in named_layers(model).items():
        for name, layer in layers.items():
            part = "/".join((*leads, name))
            parts.update({id(v): part for v in layer.variables})
    variables = model.trainable_variables
    names = numbered(f"{parts.get(id(v), '')}/{v.name}" for v in variables)
    weights: dict[str, list[str]] = {}
    for variable, name in zip(variables, names):
        # How Keras begins the names of what an optimizer keeps for a weight.
        prefix = variable.path.replace("/", "_")
        weights.setdefault(prefix, []).append(name)
    seen: dict[tuple[str, str], int] = {}
    found = []
    for variable in optimizer.variables:
        prefix, kind = _split(variable.name, weights)
        # Of weights with one path, the optimizer's are in the same order.
        count = seen[prefix, kind] = seen.get((prefix, kind), -1) + 1
        of_path = weights.get(prefix, [])
        weight = of_path[count] if count < len(of_path) else prefix
        found.append(f"{weight}:{kind}" if weight else kind)
    return numbered(found)


def _split(name: str, weights: Mapping[str, Any]) -> tuple[str, str]:
    """The weight that an optimizer's variable is for, and what it is."""
    end = len(name)
    while (end := name.rfind("_", 0, end)) > 0:
        if name[:end] in weights:
            return name[:end], name[end + 1 :]
    return "", name


def save_variables(save: Callable[[Any], None], store: Any) -> None:
    """Save a layer's own variables by their names.

    Args:
        save: `save_own_variables` of Keras, which saves them by position.
        store: Where arrays go, by name.
    """
    for name, variable in zip(_names_of(save), _saved_by(save).values()):
        store[name] = variable


def variables_by_position(save: Callable[[Any], None], store: Any) -> Any:
    """What `load_own_variables` of Keras expects, from variables by name.

    Args:
        save: `save_own_variables` of Keras, which saves them by position.
        store: Arrays by name, or by position as version 0.1.0 saved them.

    Returns:
        Arrays by position, without those that the store lacks.
    """
    positions = list(_saved_by(save))
    if set(store.keys()) <= set(positions):
        return store
    names = zip(positions, _names_of(save))
    known = set(store.keys())
    return {place: store[name] for place, name in names if name in known}


def _saved_by(save: Callable[[Any], None]) -> dict[str, keras.Variable]:
    found: dict[str, keras.Variable] = {}
    save(found)
    return found


def _names_of(save: Callable[[Any], None]) -> list[str]:
    return numbered(v.name for v in _saved_by(save).values())


def numbered(names: Iterable[str]) -> list[str]:
    """Tell equal names apart.

    Args:
        names: Names, some of them maybe equal.

    Returns:
        The names; from the second of equal ones on, with a number.

    Example:
        >>> from keras_imp._saving.names import numbered
        >>> numbered(["kernel", "bias", "kernel"])
        ['kernel', 'bias', 'kernel#1']
    """
    seen: dict[str, int] = {}
    result = []
    for name in names:
        count = seen.get(name, 0)
        seen[name] = count + 1
        result.append(f"{name}#{count}" if count else name)
    return result


def in_order(
    values: Iterable[Any],
    saved: Iterable[str],
    names: Iterable[str],
    otherwise: Iterable[Any],
) -> list[Any]:
    """Values that were saved in one order, in the order of now.

    Args:
        values: One for each of `saved`.
        saved: Names in the order of the file.
        names: Names in the order of now.
        otherwise: A value for each of `names`, for those that were not saved.

    Returns:
        A value for each of `names`.

    Example:
        >>> from keras_imp._saving.names import in_order
        >>> in_order([1, 2], ["a", "b"], ["c", "b", "a"], [0, 0, 0])
        [0, 2, 1]
    """
    by_name = dict(zip(saved, values, strict=True))
    return [by_name.get(n, o) for n, o in zip(names, otherwise, strict=True)]


def to_array(names: Any) -> np.ndarray:
    """Names as an array of bytes: a store of Keras takes numbers only.

    Args:
        names: What JSON can hold.

    Returns:
        uint8, shape `(length,)`.

    Example:
        >>> from keras_imp._saving.names import from_array, to_array
        >>> from_array(to_array({"tasks": ["objects"]}))
        {'tasks': ['objects']}
    """
    return np.frombuffer(json.dumps(names).encode(), "uint8")


def from_array(array: np.ndarray) -> Any:
    """The names that `to_array` was given.

    Args:
        array: What it returned.

    Returns:
        The names.
    """
    return json.loads(np.asarray(array, "uint8").tobytes().decode())
