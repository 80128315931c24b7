"""The playground as four tasks: their model, and their mixtures."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_imp.data import Arrays, Tokenizer, playground
from keras_imp.data.preprocessor import IMPPreprocessor
from keras_imp.evaluation.playground.recipe import (
    OBJECTIVES,
    RECIPE,
    Recipe,
)
from keras_imp.evaluation.playground.sources import (
    targets_of,
    training_sources,
)
from keras_imp.evaluation.playground.splits import LOG_MEL, Split, kinds
from keras_imp.models.imp_encoder import IMPEncoder
from keras_imp.tasks import Classification, Combined, Contrastive, Task
from keras_imp.training.alternating_model import AlternatingModel
from keras_imp.training.input.task_mixture import TaskMixture
from keras_imp.training.optimizers import CosineWithWarmup, Muon
from keras_imp.training.schedules import Weighted

# Which of its captions an example is evaluated with: a name and a
# subcategory; an instrument and its family.
EVALUATED_CAPTION = {"emoji": 1, "sounds": 0}


def build_model(
    tokenizer: Tokenizer,
    steps: int,
    preset: str = "imp_tiny",
    recipe: Recipe = RECIPE,
    objectives: tuple[str, ...] = OBJECTIVES,
    dense_twin: bool = False,
    make_model: Callable[..., AlternatingModel] = AlternatingModel,
    make_optimizer: Callable[..., Any] | None = None,
    **options,
) -> AlternatingModel:
    """A tiny encoder with the playground's tasks, compiled.

    Args:
        tokenizer: For the size of the vocabulary.
        steps: Steps of the whole training, for the learning rate.
        preset: Preset of the encoder.
        recipe: All choices.
        objectives: What to learn, of `OBJECTIVES`.
        dense_twin: Whether to take the preset's dense counterpart.
        make_model: From encoder and tasks to the model.
        make_optimizer: From a learning rate to the optimizer. Defaults to
            `Muon` with the recipe's step.
        **options: Arguments of `IMPEncoder` that replace the preset's.

    Returns:
        The model.
    """
    encoder = build_encoder(tokenizer, preset, recipe, **options)
    if dense_twin:
        encoder = encoder.dense_twin()
    model = make_model(encoder, make_tasks(recipe, objectives))
    compile_model(model, steps, recipe, make_optimizer)
    return model


def build_encoder(
    tokenizer: Tokenizer,
    preset: str = "imp_tiny",
    recipe: Recipe = RECIPE,
    **options,
) -> IMPEncoder:
    """A tiny encoder of all modalities, fast on a CPU.

    Args:
        tokenizer: For the size of the vocabulary.
        preset: Preset of the encoder.
        recipe: For the dropout.
        **options: Arguments of `IMPEncoder` that replace the preset's.

    Returns:
        The encoder.
    """
    settings: dict[str, Any] = {
        "vocabulary_size": tokenizer.vocabulary_size,
        # 16 tokens for an image or a sound, 32 for a video: fast on a CPU.
        "patch_size": (4, 8, 8),
        "audio_patch_size": (16, 16),
        "log_mel": LOG_MEL,
        "dropout": recipe.dropout,
        # On a CPU a tenth faster than a loop over one compiled block, and four
        # blocks are compiled in the same time.
        "scan_layers": False,
    }
    return IMPEncoder.from_preset(
        preset,
        modalities=("image", "video", "audio", "text"),
        **(settings | options),
    )


def compile_model(
    model: AlternatingModel,
    steps: int,
    recipe: Recipe = RECIPE,
    make_optimizer: Callable[..., Any] | None = None,
) -> None:
    """Compile a model with the recipe's optimizer and learning rate.

    Args:
        model: The model.
        steps: Steps of the whole training, for the learning rate.
        recipe: All choices.
        make_optimizer: As in `build_model`.
    """
    rate = CosineWithWarmup(
        recipe.learning_rate,
        total_steps=steps,
        warmup_steps=round(recipe.warmup * steps),
    )
    make_optimizer = make_optimizer or functools.partial(
        Muon, update_rms=recipe.update_rms
    )
    model.compile(
        make_optimizer(
            rate,
            weight_decay=recipe.weight_decay,
            global_clipnorm=recipe.clip_norm,
        )
    )


def make_tasks(
    recipe: Recipe, objectives: tuple[str, ...] = OBJECTIVES
) -> list[Task]:
    """The tasks that learn some objectives.

    Args:
        recipe: For the spaces and the weights.
        objectives: What to learn, of `OBJECTIVES`.

    Returns:
        The tasks. Objectives of one task are its parts.
    """
    space: dict[str, Any] = {
        "projection_dim": recipe.projection_dim,
        "temperature": recipe.temperature,
    }
    tasks = [
        Classification("objects", "image", len(playground.FASHION_CLASSES)),
        _combined(
            "captions",
            objectives,
            Contrastive("texts", ("image", "text"), **space),
            Classification(
                "kinds",
                "image",
                len(kinds()),
                loss_weight=recipe.kinds_weight,
            ),
        ),
        _combined(
            "sounds",
            objectives,
            Contrastive("texts", ("audio", "text"), **space),
            Classification(
                "families",
                "audio",
                len(playground.FAMILIES),
                loss_weight=recipe.families_weight,
            ),
        ),
        Contrastive("clips", ("video", "text"), **space),
    ]
    wanted = {objective.partition("/")[0] for objective in objectives}
    return [task for task in tasks if task and task.name in wanted]


def training_mixture(
    split: Split,
    tokenizer: Tokenizer,
    seed: int,
    recipe: Recipe = RECIPE,
    objectives: tuple[str, ...] = OBJECTIVES,
) -> TaskMixture:
    """Shuffled, augmented batches of all tasks, drawn by the recipe's weights.

    Args:
        split: The training data.
        tokenizer: From captions to ids.
        seed: Seed of the schedule, the order and the augmentation.
        recipe: All choices.
        objectives: What to learn, of `OBJECTIVES`.

    Returns:
        The mixture.
    """
    sources = training_sources(split, tokenizer, recipe, seed, objectives)
    weights = {name: recipe.weights[name] for name in sources}
    return TaskMixture(sources, schedule=Weighted(weights), seed=seed)


def evaluation_mixture(
    split: Split, tokenizer: Tokenizer, recipe: Recipe = RECIPE
) -> TaskMixture:
    """The examples of each task once, in batches of the training's sizes.

    A contrastive loss depends on the size of the batch. What does not fill a
    batch is left out.

    Args:
        split: The validation data.
        tokenizer: From captions to ids.
        recipe: For the batch sizes.

    Returns:
        The mixture.
    """
    return TaskMixture.sequential(
        {
            name: Arrays(
                x,
                y,
                batch_size=recipe.batch_sizes[name],
                shuffle=False,
                drop_last=True,
            )
            for name, (x, y) in arrays_by_task(split, tokenizer, recipe).items()
        }
    )


def arrays_by_task(
    split: Split, tokenizer: Tokenizer, recipe: Recipe = RECIPE
) -> dict[str, tuple[dict[str, np.ndarray], Any]]:
    """The examples of each task as they are evaluated.

    Args:
        split: A split.
        tokenizer: From captions to ids.
        recipe: Says which captions match.

    Returns:
        Inputs and targets by task.
    """
    fashion, emoji, sounds = (
        split.source.fashion,
        split.source.emoji,
        split.source.sounds,
    )
    video, motions = split.clips
    clips = playground.clip_captions(emoji.names, motions)
    return {
        "objects": ({"image": fashion.images}, fashion.labels),
        "captions": (
            {
                "image": emoji.images,
                "text": tokenizer(evaluated_captions("emoji", emoji.captions)),
            },
            targets_of(recipe, ("texts", "kinds"), kinds=split.kinds),
        ),
        "sounds": (
            {
                "audio": split.audio,
                "text": tokenizer(
                    evaluated_captions("sounds", sounds.captions)
                ),
            },
            targets_of(
                recipe, ("texts", "families"), families=sounds.family_labels
            ),
        ),
        "clips": ({"video": video, "text": tokenizer(clips)}, None),
    }


def evaluated_captions(of: str, captions: list[list[str]]) -> list[str]:
    """The caption of each example that an evaluation asks for.

    Args:
        of: `"emoji"` or `"sounds"`.
        captions: All captions of each example.

    Returns:
        One caption for each example.
    """
    return [several[EVALUATED_CAPTION[of]] for several in captions]


def make_preprocessor(
    encoder: IMPEncoder, tokenizer: Tokenizer
) -> IMPPreprocessor:
    """What turns a user's own images, audio and texts into inputs.

    Args:
        encoder: The encoder of `build_model`.
        tokenizer: From captions to ids.

    Returns:
        The preprocessor, of the sizes of the playground.
    """
    return IMPPreprocessor.for_encoder(
        encoder,
        image=(32, 32),
        video=(8, 32, 32),
        audio_seconds=1.024,
        tokenizer=tokenizer,
    )


def test_inputs(split: Split, tokenizer: Tokenizer) -> dict[str, np.ndarray]:
    """Something of each modality, to see what an encoder does with it.

    Args:
        split: The test split.
        tokenizer: From captions to ids.

    Returns:
        Emoji, clips, sounds and the emoji's captions, by modality.
    """
    x = {k: v for k, (v, _) in arrays_by_task(split, tokenizer).items()}
    return {
        "image": x["captions"]["image"],
        "video": x["clips"]["video"],
        "audio": x["sounds"]["audio"],
        "text": x["captions"]["text"],
    }


def _combined(
    name: str, objectives: tuple[str, ...], *parts: Task
) -> Combined | None:
    """A task of those parts that are wanted; None if none is."""
    wanted = [part for part in parts if f"{name}/{part.name}" in objectives]
    return Combined(name, wanted) if wanted else None
