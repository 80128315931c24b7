"""What the playground's tasks train on: batches that are drawn anew."""

from collections.abc import Collection
from functools import partial
from typing import Any

import numpy as np

from keras_imp.data import Arrays, Tokenizer, playground
from keras_imp.data.augment import (
    Compose,
    Draws,
    images,
    spectrograms,
    texts,
    waveforms,
)
from keras_imp.evaluation.playground.captions import (
    clip_captions,
    emoji_captions,
)
from keras_imp.evaluation.playground.recipe import OBJECTIVES, Recipe
from keras_imp.evaluation.playground.splits import Split, log_mel

_WHITE = 255


def training_sources(
    split: Split,
    tokenizer: Tokenizer,
    recipe: Recipe,
    seed: int,
    objectives: tuple[str, ...] = OBJECTIVES,
) -> dict[str, Arrays]:
    """Shuffled batches of each task, augmented anew in every pass.

    Args:
        split: The training data.
        tokenizer: From captions to ids.
        recipe: All choices.
        seed: Seed of the order and of the augmentation.
        objectives: What to learn, of `OBJECTIVES`.

    Returns:
        The data by task, for a mixture.
    """
    make = {
        "objects": _objects,
        "captions": _captions,
        "sounds": _sounds,
        "clips": _clips,
    }
    tasks = [task for task in make if _parts(task, objectives)]
    return {
        task: make[task](
            split,
            tokenizer,
            recipe,
            parts=_parts(task, objectives),
            batch_size=recipe.batch_sizes[task],
            seed=seed,
        )
        for task in tasks
    }


def _parts(task: str, objectives: tuple[str, ...]) -> list[str]:
    """The objectives of a task, without its name."""
    names = [each.partition("/") for each in objectives]
    return [part or name for name, _, part in names if name == task]


def targets_of(
    recipe: Recipe, parts: Collection[str], **kinds: np.ndarray
) -> dict[str, Any] | None:
    """Targets of the parts of a combined task that are learned.

    Args:
        recipe: Says whether texts match by kind.
        parts: Names of the parts.
        **kinds: Name of the part that classifies, and the classes, int, shape
            `(examples,)`.

    Returns:
        Targets by part, or None without any.
    """
    (classes,) = kinds.values()
    targets = {**kinds, "texts": classes} if recipe.match_kinds else kinds
    return {k: v for k, v in targets.items() if k in parts} or None


def _objects(split, tokenizer, recipe, *, parts, batch_size, seed) -> Arrays:
    fashion = split.source.fashion
    return Arrays(
        {"image": fashion.images},
        fashion.labels,
        batch_size=batch_size,
        augment=Compose(image=images.flip),
        seed=seed,
    )


def _captions(split, tokenizer, recipe, *, parts, batch_size, seed) -> Arrays:
    emoji = split.source.emoji
    rows = np.arange(len(emoji.names))
    drawings = _Drawings(emoji, recipe.own_style)
    return Arrays(
        {"image": rows, "text": rows},
        targets_of(recipe, parts, kinds=split.kinds),
        batch_size=batch_size,
        augment=Compose(
            image=[
                drawings.draw,
                partial(
                    images.affine,
                    rotation=12,
                    scale=(0.8, 1.15),
                    shift=0.1,
                    fill=_WHITE,
                ),
                partial(images.mix_colors, strength=0.1),
                partial(images.contrast, strength=0.15, keep="white"),
            ],
            text=[
                partial(emoji_captions, emoji=emoji, recipe=recipe),
                tokenizer,
            ],
        ),
        seed=seed,
    )


def _sounds(split, tokenizer, recipe, *, parts, batch_size, seed) -> Arrays:
    sounds = split.source.sounds
    played = [
        log_mel(waveforms.shift_pitch(sounds.waveforms, semitones))
        for semitones in recipe.semitones
    ]
    audio = np.concatenate([split.audio, *played])
    copies = 1 + len(recipe.semitones)
    curve = recipe.equalized
    # What a step draws depends on its place, so one that does nothing is none.
    equalized = (
        []
        if curve is None
        else [partial(spectrograms.equalize, strength=curve)]
    )
    captions = np.array(sounds.captions * copies)
    return Arrays(
        {"audio": audio, "text": captions},
        targets_of(
            recipe,
            parts,
            families=np.tile(sounds.family_labels, copies),
        ),
        batch_size=batch_size,
        augment=Compose(
            audio=[
                partial(spectrograms.shift, frames=2, bins=2),
                partial(spectrograms.gain, strength=0.1),
                *equalized,
                partial(
                    spectrograms.mask_bands,
                    frames=recipe.masked,
                    bins=recipe.masked,
                ),
            ],
            text=[
                texts.choose,
                partial(texts.drop_words, probability=recipe.dropped_words),
                tokenizer,
            ],
        ),
        seed=seed,
    )


def _clips(split, tokenizer, recipe, *, parts, batch_size, seed) -> Arrays:
    emoji = split.source.emoji
    rows = np.arange(len(emoji.names))
    drawings = _Drawings(emoji, recipe.own_style)

    def render(batch: tuple, draws: Draws) -> tuple:
        which = batch[0]["video"]
        # One generator for all: the motions of a batch are balanced.
        generator = np.random.default_rng((draws.seed, draws.index))
        video, motions = playground.render_clips(
            drawings.draw(which, draws), seed=generator
        )
        captions = clip_captions(
            [emoji.names[row] for row in which], motions, draws, recipe
        )
        return ({"video": video, "text": tokenizer(captions)},)

    return Arrays(
        {"video": rows},
        batch_size=batch_size,
        augment=Compose(render),
        seed=seed,
    )


class _Drawings:
    """The images of each emoji, in all the styles that it has.

    Args:
        emoji: The emoji.
        own_style: Probability of the style of the evaluation.
    """

    def __init__(self, emoji: playground.Emoji, own_style: float):
        styles = list(emoji.styles.values())
        first = len(emoji.images)
        rows = np.concatenate([np.arange(0), *(s.rows for s in styles)])
        order = np.argsort(rows, kind="stable")
        self._images = np.concatenate(
            [emoji.images, *(style.images for style in styles)]
        )
        self._others = first + order
        self._counts = np.bincount(rows, minlength=first)
        self._starts = np.cumsum(self._counts) - self._counts
        self._own_style = own_style
        # A flag is not the same thing when mirrored.
        self._may_flip = ~emoji.is_flag

    def draw(self, rows: np.ndarray, draws: Draws) -> np.ndarray:
        """An image of each emoji, in one of its styles, maybe mirrored."""
        counts = self._counts[rows]
        other = ~draws.bernoulli("own style", self._own_style) & (counts > 0)
        picks = draws.integers("style", 0, np.maximum(counts, 1))
        drawn = rows.copy()
        drawn[other] = self._others[(self._starts[rows] + picks)[other]]
        return images.flip(
            self._images[drawn], draws, where=self._may_flip[rows]
        )
