"""Load a backbone of keras-hub and start an encoder from it, in one call."""

import importlib
import os
from pathlib import Path
from typing import Any

from keras_imp._errors import message
from keras_imp.models.presets.files import CONFIG_FILE, PresetFiles
from keras_imp.models.presets.remote import is_handle
from keras_imp.models.presets.trusted import check_named


def from_backbone_preset(
    cls: Any,
    preset: str | os.PathLike,
    load_weights: bool,
    files: PresetFiles | None,
    options: dict[str, Any],
) -> Any:
    """Load a backbone of keras-hub and start an encoder from it.

    Args:
        cls: The class of the encoder.
        preset: What the user called the preset.
        load_weights: Whether to load the weights of the backbone.
        files: Its files; None for a name that only keras-hub knows.
        options: Arguments of `from_backbone`. Where the preset says how pixels
            are scaled, `pixel_mean` and `pixel_std` default to that.

    Returns:
        The encoder.

    Raises:
        ValueError: If the preset names something foreign, or as
            `from_backbone`.
    """
    hub = importlib.import_module("keras_hub")
    source = os.fspath(preset)
    if files is not None:
        check_named(files.read_arguments(CONFIG_FILE), files.name)
        if not is_handle(source):
            # A folder, maybe of another package.
            source = str(Path(str(files.get(CONFIG_FILE))).parent)
    backbone = hub.models.Backbone.from_preset(
        source, load_weights=load_weights
    )
    return cls.from_backbone(backbone, **{**_scaling(hub, source), **options})


def _scaling(hub: Any, source: str) -> dict[str, Any]:
    """Mean and standard deviation of the pixels, if the preset has them."""
    try:
        converter = hub.layers.ImageConverter.from_preset(source)
    except (ValueError, FileNotFoundError):
        return {}  # It is of a text, or has no converter.
    if converter.scale is None and converter.offset is None:
        return {}
    scale = _three(1.0 if converter.scale is None else converter.scale)
    offset = _three(0.0 if converter.offset is None else converter.offset)
    # (p / 255 - mean) / std is scale * p + offset.
    std = tuple(1.0 / (255.0 * one) for one in scale)
    mean = tuple(-one * width for one, width in zip(offset, std))
    return {"pixel_mean": mean, "pixel_std": std}


def _three(value: Any) -> tuple[float, ...]:
    """A number for each channel."""
    values = list(value) if isinstance(value, list | tuple) else [value] * 3
    if len(values) != 3:
        raise ValueError(
            message("Pixels must have 3 channels.", channels=len(values))
        )
    return tuple(map(float, values))
