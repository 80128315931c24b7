"""The bundled playground: small real data to try every part of the package.

Images with a class (Fashion-MNIST), images with words (Noto emoji) and audio
with a family and words (FluidR3Mono recordings), in three splits that share no
concept. `files/README.md` says where they come from.
"""

from keras_imp.data.playground.clips import MOTIONS, clip_captions, render_clips
from keras_imp.data.playground.splits import (
    FAMILIES,
    FAMILY_WORDS,
    FASHION_CLASSES,
    FILES,
    SAMPLING_RATE,
    SPLITS,
    Emoji,
    Fashion,
    PlaygroundSplit,
    Sounds,
    load,
)

__all__ = [
    "FAMILIES",
    "FAMILY_WORDS",
    "FASHION_CLASSES",
    "FILES",
    "MOTIONS",
    "SAMPLING_RATE",
    "SPLITS",
    "Emoji",
    "Fashion",
    "PlaygroundSplit",
    "Sounds",
    "clip_captions",
    "load",
    "render_clips",
]
