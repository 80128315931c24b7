"""Build an encoder from the files of a preset."""

import json
from pathlib import Path
from typing import Any

from keras_imp._errors import message
from keras_imp._saving.loading import fewer_modalities
from keras_imp.models.presets.files import (
    CONFIG_FILE,
    SHARDS_FILE,
    WEIGHTS_FILE,
    PresetFiles,
)
from keras_imp.models.presets.remote import UnreachableError
from keras_imp.models.presets.trusted import check_named, encoder_class


def load_encoder(
    base: type, files: PresetFiles, load_weights: bool, arguments: dict
) -> Any:
    """Build an encoder from the files of a preset.

    Args:
        base: What its class must be, or derive from.
        files: The files.
        load_weights: Whether to load the weights.
        arguments: Constructor arguments that replace the preset's.

    Returns:
        The encoder. Its dtype policy is Keras' default, unless one is among
        the arguments.

    Raises:
        FileNotFoundError: If the preset lacks a file.
        ValueError: If the preset is of a newer format, of another class, names
            something foreign, or does not fit the arguments.
        OSError: If the weights cannot be read.
    """
    files.need(CONFIG_FILE, "Save the encoder again: encoder.save_to_preset.")
    metadata = files.read_metadata()
    config = files.read(CONFIG_FILE)
    made_of = encoder_class(config, base, files.name)
    saved = files.read_arguments(CONFIG_FILE)
    check_named(saved, files.name)
    try:
        encoder = made_of.from_config(  # type: ignore[attr-defined]
            {**saved, "dtype": None, **arguments}
        )
    except (TypeError, ValueError) as error:
        version = metadata.get("keras_imp_version", "0.1.0")
        error.add_note(
            f"This happened for the preset {files.name!r}, which keras-imp "
            f"{version} saved."
        )
        raise
    if load_weights:
        with fewer_modalities("modalities" in arguments):
            encoder.load_weights(weights_of(files))
    return encoder


def weights_of(files: PresetFiles) -> Path:
    """The file of a preset that `load_weights` takes; with it all shards.

    Args:
        files: The files.

    Returns:
        Path of the weights, or of the list of the shards.

    Raises:
        FileNotFoundError: If there are no weights, or a shard is missing.
        ValueError: If a name of a shard is no name of a file.
    """
    try:
        path = files.get(WEIGHTS_FILE)
    except UnreachableError:
        # Of shards, the cache has a list.
        if not _has(files, SHARDS_FILE):
            raise
        path = None
    if path is not None:
        return path
    listed = files.need(
        SHARDS_FILE,
        f"It has no {WEIGHTS_FILE} either. To start from random weights, use "
        "load_weights=False.",
    )
    for shard in _shards(files):
        files.need(shard, f"{SHARDS_FILE} lists it: copy the preset again.")
    return listed


def _has(files: PresetFiles, file: str) -> bool:
    try:
        return files.get(file) is not None
    except UnreachableError:
        return False


def _shards(files: PresetFiles) -> list[str]:
    """Names of the files that hold the weights together."""
    places = files.read(SHARDS_FILE).get("weight_map")
    listed = places.values() if isinstance(places, dict) else [None]
    names: set[Any] = set()
    for found in listed:
        names.update(found if isinstance(found, list) else [found])
    for name in names:
        # A path could lead out of the folder.
        if not isinstance(name, str) or Path(name).name != name:
            raise ValueError(
                message(
                    f"`weight_map` in {SHARDS_FILE} must list names of files.",
                    "The file is damaged: save or copy the preset again.",
                    preset=files.name,
                    shard=json.dumps(name),
                )
            )
    return sorted(names)
