"""Files of version 0.1.0, which saved by position what has a name now.

Its groups also hold the names of their layers, so names can be put back.
"""

import io
import re
from collections.abc import Callable, Mapping
from typing import Any

import h5py
import keras

from keras_imp._keras_private import file_of_store, set_file_of_store
from keras_imp._saving.files import Group, groups_of, write_group
from keras_imp._saving.names import SEPARATOR, named_layers

# By the list that held them: the class of the layers, and their kind today.
LISTS = {
    "embedders": (r"embedder", "embedder"),
    "heads": (r"projection_head", "head"),
    "tasks": (r"\w+?", "part"),
    "layers": (r"(?!schedule_state)\w+?", "head"),
}
# Places of a model's counters.
COUNTERS = {"step_counter": "0", "epoch_counter": "4", "epoch_start": "5"}
# Layers by name, of each layer that has some: the names that lead to it.
Owners = Mapping[tuple[str, ...], Mapping[str, Any]]


def is_by_position(groups: Mapping[str, Group]) -> bool:
    """Whether version 0.1.0 wrote a file.

    Args:
        groups: What it holds, by path.

    Returns:
        False if a group is saved by name, or none would be today.
    """
    if any(SEPARATOR in path for path in groups):
        return False
    return any(SEPARATOR in path for path in by_name(groups, {}))


def by_name(groups: Mapping[str, Group], owners: Owners) -> dict[str, Group]:
    """What a file holds, under the paths and names of today.

    Args:
        groups: What it holds, by path.
        owners: The layers by name of the model to load into.

    Returns:
        The same, by path of today.
    """
    paths = _paths(groups, owners)
    return {
        paths[path]: Group(group.name, _values(path, group, groups))
        for path, group in groups.items()
    }


def places(groups: Mapping[str, Group], owners: Owners) -> dict[tuple, str]:
    """Which name has which place in a list.

    Args:
        groups: What a file holds, by path.
        owners: The layers by name of the model to load into.

    Returns:
        Names, such as `"head.objects"`, by what leads to the list and the
        place in it, such as `((), "classification_1")`.
    """
    found = {}
    for path, renamed in _paths(groups, owners).items():
        *before, last = renamed.split("/")
        if SEPARATOR in last:
            leads = tuple(name for name in before if SEPARATOR in name)
            found[leads, path.rpartition("/")[2]] = last
    return found


def places_of(owners: Owners) -> dict[tuple, str]:
    """`places` of a file that version 0.1.0 would have saved of a model.

    Args:
        owners: The layers by name of the model.

    Returns:
        Names by what leads to the list and the place in it.
    """
    found = {}
    for leads, layers in owners.items():
        count: dict[str, int] = {}
        for name, layer in layers.items():
            place = _snake_case(type(layer).__name__)
            index = count[place] = count.get(place, -1) + 1
            found[leads, f"{place}_{index}" if index else place] = name
    return found


def use_names(store: Any, model: keras.Model) -> None:
    """Let Keras continue in a copy with names, if the file has none.

    Keras would try each layer at its name first and at its place then, and
    gives up on what is in two lists, one within the other.

    Args:
        store: The store that Keras reads from.
        model: The model that it loads into.
    """
    file = file_of_store(store)
    if file is None:
        return
    groups = groups_of(file)
    if not is_by_position(groups):
        return
    copy = h5py.File(io.BytesIO(), "w")
    for path, group in by_name(groups, named_layers(model)).items():
        write_group(copy, path, group.values)
    set_file_of_store(store, copy)
    file.close()


def counters(saved: Mapping[str, Any]) -> dict[str, Any]:
    """The counters of a model that are not by task.

    Args:
        saved: Variables of the model by position.

    Returns:
        Variables by the names of today.
    """
    return {name: saved[i] for name, i in COUNTERS.items() if i in saved}


def _paths(groups: Mapping[str, Group], owners: Owners) -> dict[str, str]:
    """The path of today of each path in a file."""
    has_tasks = any(path.split("/")[0] == "encoder" for path in groups)

    def kind_of(before: list[str], place: str) -> str | None:
        if not before or before[-1] not in LISTS:
            return None
        *before, listed = before
        pattern, kind = LISTS[listed]
        if not re.fullmatch(rf"{pattern}(?:_\d+)?", place):
            return None
        leads = tuple(name for name in before if SEPARATOR in name)
        if listed == "layers":
            return kind if has_tasks and not before else None
        if listed == "tasks":
            # A task that is no `Combined` may have a list of this name too.
            known = leads and leads[-1] in owners.get(leads[:-1], {})
            return kind if leads and (leads in owners or not known) else None
        return kind

    return {path: _renamed(path, groups, kind_of) for path in groups}


def _renamed(path: str, groups: Mapping[str, Group], kind_of: Callable) -> str:
    """A path with names, where `kind_of` gives what is in a list a kind."""
    old = ""
    new: list[str] = []
    for part in path.split("/"):
        old = f"{old}/{part}" if old else part
        kind = kind_of(new, part)
        if kind and old in groups and groups[old].name:
            new[-1] = f"{kind}{SEPARATOR}{groups[old].name}"
        else:
            new.append(part)
    return "/".join(new)


def _values(
    path: str, group: Group, groups: Mapping[str, Group]
) -> dict[str, Any]:
    """The variables of a group by the names that they have today."""
    values = [group.values[key] for key in sorted(group.values, key=_number)]
    names = _first_tokens(path, groups) or _scalars(path, groups, len(values))
    if len(names) != len(values):
        return dict(group.values)
    return dict(zip(names, values))


def _first_tokens(path: str, groups: Mapping[str, Group]) -> list[str]:
    names = _listed(path, "embedders/embedder", groups)
    return [f"first_token_{name}" for name in names]


def _scalars(path: str, groups: Mapping[str, Group], count: int) -> list[str]:
    """Temperatures, and maybe biases, of the pairs of a contrastive task."""
    heads = _listed(path, "common_space/heads/projection_head", groups)
    pairs = [name.split("_to_") for name in heads[::2]]
    if len(heads) == 2 and "_to_" not in heads[0]:
        pairs = [heads]
    if any(len(pair) != 2 for pair in pairs):
        return []  # A joint space of several pairs, which have no names there.
    kinds = ("temperature", "bias")[: count // max(1, len(pairs))]
    return ["_".join((kind, *sorted(pair))) for kind in kinds for pair in pairs]


def _listed(path: str, place: str, groups: Mapping[str, Group]) -> list[str]:
    """Names of the layers in a list, in its order."""
    start = f"{path}/{place}" if path else place
    found: list[str] = []
    while (key := f"{start}_{len(found)}" if found else start) in groups:
        found.append(groups[key].name)
    return found


def _number(key: str) -> tuple[int, str]:
    return (int(key), "") if key.isdigit() else (-1, key)


def _snake_case(name: str) -> str:
    """The name that Keras gives to a class in a file."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
