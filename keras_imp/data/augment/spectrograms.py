"""Augmentations of spectrograms, float, shape `(spectrograms, frames, bins)`.

Values are logarithmic, such as those of `LogMel`: to add a number to all of
them changes the loudness.
"""

import numpy as np

from keras_imp._errors import check_integer, message
from keras_imp.data.augment._checks import (
    check_float,
    check_range,
    check_rows,
)
from keras_imp.data.augment.draws import Draws

__all__ = ["equalize", "gain", "mask_bands", "shift", "tilt"]

# Sine waves over the bins that a random curve is made of.
_WAVES = 4


def shift(
    spectrograms: np.ndarray,
    draws: Draws,
    *,
    frames: int = 0,
    bins: int = 0,
    fill: float | str = "edge",
) -> np.ndarray:
    """Move each spectrogram along time and pitch by whole steps.

    Args:
        spectrograms: Shape `(spectrograms, frames, bins)`.
        draws: Draws of their rows.
        frames: Most frames in either direction.
        bins: Most bins in either direction.
        fill: What comes in: a number, or `"edge"` for the first or the last
            frame or bin.

    Returns:
        Shape and dtype of `spectrograms`.

    Raises:
        ValueError: If `spectrograms` are none, or an argument is out of its
            range.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data import augment
        >>> x = np.zeros((2, 64, 64), "float32")
        >>> augment.spectrograms.shift(
        ...     x, augment.Draws(0, 0, 2), frames=4, bins=2).shape
        (2, 64, 64)
    """
    _check(spectrograms, draws)
    check_integer(0, frames=frames, bins=bins)
    _, num_frames, num_bins = spectrograms.shape
    moves = draws.integers("frames", -frames, frames + 1)
    row = np.arange(num_frames) - moves[:, None]
    moves = draws.integers("bins", -bins, bins + 1)
    column = np.arange(num_bins) - moves[:, None]
    example = np.arange(len(spectrograms))[:, None, None]
    moved = spectrograms[
        example,
        np.clip(row, 0, num_frames - 1)[:, :, None],
        np.clip(column, 0, num_bins - 1)[:, None, :],
    ]
    if fill != "edge":
        _check_fill(fill, "edge")
        outside = _outside(row, num_frames)[:, :, None]
        outside = outside | _outside(column, num_bins)[:, None, :]
        moved[outside] = fill
    return moved


def gain(
    spectrograms: np.ndarray, draws: Draws, *, strength: float = 0.1
) -> np.ndarray:
    """Add a random number to each spectrogram: louder, or less loud.

    Args:
        spectrograms: Shape `(spectrograms, frames, bins)`.
        draws: Draws of their rows.
        strength: Largest number, and its negative the least, on the scale of
            the spectrograms. For natural logarithms of amplitudes that were
            divided by 9, 0.1 are 8 decibels.

    Returns:
        Shape and dtype of `spectrograms`.

    Raises:
        ValueError: If `spectrograms` are none, or `strength` is negative.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data import augment
        >>> x = np.zeros((2, 64, 64), "float32")
        >>> y = augment.spectrograms.gain(x, augment.Draws(0, 0, 2))
        >>> y.shape, bool(np.ptp(y[0]) == 0)
        ((2, 64, 64), True)
    """
    _check(spectrograms, draws)
    check_range(0, np.inf, strength=strength)
    added = draws.uniform("gain", -strength, strength, (1, 1))
    return spectrograms + added.astype(spectrograms.dtype)


def tilt(
    spectrograms: np.ndarray, draws: Draws, *, strength: float = 0.1
) -> np.ndarray:
    """Make high pitches louder and low ones less loud, or the reverse.

    A straight line over the bins is added, from -t at the first to t at the
    last, with a random t: another microphone, room or loudspeaker.

    Args:
        spectrograms: Shape `(spectrograms, frames, bins)`.
        draws: Draws of their rows.
        strength: Largest t, and its negative the least, on the scale of the
            spectrograms.

    Returns:
        Shape and dtype of `spectrograms`.

    Raises:
        ValueError: If `spectrograms` are none, or `strength` is negative.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data import augment
        >>> x = np.zeros((2, 64, 65), "float32")
        >>> y = augment.spectrograms.tilt(x, augment.Draws(0, 0, 2))
        >>> bool((y[:, 0, 0] == -y[:, 0, 64]).all()), float(y[0, 0, 32])
        (True, 0.0)
    """
    _check(spectrograms, draws)
    check_range(0, np.inf, strength=strength)
    line = np.linspace(-1, 1, spectrograms.shape[2], dtype="float32")
    added = draws.uniform("tilt", -strength, strength, (1, 1)) * line
    return spectrograms + added.astype(spectrograms.dtype)


def equalize(
    spectrograms: np.ndarray, draws: Draws, *, strength: float = 0.2
) -> np.ndarray:
    """Make some pitches louder and others less loud, by a smooth random curve.

    The curve is a sum of four sine waves over the bins, of half a period to two
    periods, with random phases: another microphone, room or instrument. The
    amplitude of the k-th one is at most `strength / k`, so that near pitches
    change alike.

    Args:
        spectrograms: Shape `(spectrograms, frames, bins)`.
        draws: Draws of their rows.
        strength: Largest amplitude of the first wave, on the scale of the
            spectrograms.

    Returns:
        Shape and dtype of `spectrograms`.

    Raises:
        ValueError: If `spectrograms` are none, or `strength` is negative.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data import augment
        >>> x = np.zeros((2, 64, 64), "float32")
        >>> y = augment.spectrograms.equalize(x, augment.Draws(0, 0, 2))
        >>> bool((y[:, 0] == y[:, 63]).all()), bool(np.ptp(y[0, 0]) > 0)
        (True, True)
    """
    _check(spectrograms, draws)
    check_range(0, np.inf, strength=strength)
    waves = np.arange(1, _WAVES + 1)[:, None]
    bins = np.linspace(0, np.pi, spectrograms.shape[2])
    heights = draws.uniform("heights", -strength, strength, (_WAVES, 1))
    phases = draws.uniform("phases", 0, 2 * np.pi, (_WAVES, 1))
    curve = (heights / waves * np.sin(waves * bins + phases)).sum(axis=1)
    return spectrograms + curve[:, None].astype(spectrograms.dtype)


def mask_bands(
    spectrograms: np.ndarray,
    draws: Draws,
    *,
    frames: int = 0,
    bins: int = 0,
    count: int = 1,
    fill: float | str = "mean",
) -> np.ndarray:
    """Mask bands of frames and of bins, as SpecAugment does.

    The width of a band is uniform from 0 to the largest, then its place is
    uniform over all where it fits.

    Args:
        spectrograms: Shape `(spectrograms, frames, bins)`.
        draws: Draws of their rows.
        frames: Most frames of a band; 0 for none.
        bins: Most bins of a band; 0 for none.
        count: Number of bands along each of the two axes. They may overlap.
        fill: Value of what is masked: a number, or `"mean"` for the mean of
            each spectrogram.

    Returns:
        A copy, with the shape and dtype of `spectrograms`.

    Raises:
        ValueError: If `spectrograms` are none, a band may be wider than they
            are, or an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data import augment
        >>> x = np.ones((2, 64, 64), "float32")
        >>> y = augment.spectrograms.mask_bands(
        ...     x, augment.Draws(0, 0, 2), frames=12, bins=10, fill=0.0)
        >>> bool((y == 0).any()), bool((y == 0).mean() < 0.35)
        (True, True)

    Reference:
        [Park et al., 2019](https://arxiv.org/abs/1904.08779), section 2.
    """
    _check(spectrograms, draws)
    check_integer(0, frames=frames, bins=bins)
    check_integer(1, count=count)
    _check_fill(fill, "mean")
    _, num_frames, num_bins = spectrograms.shape
    if frames > num_frames or bins > num_bins:
        raise ValueError(
            message(
                "A band must not be wider than the spectrograms.",
                frames=frames,
                bins=bins,
                shape=spectrograms.shape,
            )
        )
    masked = _bands(draws, "frames", num_frames, frames, count)[:, :, None]
    masked = masked | _bands(draws, "bins", num_bins, bins, count)[:, None, :]
    value: np.ndarray | float = (
        spectrograms.mean(axis=(1, 2), keepdims=True)
        if fill == "mean"
        else float(fill)
    )
    return np.where(masked, value, spectrograms).astype(
        spectrograms.dtype, copy=False
    )


def _bands(
    draws: Draws, name: str, length: int, widest: int, count: int
) -> np.ndarray:
    """True inside of a band, shape `(rows, length)`."""
    widths = draws.integers(f"width of {name}", 0, widest + 1, (count,))
    starts = draws.integers(
        f"start of {name}", 0, length - widths + 1, (count,)
    )
    place = np.arange(length)[:, None]
    starts, widths = starts[:, None], widths[:, None]  # rows length count
    return ((place >= starts) & (place < starts + widths)).any(axis=2)


def _outside(places: np.ndarray, length: int) -> np.ndarray:
    return (places < 0) | (places >= length)


def _check(spectrograms: np.ndarray, draws: Draws) -> None:
    axes = ("spectrograms", "frames", "bins")
    check_float("`spectrograms`", spectrograms, axes)
    check_rows(spectrograms, draws)


def _check_fill(fill: float | str, word: str) -> None:
    is_number = isinstance(fill, int | float) and not isinstance(fill, bool)
    if fill != word and not is_number:
        raise ValueError(
            message(f"`fill` must be a number or {word!r}.", fill=fill)
        )
