"""What a preset holds of a model beside its encoder: its tasks.

    task.json          the model's class and arguments, with its tasks
    task.weights.h5    the weights of the tasks

keras-hub calls these files the same. Each task's weights are saved by its name.
"""

import copy
import json
from pathlib import Path
from typing import Any

import keras

from keras_imp._errors import message
from keras_imp._files import write_text
from keras_imp._saving.classes import deserialized
from keras_imp._saving.loading import load_weights as load_by_name
from keras_imp._saving.names import save_by_name
from keras_imp.models.presets.files import (
    TASK_FILE,
    TASK_WEIGHTS_FILE,
)
from keras_imp.models.presets.finding import find_files
from keras_imp.models.presets.loading import load_encoder
from keras_imp.models.presets.rounding import round_to_float16
from keras_imp.models.presets.saving import save_encoder
from keras_imp.models.presets.trusted import check_named, encoder_class


class TaskHeads(keras.Model):
    """The tasks of a model alone, to save and load their weights.

    Args:
        tasks: Tasks whose weights are built, by name.
    """

    def __init__(self, tasks: dict[str, Any]):
        super().__init__()
        self.task_list = list(tasks.values())
        save_by_name(self, "head", tasks)
        self.built = True

    def load_weights(self, filepath: Any, **kwargs) -> Any:
        """Load the weights by the names of the tasks."""
        return load_by_name(self, filepath, False, super().load_weights)


def save_model(
    model: Any, folder: Path, weights_dtype: str | None = None, **options
) -> None:
    """Write the files of a preset of a model.

    Args:
        model: An `AlternatingModel` with an `IMPEncoder`.
        folder: Where to write.
        weights_dtype: None or `"float16"`.
        **options: Other arguments of `save_encoder`.

    Raises:
        TypeError: If the encoder has no preset, or as `save_encoder`.
        ValueError: As `save_encoder`.
    """
    if not hasattr(model.encoder, "save_to_preset"):
        raise TypeError(
            message(
                "The preset of a model needs an encoder that can be one, such "
                "as IMPEncoder.",
                "Use model.save(path) for a model with another encoder.",
                encoder=type(model.encoder).__name__,
            )
        )

    def write_tasks(written: Path) -> None:
        text = json.dumps(_description(model), indent=4)
        write_text(written / TASK_FILE, text + "\n")
        path = written / TASK_WEIGHTS_FILE
        TaskHeads(model.tasks).save_weights(path)
        if weights_dtype is not None:
            round_to_float16(path)

    save_encoder(
        model.encoder,
        folder,
        weights_dtype=weights_dtype,
        write_more=write_tasks,
        **options,
    )


def load_model(
    base: type, preset: str | Path, load_weights: bool, arguments: dict
) -> Any:
    """Build a model from the files of a preset.

    Args:
        base: What its class must be, or derive from.
        preset: Name, folder or address of the preset.
        load_weights: Whether to load the weights.
        arguments: Arguments of the encoder that replace the preset's.

    Returns:
        The model, compiled.

    Raises:
        ValueError: If the preset has no tasks, or something does not fit.
        FileNotFoundError: If it lacks a file.
        OSError: If the weights cannot be read.
    """
    from keras_imp.models.imp_encoder import IMPEncoder

    files = find_files(preset)
    described = files.read(TASK_FILE)
    if not described:
        raise ValueError(
            message(
                f"The preset has an encoder only: no {TASK_FILE}, which "
                "model.save_to_preset writes.",
                "Use IMPEncoder.from_preset, and give it tasks of your own: "
                "AlternatingModel(encoder, tasks).",
                preset=str(preset),
            )
        )
    made_of = encoder_class(described, base, files.name)
    saved = files.read_arguments(TASK_FILE)
    check_named(saved, files.name)
    encoder = load_encoder(IMPEncoder, files, load_weights, arguments)
    saved = _without_dtypes(saved)
    tasks = [deserialized(task, None, "A task") for task in saved["tasks"]]
    model: Any = made_of(**{**saved, "encoder": encoder, "tasks": tasks})
    if load_weights:
        weights = files.need(
            TASK_WEIGHTS_FILE,
            "To start from random weights, use load_weights=False.",
        )
        TaskHeads(model.tasks).load_weights(weights)
    model.compile()
    return model


def _description(model: Any) -> dict[str, Any]:
    """Class and arguments of a model without its encoder."""
    saved = keras.saving.serialize_keras_object(model)
    del saved["config"]["encoder"]
    kept = ("module", "class_name", "config", "registered_name")
    return {name: saved[name] for name in kept}


def _without_dtypes(saved: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a model in Keras' default policy, as its encoder is."""
    saved = copy.deepcopy(saved)
    parts: list[Any] = [saved]
    while parts:
        part = parts.pop()
        part.pop("dtype", None)
        parts += [task["config"] for task in part.get("tasks", ())]
    return saved
