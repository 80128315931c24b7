"""Augmentations of waveforms, float, shape `(waveforms, samples)`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_imp._errors import check_integer, message
from keras_imp.data.augment._checks import (
    check_float,
    check_range,
    check_rows,
)
from keras_imp.data.augment.draws import Draws

__all__ = ["gain", "shift", "shift_pitch", "vary_pitch"]

# Samples on either side that a resampled one is made of, at full bandwidth.
_REACH = 16


def shift_pitch(waveforms: np.ndarray, semitones: Any) -> np.ndarray:
    """Change the pitch of waveforms by playing them faster or more slowly.

    They are resampled: up by s semitones, all is 2^(s / 12) times as fast, and
    silence follows; down, the end is cut. What would lie above half of the
    sampling rate is filtered out. Each sample is a mean of 32 or more, weighted
    by a sinc function with a Hann window: a second of 16 kHz takes about 2 ms,
    so for few steps make copies of the data once.

    Args:
        waveforms: Shape `(waveforms, samples)`, float.
        semitones: Positive for higher pitches; a number, or shape
            `(waveforms,)`.

    Returns:
        Shape and dtype of `waveforms`.

    Raises:
        ValueError: If `waveforms` are none, or `semitones` do not fit or are
            beyond 48.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data import augment
        >>> times = np.arange(8000) / 8000
        >>> tone = np.sin(2 * np.pi * 440 * times)[None]
        >>> higher = augment.waveforms.shift_pitch(tone, 12)
        >>> int(np.argmax(np.abs(np.fft.rfft(higher[0, :4000])))) * 2
        880

    Reference:
        [Smith, 1984](https://ccrma.stanford.edu/~jos/resample/).
    """
    check_float("`waveforms`", waveforms, ("waveforms", "samples"))
    steps = np.asarray(semitones, "float64")
    fits = steps.shape in ((), (len(waveforms),))
    if not fits or not np.all(np.abs(steps) <= 48):
        raise ValueError(
            message(
                "`semitones` must be a number from -48 to 48, or one for each "
                "waveform.",
                waveforms=len(waveforms),
                semitones=semitones,
            )
        )
    steps = np.broadcast_to(steps, (len(waveforms),))
    result = np.array(waveforms)
    # Those with the same step have the same weights.
    for step in np.unique(steps[steps != 0]):
        same = steps == step
        result[same] = _resample(waveforms[same], 2.0 ** (step / 12))
    return result


def vary_pitch(
    waveforms: np.ndarray,
    draws: Draws,
    *,
    semitones: Sequence[float] = (-2, -1, 0, 1, 2),
) -> np.ndarray:
    """Change the pitch of each waveform by one of some steps, at random.

    Args:
        waveforms: Shape `(waveforms, samples)`, float.
        draws: Draws of their rows.
        semitones: The steps, each as likely; few, since all waveforms of a
            step are computed together. See `shift_pitch`.

    Returns:
        Shape and dtype of `waveforms`.

    Raises:
        ValueError: If `waveforms` are none, or there are no steps.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data import augment
        >>> augment.waveforms.vary_pitch(
        ...     np.zeros((2, 800)), augment.Draws(0, 0, 2)).shape
        (2, 800)
    """
    _check(waveforms, draws)
    if not len(semitones):
        raise ValueError(
            message("`semitones` must have a step.", semitones=semitones)
        )
    picks = draws.integers("pitch", 0, len(semitones))
    return shift_pitch(waveforms, np.asarray(semitones)[picks])


def gain(
    waveforms: np.ndarray, draws: Draws, *, decibels: float = 6.0
) -> np.ndarray:
    """Make each waveform louder or less loud.

    Args:
        waveforms: Shape `(waveforms, samples)`, float.
        draws: Draws of their rows.
        decibels: Largest gain, and its negative the least. Nothing is
            clipped: above 0 decibels, values may leave [-1, 1].

    Returns:
        Shape and dtype of `waveforms`.

    Raises:
        ValueError: If `waveforms` are none, or `decibels` is negative.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data import augment
        >>> y = augment.waveforms.gain(
        ...     np.ones((2, 4)), augment.Draws(0, 0, 2), decibels=20)
        >>> bool((y >= 0.1).all() and (y <= 10).all())
        True
    """
    _check(waveforms, draws)
    check_range(0, np.inf, decibels=decibels)
    drawn = draws.uniform("gain", -decibels, decibels, (1,))
    return waveforms * (10.0 ** (drawn / 20)).astype(waveforms.dtype)


def shift(waveforms: np.ndarray, draws: Draws, *, samples: int) -> np.ndarray:
    """Move each waveform in time; silence comes in.

    Args:
        waveforms: Shape `(waveforms, samples)`, float.
        draws: Draws of their rows.
        samples: Most samples in either direction.

    Returns:
        Shape and dtype of `waveforms`.

    Raises:
        ValueError: If `waveforms` are none, or `samples` is no integer from 0
            to their length.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data import augment
        >>> y = augment.waveforms.shift(
        ...     np.ones((2, 800)), augment.Draws(0, 0, 2), samples=80)
        >>> bool((y.sum(axis=1) >= 720).all())
        True
    """
    _check(waveforms, draws)
    check_integer(0, samples=samples)
    length = waveforms.shape[1]
    if samples > length:
        raise ValueError(
            message(
                "`samples` must not be above the length of the waveforms.",
                samples=samples,
                length=length,
            )
        )
    padded = np.pad(waveforms, ((0, 0), (samples, samples)))
    starts = samples - draws.integers("shift", -samples, samples + 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, length, axis=1)
    return windows[np.arange(len(waveforms)), starts]


def _resample(waveforms: np.ndarray, speed: float) -> np.ndarray:
    """Waveforms played at some speed, at their length."""
    length = waveforms.shape[1]
    # Frequencies above this part of the highest would fold back.
    bandwidth = min(1.0, 1.0 / speed)
    reach = int(np.ceil(_REACH / bandwidth))
    places = np.arange(min(length, int(np.ceil(length / speed)))) * speed
    before = np.floor(places).astype("intp")
    offsets = (places - before).astype("float32")
    padded = np.pad(waveforms, ((0, 0), (reach, reach + 1)))
    result = np.zeros_like(waveforms)
    for step in range(1 - reach, reach + 1):
        distances = offsets - np.float32(step)
        weights = bandwidth * np.sinc(bandwidth * distances)
        weights *= 0.5 + 0.5 * np.cos(np.pi * distances / reach)
        result[:, : len(places)] += weights.astype(
            waveforms.dtype
        ) * padded.take(before + reach + step, axis=1)
    return result


def _check(waveforms: np.ndarray, draws: Draws) -> None:
    check_float("`waveforms`", waveforms, ("waveforms", "samples"))
    check_rows(waveforms, draws)
