"""A subject as files, which a process with another backend makes it from."""

import json
import pickle
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_imp._errors import message
from keras_imp._saving.loading import fewer_modalities
from keras_imp._values import value_of
from keras_imp.exporting.convolved_log_mel import ConvolvedLogMel
from keras_imp.exporting.formats import Format
from keras_imp.exporting.inputs import Input
from keras_imp.exporting.subject import Subject
from keras_imp.models.imp_encoder import IMPEncoder
from keras_imp.models.modalities import MODALITIES, modality_of
from keras_imp.models.protocols import finish_building, has_own_build
from keras_imp.models.sparse.placement import ROUTERS
from keras_imp.models.waveforms import log_mel_arguments

SUBJECT = "subject.json"
CLASSES = "classes.pickle"
ENCODER = "encoder.weights.h5"
ARRAYS = "{}.npz"


def write_description(subject: Subject, folder: Path) -> None:
    """Write config and weights of a subject.

    Args:
        subject: The subject.
        folder: An empty folder.

    Raises:
        ValueError: If a class is defined in the program that runs, which
            another process cannot import.
    """
    encoder, task, given = subject
    record = modality_of(given.name)
    _check_importable(*map(type, subject.layers), record.make_embedder)
    # By name: their modules are imported where it is read.
    needed = ([type(layer) for layer in subject.layers], record)
    (folder / CLASSES).write_bytes(pickle.dumps(needed))
    serialize = keras.saving.serialize_keras_object
    description = {
        "encoder": serialize(encoder),
        "task": task and serialize(task),
        "input": given,
    }
    (folder / SUBJECT).write_text(json.dumps(description), encoding="utf-8")
    if isinstance(encoder, IMPEncoder):
        encoder.save_weights(folder / ENCODER)
    else:
        _save_arrays(folder, "encoder", encoder)
    if task is not None:
        _save_arrays(folder, "task", task)


def read_description(folder: Path, form: Format | None = None) -> Subject:
    """Make a subject for a file: all that changes no numbers is left out.

    It computes in float32, and its encoder has one modality.

    Args:
        folder: What `write_description` wrote.
        form: The format that it is for. Defaults to none: any layer may stay.

    Returns:
        The subject.
    """
    # Written by the process that started this one.
    _, record = pickle.loads((folder / CLASSES).read_bytes())
    MODALITIES.setdefault(record.name, record)
    saved = json.loads((folder / SUBJECT).read_text("utf-8"))
    name, shape, *rest = saved["input"]
    given = Input(name, tuple(shape), *rest)
    encoder = _encoder(saved["encoder"], folder, name, form)
    if saved["task"] is None:
        return Subject(encoder, None, given)
    saved["task"]["config"]["dtype"] = "float32"
    task = keras.saving.deserialize_keras_object(saved["task"])
    task.prepare(encoder)
    if not task.built and has_own_build(task):
        shape = (None, encoder.hidden_dim)
        task.build(dict.fromkeys(task.modalities, shape))
    finish_building(task)
    _load_arrays(folder, "task", task)
    return Subject(encoder, task, given)


def _encoder(
    saved: dict[str, Any], folder: Path, modality: str, form: Format | None
) -> Any:
    config = saved["config"]
    if (folder / ENCODER).exists():
        config |= {"modalities": [modality], "dtype": "float32"}
        config["remat"] = False
        if form is not None and form.plain:
            config |= _plain(config)
    encoder = keras.saving.deserialize_keras_object(saved)
    if not (folder / ENCODER).exists():
        _load_arrays(folder, "encoder", encoder)
        return encoder
    with fewer_modalities(True):
        encoder.load_weights(folder / ENCODER)
    embedder = encoder.embedder_of(modality)
    if form is not None and not form.has_fourier and embedder.log_mel:
        arguments = log_mel_arguments(embedder.log_mel, encoder.variant)
        embedder.__dict__["log_mel"] = ConvolvedLogMel(**arguments)
    return encoder


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    """Options of the same function, without a loop and without scatters."""
    options = dict(config["router_options"])
    if config["num_experts"] and not ROUTERS[config["router"]].mixes_tokens:
        options["dispatch"] = "one_hot"
    return {"scan_layers": False, "router_options": options}


def _check_importable(*parts: Any) -> None:
    for part in parts:
        part = getattr(part, "func", part)  # Of a `functools.partial`.
        if part.__module__ == "__main__":
            raise ValueError(
                message(
                    "A class or function of your own must be in a module to "
                    "be exported: another process imports it.",
                    "Move it from the program or notebook to a file, and "
                    "import it from there.",
                    name=part.__qualname__,
                )
            )


def _save_arrays(folder: Path, name: str, layer: Any) -> None:
    arrays = [value_of(variable) for variable in layer.weights]
    np.savez(
        folder / ARRAYS.format(name),
        *(a.astype("float32") if a.dtype.kind in "fV" else a for a in arrays),
    )


def _load_arrays(folder: Path, name: str, layer: Any) -> None:
    with np.load(folder / ARRAYS.format(name)) as saved:
        for index, variable in enumerate(layer.weights):
            variable.assign(saved[f"arr_{index}"])
