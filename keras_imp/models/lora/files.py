"""LoRA weights in a file of their own.

The file says what they are for: rank, targets, alpha, and a few values of each
kernel that they adapt, by which the encoder is known again.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import keras_imp
from keras_imp._errors import message
from keras_imp._files import commit, unfinished
from keras_imp._saving.files import Group, open_weights, write_group
from keras_imp._saving.names import from_array, to_array
from keras_imp._values import value_of
from keras_imp.models.lora.options import Options

ENDING = ".lora.h5"
FORMAT = 1
# Of the file: what the weights are for, and the values of kernels.
FACTS, KERNELS = "facts", "kernels"
# Values of each kernel that are kept, and what they may differ by, as a
# fraction of the largest: kernels may be rounded to 16 bits in between.
SAMPLES, TOLERANCE = 16, 0.02


def save_lora(encoder: Any, path: Path) -> None:
    """Write the LoRA weights of an encoder.

    Args:
        encoder: An encoder with LoRA weights.
        path: The file.

    Raises:
        ValueError: If its ending is another one.
    """
    if not path.name.endswith(ENDING):
        raise ValueError(
            message(
                f"A file of LoRA weights must end in {ENDING!r}.",
                filepath=str(path),
            )
        )
    facts = {
        "format": FORMAT,
        "keras_imp_version": keras_imp.__version__,
        **encoder.lora_options._asdict(),
    }
    written = unfinished(path)
    try:
        with h5py.File(written, "w") as file:
            write_group(file, "", {FACTS: to_array(facts)})
            write_group(file, KERNELS, _samples(encoder))
            for name, values in _factors(encoder).items():
                write_group(file, name, values)
        commit(written, path)
    finally:
        written.unlink(missing_ok=True)


def load_lora(encoder: Any, path: Path) -> None:
    """Load the LoRA weights of a file, all or none.

    Args:
        encoder: An encoder with LoRA weights of the same options.
        path: The file.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it does not fit.
    """
    if not path.is_file():
        raise FileNotFoundError(
            message("The file must exist.", filepath=str(path))
        )
    with open_weights(path) as groups:
        _check_options(encoder, _options_of(groups, path), path)
        _check_encoder(encoder, groups, path)
        arrays = {
            name: {key: value[()] for key, value in groups[name].values.items()}
            for name in encoder.lora_updates()
        }
    for name, updates in encoder.lora_updates().items():
        for variable in updates.variables:
            variable.assign(arrays[name][variable.name])


def _factors(encoder: Any) -> dict[str, dict[str, np.ndarray]]:
    """LoRA weights by what they adapt and by name."""
    return {
        name: {v.name: _plain(value_of(v)) for v in updates.variables}
        for name, updates in encoder.lora_updates().items()
    }


def _samples(encoder: Any) -> dict[str, np.ndarray]:
    """A few values of each kernel that is adapted."""
    found = {}
    stacks = [stack for stack in encoder.body.stacks if stack.lora is not None]
    for name, stack in zip(encoder.lora_updates(), stacks, strict=True):
        for place in stack.lora.places:
            values = _plain(value_of(stack.stacked[place])).ravel()
            places = np.linspace(0, len(values) - 1, SAMPLES).astype(int)
            found[f"{name}_{stack.stacked[place].name}"] = values[places]
    return found


def _plain(values: np.ndarray) -> np.ndarray:
    """Values in a dtype of NumPy that holds them exactly."""
    return values if values.dtype == "float64" else values.astype("float32")


def _options_of(groups: Mapping[str, Group], path: Path) -> Options:
    """What the weights of a file are for."""
    facts = groups.get("", Group("", {})).values.get(FACTS)
    if facts is None:
        raise ValueError(
            message(
                "The file must be one that `save_lora_weights` wrote.",
                "Use load_weights for the weights of an encoder or a model.",
                filepath=str(path),
            )
        )
    found = from_array(facts[()])
    if found["format"] > FORMAT:
        raise ValueError(
            message(
                f"LoRA weights must have the format {FORMAT}.",
                f"keras-imp {found['keras_imp_version']} wrote them: install "
                "that version or a newer one.",
                filepath=str(path),
                format=found["format"],
            )
        )
    return Options(found["rank"], tuple(found["targets"]), found["alpha"])


def _check_options(encoder: Any, saved: Options, path: Path) -> None:
    options = encoder.lora_options
    if options is None:
        raise ValueError(
            message(
                "LoRA must be enabled before its weights are loaded.",
                f"Call {saved.call} first.",
                filepath=str(path),
                lora_rank=None,
            )
        )
    if options != saved:
        raise ValueError(
            message(
                "LoRA weights must have the rank, targets and alpha of the "
                "encoder.",
                f"Call {saved.call} on an encoder without LoRA, and load them "
                "into that.",
                filepath=str(path),
                file=saved._asdict(),
                encoder=options._asdict(),
            )
        )


def _check_encoder(
    encoder: Any, groups: Mapping[str, Group], path: Path
) -> None:
    """Raise unless the LoRA weights are of this encoder's kernels."""
    here = _factors(encoder)
    shapes = {
        name: {key: value.shape for key, value in factors.items()}
        for name, factors in here.items()
    }
    saved = {
        name: {key: value.shape for key, value in group.values.items()}
        for name, group in groups.items()
        if name not in ("", KERNELS)
    }
    what = ""
    if shapes != saved:
        what = "Its layers, widths or experts are other ones."
    elif not _are_near(_samples(encoder), groups.get(KERNELS)):
        what = (
            "Its kernels have other values: first load the weights that the "
            "LoRA weights were trained on."
        )
    if what:
        raise ValueError(
            message(
                "LoRA weights must be loaded into the encoder that they were "
                "trained on.",
                what,
                filepath=str(path),
            )
        )


def _are_near(here: dict[str, np.ndarray], saved: Group | None) -> bool:
    arrays = {} if saved is None else saved.values
    if set(here) != set(arrays):
        return False
    return all(
        arrays[name].shape == values.shape
        and np.max(np.abs(arrays[name][()] - values))
        <= TOLERANCE * np.max(np.abs(values))
        for name, values in here.items()
    )
