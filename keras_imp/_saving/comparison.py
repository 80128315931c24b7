"""What a model has and what a file has, side by side."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from keras_imp._saving.files import Group
from keras_imp._saving.names import SEPARATOR

# Variables by name, by path of the group.
Groups = Mapping[str, Mapping[str, Any]]


class Comparison(NamedTuple):
    """Groups of a model and of a file.

    Attributes:
        fitting: Arrays of the file that fit, by path and name.
        new: Paths of what only the model has; of a layer with a name that is
            new as a whole, the path of that layer alone.
        unused: Paths of layers with a name that only the file has.
        different: What differs, by the path of what both have.
    """

    fitting: dict[str, dict[str, Any]]
    new: list[str]
    unused: list[str]
    different: dict[str, str]


def compare(here: Groups, there: Mapping[str, Group]) -> Comparison:
    """Compare a model with a file.

    Args:
        here: Variables of the model.
        there: Arrays of the file.

    Returns:
        What fits and what does not.

    Example:
        >>> import numpy as np
        >>> from keras_imp._saving.comparison import compare
        >>> from keras_imp._saving.files import Group
        >>> found = compare(
        ...     {"head.a": {"0": np.zeros(2)}, "head.b": {"0": np.zeros(3)}},
        ...     {"head.a": Group("a", {"0": np.ones(2)}),
        ...      "head.c": Group("c", {"0": np.ones(3)})})
        >>> list(found.fitting), found.new, found.unused
        (['head.a'], ['head.b'], ['head.c'])
    """
    fitting, different = {}, {}
    new: list[str] = []
    for path, variables in here.items():
        arrays = there[path].values if path in there else {}
        missing = [key for key in variables if key not in arrays]
        if variables and len(missing) == len(variables):
            new.append(path)
        elif found := _difference(variables, arrays, missing):
            different[path] = found
        else:
            fitting[path] = {k: arrays[k] for k in variables if k in arrays}
            new += [f"{path}/{key}" if path else key for key in missing]
    known = {part for path in here for part in _named(path)}
    unused = (_first_unknown(path, known) for path in there)
    return Comparison(
        fitting,
        list(dict.fromkeys(_whole(path, here, set(new)) for path in new)),
        sorted(set(filter(None, unused))),
        different,
    )


def _difference(
    variables: Mapping[str, Any], arrays: Mapping[str, Any], missing: list[str]
) -> str:
    """What differs in a group, in words; empty if nothing does."""
    by_position = all(key.isdigit() for key in variables)
    if by_position and (missing or len(arrays) > len(variables)):
        return f"{len(variables)} weights here, {len(arrays)} in the file"
    for key, variable in variables.items():
        if key in arrays and tuple(variable.shape) != arrays[key].shape:
            shapes = tuple(variable.shape), arrays[key].shape
            return f"{shapes[0]} here, {shapes[1]} in the file"
    return ""


def _named(path: str) -> Iterator[str]:
    """The beginnings of a path that end in a layer with a name."""
    steps = path.split("/")
    for end, step in enumerate(steps, start=1):
        if SEPARATOR in step:
            yield "/".join(steps[:end])


def _whole(path: str, here: Groups, new: set[str]) -> str:
    """The outermost layer with a name around `path` that is all new."""
    for part in _named(path):
        inside = (
            p
            for p, variables in here.items()
            if variables and (p == part or p.startswith(f"{part}/"))
        )
        if all(p in new for p in inside):
            return part
    return path


def _first_unknown(path: str, known: set[str]) -> str | None:
    return next((part for part in _named(path) if part not in known), None)
