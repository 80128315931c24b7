"""One split of the playground, and the arrays that the tasks make of it."""

import dataclasses
import functools

import numpy as np

from keras_imp.data import LogMel, playground
from keras_imp.data.playground.clips import clips_of_split

# Arguments of the spectrograms, for the encoder too: it then takes waveforms.
# The floor is ln(1e-6) = -13.8, loud bands reach about 4.
LOG_MEL = {
    "sampling_rate": playground.SAMPLING_RATE,
    "frame_length": 1024,
    "frame_step": 256,
    "num_mel_bins": 64,
    "mean": -5.0,
    "std": 9.0,
}


@dataclasses.dataclass(frozen=True)
class Split:
    """One split, with what is made of it when it is first asked for.

    Attributes:
        name: `"train"`, `"validation"` or `"test"`.
        source: The split as `playground.load` returns it.
    """

    name: str
    source: playground.PlaygroundSplit

    @functools.cached_property
    def audio(self) -> np.ndarray:
        """Log-mel spectrograms, float32, shape `(recordings, 64, 64)`."""
        return log_mel(self.source.sounds.waveforms)

    @functools.cached_property
    def kinds(self) -> np.ndarray:
        """Class of each emoji: position of its subcategory in `kinds()`.

        It is -1 where neither the training nor the validation data has it.
        """
        known = {kind: i for i, kind in enumerate(kinds())}
        of = self.source.emoji.subcategories
        return np.array([known.get(kind, -1) for kind in of])

    @functools.cached_property
    def clips(self) -> tuple[np.ndarray, np.ndarray]:
        """A rendered clip of each emoji, and its motion.

        uint8, shape `(emoji, 8, 32, 32, 3)`, and positions in
        `playground.MOTIONS`.
        """
        return clips_of_split(self.name, self.source.emoji.images)


def load_split(name: str, fold: int | None = None) -> Split:
    """Decode one split.

    Args:
        name: `"train"`, `"validation"` or `"test"`.
        fold: As in `playground.load`.

    Returns:
        The split.
    """
    return Split(name, source_of(name, fold))


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
    return np.asarray(LogMel(**LOG_MEL)(waveforms))


@functools.cache
def source_of(name: str, fold: int | None = None) -> playground.PlaygroundSplit:
    """A split as `playground.load` returns it, decoded once in a process."""
    return playground.load(name, fold=fold)
