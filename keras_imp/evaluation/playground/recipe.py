"""How the playground is trained: every choice, in one place.

`benchmarks/playground_recipes.py` compares choices by cross-validation over the
training and validation data, without the test split. These here were not all
compared by it: most come from single runs on a validation split.
"""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

# What a step can learn from: a task, or a part of one. The parts of a task
# share each batch and its pass through the encoder.
OBJECTIVES = (
    "objects",
    "captions/texts",
    "captions/kinds",
    "sounds/texts",
    "sounds/families",
    "clips",
)


def _fixed(**values: Any) -> Any:
    return dataclasses.field(default_factory=lambda: MappingProxyType(values))


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Choices of a training run of the playground.

    Attributes:
        weights: Fractions of the steps, by task, up to a common factor.
        batch_sizes: Examples of a batch, by task.
        learning_rate: Peak of the learning rate.
        update_rms: Root mean square of Muon's step, in learning rates.
        warmup: Fraction of the steps in which the rate rises.
        weight_decay: Decoupled weight decay of the kernels.
        clip_norm: Largest global norm of a gradient. Low on purpose: clipped,
            the gradients of all tasks have the same length, and a task's
            fraction of the steps is its weight. A contrastive gradient is
            several times a classifier's, and the optimizer's state is shared.
        match_kinds: Whether an image matches the captions of all emoji of its
            subcategory, and a recording those of its family; else its own
            only. The loss asks for the best match, so names still count. Else
            it would push apart what looks and sounds alike, and of concepts
            that are new that is what can be known.
        kinds_weight: Weight of the classification of an emoji's subcategory,
            beside its contrast with captions.
        families_weight: Weight of the classification of a recording's family.
        dropout: Dropout of the encoder.
        projection_dim: Width of the spaces of images, sounds, clips and texts.
        temperature: Initial temperature of the contrastive losses.
        text_length: Token ids of a caption. A longer one is cut.
        vocabulary_size: Ids of the tokenizer.
        caption_forms: Forms of a caption of an emoji, with their weights. What
            is asked for later, a name with its subcategory, is the most
            frequent. Categories are asked for alone, as the names of classes,
            so some captions are a category alone.
        own_style: Probability of an emoji to be drawn in Noto, the style of
            the evaluation; else it is in another one that it has.
        dropped_words: Probability of each word of a name, and of a caption
            of a recording, to be left out.
        motion_only: Probability of a clip's caption to be its motion alone.
        semitones: Recordings are also played higher or lower by these.
        equalized: Strength of the random curve over the pitches of a recording;
            None for no such step.
        masked: Most frames and mel bins of a spectrogram that are masked.
    """

    weights: Mapping[str, float] = _fixed(
        objects=5.5, captions=9.0, sounds=4.5, clips=2.0
    )
    batch_sizes: Mapping[str, int] = _fixed(
        objects=64, captions=96, sounds=64, clips=48
    )
    learning_rate: float = 1.5e-3
    update_rms: float = 0.5
    warmup: float = 0.05
    weight_decay: float = 0.1
    clip_norm: float = 0.1
    match_kinds: bool = True
    kinds_weight: float = 1.0
    families_weight: float = 1.0
    dropout: float = 0.0
    projection_dim: int = 128
    temperature: float = 0.1
    text_length: int = 12
    vocabulary_size: int = 2000
    caption_forms: tuple[tuple[str, float], ...] = (
        ("{name}, {subcategory}", 0.34),
        ("{name}, {category}", 0.20),
        ("{keywords}, {subcategory}", 0.10),
        ("{name}", 0.05),
        ("{category}", 0.22),
        ("{subcategory}", 0.09),
    )
    own_style: float = 0.5
    dropped_words: float = 0.2
    motion_only: float = 0.3
    semitones: tuple[float, ...] = (-4.0, -2.0, 2.0, 4.0)
    equalized: float | None = None
    masked: int = 12


RECIPE = Recipe()
