"""Write an encoder, with all that its inputs need, as the files of a preset."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import ml_dtypes
import numpy as np

import keras_imp
from keras_imp._errors import check_choice, message
from keras_imp._files import UNFINISHED, commit, write_text
from keras_imp.models.presets.card import (
    card_for,
    check_card,
    license_of,
    read_card,
)
from keras_imp.models.presets.files import (
    CARD_FILE,
    CONFIG_FILE,
    FORMAT,
    METADATA_FILE,
    PREPROCESSOR_FILE,
    SHARDS_FILE,
    TASK_FILE,
    TASK_WEIGHTS_FILE,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    PresetFiles,
)
from keras_imp.models.presets.rounding import round_to_float16

# What Keras calls the shards of `SHARDS_FILE`.
_SHARDS = "model_*.weights.h5"
# What makes the inputs of an encoder.
_INPUT_FILES = (PREPROCESSOR_FILE, TOKENIZER_FILE)


def save_encoder(
    encoder: Any,
    folder: Path,
    max_shard_size: float | None = None,
    tokenizer: Any = None,
    preprocessor: Any = None,
    card: str | None = None,
    weights_dtype: str | None = None,
    write_more: Callable[[Path], None] | None = None,
) -> None:
    """Write the files of a preset.

    Args:
        encoder: An `IMPEncoder`.
        folder: Where to write.
        max_shard_size: Largest size in GB of a file of weights.
        tokenizer: `data.Tokenizer`, if there is no preprocessor.
        preprocessor: `IMPPreprocessor`.
        card: Markdown.
        weights_dtype: None or `"float16"`.
        write_more: Writes more files of the preset into a folder.

    Raises:
        TypeError: If the tokenizer, the preprocessor or the card is something
            else.
        ValueError: If one of them does not fit, or neither is given where the
            folder has a preset with one.
    """
    check_choice((None, "float16"), weights_dtype=weights_dtype)
    check_card(card)
    _check_inputs(encoder, tokenizer, preprocessor)
    has_inputs = tokenizer is not None or preprocessor is not None
    if not has_inputs:
        _check_no_inputs(folder)
    folder.mkdir(parents=True, exist_ok=True)
    card = card_for(encoder, folder) if card is None else card
    # Everything is written before the first file of an older preset is gone.
    with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=folder) as made:
        written = Path(made)
        _write_weights(encoder, written, max_shard_size, weights_dtype)
        if write_more is not None:
            write_more(written)
        if tokenizer is not None:
            tokenizer.save(written / TOKENIZER_FILE)
        if preprocessor is not None:
            preprocessor.save_to_preset(written)
        if card is not None:
            write_text(written / CARD_FILE, card)
        stated = license_of(card or read_card(PresetFiles.of_folder(folder)))
        metadata = _metadata(encoder, stated, weights_dtype)
        _write_json(written / METADATA_FILE, metadata)
        _write_json(written / CONFIG_FILE, _config(encoder))
        _replace(folder, written, _INPUT_FILES if has_inputs else ())


def _check_no_inputs(folder: Path) -> None:
    """Raise if an encoder would meet what makes the inputs of an older one."""
    old = [name for name in _INPUT_FILES if (folder / name).exists()]
    if old and (folder / CONFIG_FILE).exists():
        raise ValueError(
            message(
                "A preset with a preprocessor or a tokenizer must be replaced "
                "by one with its own: they would be of the older encoder.",
                "Give `preprocessor` or `tokenizer`, the old one if it fits, "
                "or remove the files.",
                folder=str(folder),
                files=old,
            )
        )


def _check_inputs(encoder: Any, tokenizer: Any, preprocessor: Any) -> None:
    """Raise unless the encoder takes what these make."""
    # Classes of `data`, which is above this folder: known by what they have.
    for name, value, needed, kind in (
        ("tokenizer", tokenizer, "vocabulary_size", "data.Tokenizer"),
        ("preprocessor", preprocessor, "check_encoder", "IMPPreprocessor"),
    ):
        if value is not None and not hasattr(value, needed):
            raise TypeError(
                message(
                    f"`{name}` must be a keras_imp.{kind}.",
                    type=type(value).__name__,
                )
            )
    if preprocessor is not None:
        preprocessor.check_encoder(encoder)
        if tokenizer is not None:
            raise ValueError(
                message(
                    "`tokenizer` must not be given beside a `preprocessor`: "
                    "that has its own.",
                    "Give it to the preprocessor: IMPPreprocessor("
                    "tokenizer=tokenizer, ...).",
                    tokenizer=tokenizer,
                )
            )
    if tokenizer is not None:
        size = tokenizer.vocabulary_size
        if "text" in encoder.modalities and size > encoder.vocabulary_size:
            raise ValueError(
                message(
                    f"The encoder must have an id for each of the tokenizer's, "
                    f"{size}.",
                    "Make it with vocabulary_size=tokenizer.vocabulary_size.",
                    vocabulary_size=encoder.vocabulary_size,
                )
            )


def _write_weights(
    encoder: Any,
    folder: Path,
    max_shard_size: float | None,
    weights_dtype: str | None,
) -> None:
    if max_shard_size is None or _gigabytes(encoder) <= max_shard_size:
        encoder.save_weights(folder / WEIGHTS_FILE)
    else:
        encoder.save_weights(
            folder / SHARDS_FILE, max_shard_size=max_shard_size
        )
    if weights_dtype is not None:
        for path in sorted(folder.glob("*.weights.h5")):
            round_to_float16(path)


def _gigabytes(encoder: Any) -> float:
    """Size of the variables, each once."""
    variables = {id(v): v for v in encoder.variables}.values()
    return sum(
        np.prod(v.shape, dtype=float)
        * np.dtype(getattr(ml_dtypes, v.dtype, v.dtype)).itemsize
        for v in variables
    ) / (1024**3)


def _config(encoder: Any) -> dict[str, Any]:
    """The class and the constructor arguments, without what `compile` got."""
    saved = keras.saving.serialize_keras_object(encoder)
    kept = ("module", "class_name", "config", "registered_name")
    return {name: saved[name] for name in kept}


def _metadata(
    encoder: Any, stated: str | None, weights_dtype: str | None
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "keras_imp_version": keras_imp.__version__,
        "keras_version": keras.__version__,
        "parameter_count": encoder.count_params(),
        "active_parameter_count": encoder.count_active_params(),
        "modalities": list(encoder.modalities),
        "weights_dtype": weights_dtype or encoder.variable_dtype,
        "license": stated,
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_text(path, json.dumps(content, indent=4) + "\n")


def _replace(folder: Path, written: Path, more: tuple[str, ...]) -> None:
    """Let new files take the place of old ones; the config comes last.

    Without the config, a folder is no preset: if this is interrupted, old
    weights never meet a new config.

    Args:
        folder: Of the preset.
        written: Folder of its new files.
        more: Further files that go, new or not.
    """
    old = [
        CONFIG_FILE,
        METADATA_FILE,
        WEIGHTS_FILE,
        SHARDS_FILE,
        TASK_FILE,
        TASK_WEIGHTS_FILE,
        *more,
    ]
    for path in [*(folder / name for name in old), *folder.glob(_SHARDS)]:
        path.unlink(missing_ok=True)
    files = sorted(written.iterdir(), key=lambda path: path.name == CONFIG_FILE)
    for path in files:
        commit(path, folder / path.name)
