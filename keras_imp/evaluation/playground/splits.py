"""One split of the playground as arrays, ready for the tasks."""

import functools
from typing import NamedTuple

import numpy as np

from keras_imp.data import LogMel, playground


class Split(NamedTuple):
    """One split, with what does not change while training.

    Attributes:
        source: The split as `playground.load` returns it.
        audio: Log-mel spectrograms of the recordings, float32, shape
            `(recordings, 64, 64)`.
        kinds: Class of each emoji: position of its subcategory in `kinds()`;
            -1 for one that neither the training nor the validation data has.
        video: A rendered clip of each emoji, uint8, shape
            `(emoji, 8, 32, 32, 3)`.
        motions: Position of its motion in `playground.MOTIONS`.
    """

    source: playground.PlaygroundSplit
    audio: np.ndarray
    kinds: np.ndarray
    video: np.ndarray
    motions: np.ndarray


def load_split(name: str, fold: int | None = None) -> Split:
    """Decode one split, and prepare what does not change while training.

    Args:
        name: `"train"`, `"validation"` or `"test"`.
        fold: As in `playground.load`.

    Returns:
        The arrays of all tasks.
    """
    source = source_of(name, fold)
    emoji = source.emoji
    # Each split has motions of its own.
    video, motions = playground.render_clips(
        emoji.images, seed=playground.SPLITS.index(name)
    )
    known = {kind: i for i, kind in enumerate(kinds())}
    return Split(
        source=source,
        audio=log_mel(source.sounds.waveforms),
        kinds=np.array([known.get(k, -1) for k in emoji.subcategories]),
        video=video,
        motions=motions,
    )


@functools.cache
def kinds() -> tuple[str, ...]:
    """Subcategories of the emoji of the training and validation data."""
    of = (
        source_of(name).emoji.subcategories for name in ("train", "validation")
    )
    return tuple(sorted({kind for several in of for kind in several}))


def log_mel(waveforms: np.ndarray) -> np.ndarray:
    """Log-mel spectrograms, scaled to about [-1, 1].

    Args:
        waveforms: float32, shape `(clips, samples)`.

    Returns:
        float32, shape `(clips, 64, 64)`.
    """
    layer = LogMel(frame_length=1024, frame_step=256, num_mel_bins=64)
    # The layer's floor is ln(1e-6) = -13.8; loud bands reach about 4.
    return (np.asarray(layer(waveforms)) + 5.0) / 9.0


@functools.cache
def source_of(name: str, fold: int | None = None) -> playground.PlaygroundSplit:
    """A split as `playground.load` returns it, decoded once in a process."""
    return playground.load(name, fold=fold)
