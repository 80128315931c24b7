"""Read a file of weights that Keras wrote: groups, variables and names."""

import contextlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import keras

from keras_imp._errors import message

# Of a group, the variables of the layer itself are in this one.
VARIABLES = "vars"
# What Keras calls the file of weights in a `.keras` file.
IN_ARCHIVE = "model.weights.h5"
ENDINGS = (".weights.h5", ".weights.json", ".keras")


class Group(NamedTuple):
    """What one layer saved.

    Attributes:
        name: Name of the layer.
        values: Its variables in the file, by name.
    """

    name: str
    values: dict[str, h5py.Dataset]


@contextlib.contextmanager
def open_weights(path: Path) -> Iterator[dict[str, Group]]:
    """Open a file of weights.

    Args:
        path: A file that ends in one of `ENDINGS`.

    Yields:
        What it holds, by the path of the group; readable until the end.

    Raises:
        OSError: If the file cannot be read.

    Example:
        >>> import keras
        >>> from pathlib import Path
        >>> from keras_imp._saving.files import open_weights
        >>> model = keras.Sequential([keras.layers.Dense(2, name="head")])
        >>> model.build((None, 3))
        >>> model.save_weights("model.weights.h5")
        >>> with open_weights(Path("model.weights.h5")) as groups:
        ...     group = groups["layers/dense"]
        ...     print(group.name, [v.shape for v in group.values.values()])
        head [(3, 2), (2,)]
    """
    with contextlib.ExitStack() as stack:
        with _named_if_unreadable(path):
            parts = _parts(path, stack)
        files = []
        for part in parts:
            # Of shards, the one that is damaged.
            with _named_if_unreadable(part if isinstance(part, Path) else path):
                files.append(stack.enter_context(h5py.File(part, "r")))
        yield groups_of(*files)


@contextlib.contextmanager
def _named_if_unreadable(path: Path) -> Iterator[None]:
    """Name the file in an error that says that it cannot be read."""
    try:
        yield
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise OSError(
            message(
                f"The file of weights cannot be read: {error}.",
                "It is damaged or of another kind: copy or save it again.",
                filepath=str(path),
            )
        ) from error


def groups_of(*files: h5py.File) -> dict[str, Group]:
    """What some files hold together.

    Args:
        *files: Open files: one, or shards.

    Returns:
        What they hold, by the path of the group.
    """
    groups: dict[str, Group] = {}
    for file in files:
        file.visititems(lambda name, found: _add(groups, name, found))
    return groups


def write_group(file: h5py.File, path: str, values: Mapping[str, Any]) -> None:
    """Write what one layer saves, as Keras would.

    Args:
        file: A file that is written.
        path: Path of the group.
        values: Variables, or arrays of another file, by name.
    """
    group = file.create_group(f"{path}/{VARIABLES}" if path else VARIABLES)
    for key, value in values.items():
        if isinstance(value, h5py.Dataset):
            group.copy(value, group, name=key)
            continue
        array = keras.ops.convert_to_numpy(value)
        written = group.create_dataset(key, data=array)
        # HDF5 has no name for it: this is how Keras knows it again.
        if array.dtype.name == "bfloat16":
            written.attrs["dtype"] = "bfloat16"


def _parts(path: Path, stack: contextlib.ExitStack) -> list[Any]:
    """The HDF5 files: one, one in an archive, or several shards."""
    if path.name.endswith(".keras"):
        archive = stack.enter_context(zipfile.ZipFile(path))
        return [stack.enter_context(archive.open(IN_ARCHIVE))]
    if path.name.endswith(".json"):
        shards: dict[str, None] = {}
        for names in json.loads(path.read_text())["weight_map"].values():
            listed = names if isinstance(names, list) else [names]
            shards.update(dict.fromkeys(listed))
        return [path.with_name(name) for name in shards]
    return [path]


def _add(groups: dict[str, Group], name: str, found: Any) -> None:
    """Note a group of variables; a group may continue in another shard."""
    path, _, last = f"/{name}".rpartition("/")
    if last != VARIABLES or not isinstance(found, h5py.Group):
        return
    path = path.removeprefix("/")
    known = groups.setdefault(path, Group(found.attrs.get("name", ""), {}))
    known.values.update({k: found[k] for k in found if _is_array(found, k)})


def _is_array(group: h5py.Group, key: str) -> bool:
    """Whether it is an array in this very file; Keras refuses the others."""
    if not isinstance(group.get(key, getlink=True), h5py.HardLink):
        return False
    found = group[key]
    return isinstance(found, h5py.Dataset) and not (
        found.external or found.is_virtual
    )
