"""The bundled playground: small real data to try every part of the package.

Images with a class (Fashion-MNIST), images with words (emoji, in several
styles) and audio with a family and words (FluidR3Mono recordings), in three
splits that share no concept, with five folds to choose by, and with drawings
and recordings of other sources as further tests. `files/README.md` says where
they come from.
"""

from keras_imp.data.playground.clips import MOTIONS, clip_captions, render_clips
from keras_imp.data.playground.emoji import (
    Drawings,
    Emoji,
    load_unseen_style,
)
from keras_imp.data.playground.fashion import FASHION_CLASSES, Fashion
from keras_imp.data.playground.parts import FOLDS, SPLITS
from keras_imp.data.playground.reading import FILES
from keras_imp.data.playground.sounds import (
    FAMILIES,
    FAMILY_WORDS,
    SAMPLING_RATE,
    Sounds,
    load_unseen_sounds,
)
from keras_imp.data.playground.splits import PlaygroundSplit, load
from keras_imp.data.playground.writing import write_files

__all__ = [
    "FAMILIES",
    "FAMILY_WORDS",
    "FASHION_CLASSES",
    "FILES",
    "FOLDS",
    "MOTIONS",
    "SAMPLING_RATE",
    "SPLITS",
    "Drawings",
    "Emoji",
    "Fashion",
    "PlaygroundSplit",
    "Sounds",
    "clip_captions",
    "load",
    "load_unseen_sounds",
    "load_unseen_style",
    "render_clips",
    "write_files",
]
