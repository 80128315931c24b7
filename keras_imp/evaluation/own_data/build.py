"""From a recipe and rows to encoder, preprocessor, tasks and a model."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from keras_imp._errors import message
from keras_imp.data import Tokenizer
from keras_imp.data.preprocessor import IMPPreprocessor
from keras_imp.evaluation.own_data.recipe import DataRecipe, Sizes
from keras_imp.evaluation.own_data.rows import TaskRows
from keras_imp.evaluation.own_data.rules import MODALITIES
from keras_imp.evaluation.own_data.start import start_of
from keras_imp.evaluation.run_folder import RunError
from keras_imp.models.imp_encoder import IMPEncoder
from keras_imp.models.waveforms import log_mel_arguments
from keras_imp.tasks import Classification, Contrastive, Regression, Task
from keras_imp.training.alternating_model import AlternatingModel
from keras_imp.training.optimizers import CosineWithWarmup, Muon


def build_model(
    recipe: DataRecipe,
    tasks: Mapping[str, TaskRows],
    tokenizer: Tokenizer | None,
) -> tuple[AlternatingModel, IMPPreprocessor]:
    """The model of a run, compiled, and what makes its inputs.

    Args:
        recipe: All choices.
        tasks: Rows of all tasks.
        tokenizer: For texts.

    Returns:
        The model and the preprocessor.

    Raises:
        RunError: If sizes do not fit each other.
    """
    try:
        encoder = _encoder(recipe, tasks, tokenizer)
        preprocessor = _preprocessor(recipe, tasks, tokenizer, encoder)
        model = AlternatingModel(
            encoder, [_task(rows, recipe) for rows in tasks.values()]
        )
    except ValueError as error:
        raise RunError(f"The recipe cannot be followed. {error}") from error
    rate = CosineWithWarmup(
        recipe.learning_rate,
        total_steps=recipe.steps,
        warmup_steps=round(recipe.warmup * recipe.steps),
    )
    model.compile(
        Muon(
            rate,
            update_rms=recipe.update_rms,
            weight_decay=recipe.weight_decay,
            global_clipnorm=recipe.clip_norm,
        )
    )
    return model, preprocessor


def modalities_of(tasks: Mapping[str, TaskRows]) -> tuple[str, ...]:
    """All modalities that some tasks read, in the usual order."""
    read = {name for rows in tasks.values() for name in rows.inputs}
    return tuple(name for name in MODALITIES if name in read)


def _encoder(
    recipe: DataRecipe,
    tasks: Mapping[str, TaskRows],
    tokenizer: Tokenizer | None,
) -> IMPEncoder:
    modalities, sizes = modalities_of(tasks), recipe.sizes
    start = start_of(recipe.encoder)
    start.check(sizes)
    if start.has_weights:
        encoder = IMPEncoder.from_preset(
            recipe.encoder, modalities=modalities, dropout=recipe.dropout
        )
        _check_vocabulary(encoder, tokenizer)
        if encoder.lora_rank is not None:
            encoder.merge_lora()
        # It may have been saved while it was frozen.
        encoder.trainable = True
        return encoder
    config = start.config
    options: dict[str, Any] = {}
    if sizes.patch is not None:
        options["patch_size"] = sizes.patch
        options["position_buckets"] = _buckets(
            sizes, sizes.patch, config.get("position_buckets", (16, 32, 32))
        )
    if sizes.audio_patch is not None:
        options["audio_patch_size"] = sizes.audio_patch
        options["audio_position_buckets"] = _audio_buckets(
            sizes, sizes.audio_patch, config
        )
    if tokenizer is not None:
        options["vocabulary_size"] = tokenizer.vocabulary_size
        options["max_sequence_length"] = tokenizer.length
    return IMPEncoder.from_preset(
        recipe.encoder,
        modalities=modalities,
        dropout=recipe.dropout,
        **options,
    )


def _check_vocabulary(encoder: IMPEncoder, tokenizer: Tokenizer | None) -> None:
    """Raise if weights for token ids are of another tokenizer."""
    if tokenizer is None:
        return
    # Spare ids are allowed.
    if tokenizer.vocabulary_size > encoder.vocabulary_size:
        raise ValueError(
            message(
                "The tokenizer must be the one that the encoder's weights were "
                "trained with.",
                "Save the encoder with its preprocessor, or name the file: "
                "tokenizer.",
                vocabulary_size=tokenizer.vocabulary_size,
                vocabulary_size_of_the_encoder=encoder.vocabulary_size,
            )
        )


def _buckets(
    sizes: Sizes, patch: tuple[int, ...], least: tuple[int, ...]
) -> tuple[int, ...]:
    """Rows of the position tables for images and videos: one per patch."""
    image = (1, *(sizes.image or (1, 1)))
    video = sizes.video or (1, 1, 1)
    return tuple(
        max(each, math.ceil(max(of_image, of_video) / side))
        for each, of_image, of_video, side in zip(least, image, video, patch)
    )


def _audio_buckets(
    sizes: Sizes, patch: tuple[int, int], config: dict[str, Any]
) -> tuple[int, int]:
    """Rows of the position tables for spectrograms."""
    log_mel = log_mel_arguments(
        config.get("log_mel"), config.get("variant", "fixed")
    )
    samples = (sizes.audio_seconds or 0) * log_mel["sampling_rate"]
    frames = math.ceil(samples / log_mel["frame_step"])
    least = config.get("audio_position_buckets", (64, 8))
    return (
        max(least[0], math.ceil(frames / patch[0])),
        max(least[1], math.ceil(log_mel["num_mel_bins"] / patch[1])),
    )


def _preprocessor(
    recipe: DataRecipe,
    tasks: Mapping[str, TaskRows],
    tokenizer: Tokenizer | None,
    encoder: IMPEncoder,
) -> IMPPreprocessor:
    read, sizes = modalities_of(tasks), recipe.sizes
    given = dataclasses.asdict(sizes)
    arguments: dict[str, Any] = {
        n: given[n] for n in ("image", "video") if n in read
    }
    if "video" in read:
        arguments["video_stride"] = sizes.video_stride or 1
    if "audio" in read:
        arguments["audio_seconds"] = sizes.audio_seconds
    if "text" in read:
        arguments["tokenizer"] = tokenizer
    trained = start_of(recipe.encoder).preprocessor
    if trained is not None:
        arguments["crop_to_aspect_ratio"] = trained.crop_to_aspect_ratio
    return IMPPreprocessor.for_encoder(encoder, **arguments)


def _task(rows: TaskRows, recipe: DataRecipe) -> Task:
    if rows.kind == "contrastive":
        return Contrastive(
            rows.name,
            rows.inputs,
            projection_dim=recipe.projection_dim,
            temperature=recipe.temperature,
        )
    if rows.kind == "regression":
        return Regression(rows.name, rows.inputs[0])
    return Classification(
        rows.name,
        rows.inputs[0],
        len(rows.classes),
        multi_label=rows.kind == "multi-label",
    )
