"""Audio in a few bytes, to find copies that differ a little.

A copy that is louder, compressed anew, or cut a little at its ends has other
samples. Its spectrum is nearly the same, and so is the course of its level,
some hundredths of a second earlier or later.
"""

from collections.abc import Iterator

import numpy as np

from keras_imp.validation.sketches import Near, Sketches

# Samples per second that `audio_sketch_of` takes.
RATE = 16_000
# Bands of the spectrum, evenly spaced by pitch, and the length of its frames.
_BANDS, _LOWEST, _HIGHEST, _FRAME = 64, 60.0, 7900.0, 1024
# Levels, one each 10 ms, each of 40 ms: the first 2.6 seconds.
_LEVELS, _HOP, _WINDOW = 256, 160, 640
# Decibels below the loudest at which a band and a level end, and steps of them.
_DEEPEST_BAND, _DEEPEST_LEVEL = 60.0, 35.0
_STEPS = 4.0
# Levels by which copies may be shifted: 120 ms.
_SHIFT = 12
# Root mean square differences of a copy in decibels, of bands and of levels. Of
# 2,671 spoken prompts and 875 notes, some ten pairs that are no copies come as
# near: "L" and "M" of one speaker, a note with another amount of reverb.
_NEAR_BANDS, _NEAR_LEVELS = 3.0, 1.5
# Fewer levels that are heard say nothing.
_LEAST = 4
_BLOCK = 1024
_SECONDS = 30


def audio_sketch_of(samples: np.ndarray) -> str:
    """The sketch of audio.

    Args:
        samples: float32, shape `(samples,)`, 16,000 per second. The first 30
            seconds count.

    Returns:
        Hexadecimal digits of its spectrum and of the course of its level; `""`
        of what is silent or shorter than 40 ms.

    Example:
        >>> import numpy as np
        >>> from keras_imp.validation.audio_sketches import audio_sketch_of
        >>> len(audio_sketch_of(np.sin(np.arange(16_000, dtype="float32"))))
        640
        >>> audio_sketch_of(np.zeros(16_000, "float32"))
        ''
    """
    samples = samples[: _SECONDS * RATE].astype("float64")
    if len(samples) < _WINDOW or not samples.any():
        return ""
    parts = (
        _decibels(_bands(samples), _DEEPEST_BAND),
        _decibels(_levels(samples), _DEEPEST_LEVEL),
    )
    values = np.round(np.concatenate(parts) * _STEPS)
    return values.astype("uint8").tobytes().hex()


def _bands(samples: np.ndarray) -> np.ndarray:
    """Power in each band, of all frames together."""
    samples = np.pad(samples, (0, max(0, _FRAME - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(samples, _FRAME)
    spectra = np.fft.rfft(frames[:: _FRAME // 2] * np.hanning(_FRAME), axis=1)
    power = np.square(np.abs(spectra)).sum(axis=0)
    # Low bands are narrower than a frequency of the frames.
    below = np.concatenate([[0.0], np.cumsum(power)])
    edges = np.geomspace(_LOWEST, _HIGHEST, _BANDS + 1) * _FRAME / RATE
    return np.diff(np.interp(edges, np.arange(len(below)), below))


def _levels(samples: np.ndarray) -> np.ndarray:
    """Power in overlapping windows; 0 after the end."""
    sums = np.concatenate([[0.0], np.cumsum(np.square(samples))])
    starts = np.arange(0, len(samples) - _WINDOW + 1, _HOP)[:_LEVELS]
    levels = np.zeros(_LEVELS)
    levels[: len(starts)] = sums[starts + _WINDOW] - sums[starts]
    return levels


def _decibels(power: np.ndarray, deepest: float) -> np.ndarray:
    """Decibels above what is `deepest` below the loudest."""
    least = 10 ** (-deepest / 10)
    loudest = max(power.max(), np.finfo("float64").tiny)
    return 10 * np.log10(np.maximum(power / loudest, least)) + deepest


class AudioSketches(Sketches):
    """The sketches of a column of audio.

    Example:
        >>> import numpy as np
        >>> from keras_imp.validation.audio_sketches import (
        ...     AudioSketches, audio_sketch_of)
        >>> samples = np.sin(np.arange(16_000) ** 1.2).astype("float32")
        >>> sketches = AudioSketches()
        >>> for row, part in enumerate((samples, samples[:-800] / 2)):
        ...     sketches.add(row, audio_sketch_of(part))
        >>> [pair[:2] for pair in sketches.near(np.array([0, 1]))]
        [(1, 0)]
    """

    unit = "dB"

    def near(self, part: np.ndarray) -> Iterator[Near]:
        rows = np.asarray(self._rows)
        part = part[rows]
        if len(set(part)) < 2:
            return
        kept = np.frombuffer(bytes(self._bytes), "uint8")
        kept = kept.reshape(len(rows), -1)
        bands, levels = kept[:, :_BANDS], kept[:, _BANDS:]
        for number in np.unique(part)[1:]:
            later = np.flatnonzero(part == number)
            earlier = np.flatnonzero(part < number)
            for one, other in _like(bands, later, earlier):
                difference = _distance(levels[one], levels[other])
                if difference <= _NEAR_LEVELS:
                    yield Near(int(rows[one]), int(rows[other]), difference)


def _like(
    bands: np.ndarray, some: np.ndarray, others: np.ndarray
) -> Iterator[tuple[int, int]]:
    """Pairs with nearly the same spectrum, one of each side."""
    most = (_NEAR_BANDS * _STEPS) ** 2 * bands.shape[1]
    for start in range(0, len(some), _BLOCK):
        left = bands[some[start : start + _BLOCK]].astype("float32")
        squares = np.square(left).sum(axis=1)
        for first in range(0, len(others), _BLOCK):
            right = bands[others[first : first + _BLOCK]].astype("float32")
            distance = squares[:, None] + np.square(right).sum(axis=1)
            distance -= 2 * left @ right.T
            for i, j in np.argwhere(distance <= most):
                yield some[start + i], others[first + j]


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    """Difference of levels in decibels, at the shift where it is least."""
    one, other = one.astype("float32"), other.astype("float32")
    least = np.inf
    for shift in range(-_SHIFT, _SHIFT + 1):
        end = _LEVELS - abs(shift)
        a, b = one[max(shift, 0) :][:end], other[max(-shift, 0) :][:end]
        heard = (a > 0) | (b > 0)
        if heard.sum() >= _LEAST:
            apart = a[heard] - b[heard]
            # The loudest level may be one that was cut off.
            apart -= np.median(apart)
            least = min(least, float(np.sqrt(np.square(apart).mean())))
    return least / _STEPS
