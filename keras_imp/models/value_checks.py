"""Checks on the host that values are on the scale that an encoder expects.

An image in 0..255, a waveform of int16 samples or a spectrogram in decibels
would train to nothing without an error: attention saturates, or all tokens look
alike. The bounds here are wide. They let through what is normalized by a mean
and a standard deviation, and refuse what was not scaled at all.
"""

import math
from typing import Any

import numpy as np

from keras_imp._errors import message
from keras_imp.layers._runtime.host_values import dtype_of

# Normalized pixels reach 2.6 (ImageNet) and seldom 10; 0..255 is far above.
MAX_PIXEL = 10.0
# A waveform of unit variance has peaks of 10 to 50; int16 samples thousands.
MAX_SAMPLE = 100.0
# Samples for a log-mel: resampling and mixing may overshoot 1, by less.
MAX_LEVEL = 2.0
# Natural logarithms of power reach from -23 (of 1e-10) to 20; decibels to -80.
MAX_LOG_MEL = 30.0
# About so many values of a large float array are looked at.
SAMPLE = 1 << 16


def check_pixels(values: np.ndarray) -> None:
    """Raise unless images or videos are uint8, or float in about [-1, 1].

    Args:
        values: Pixels of any shape with a batch axis.

    Raises:
        ValueError: If the dtype or the range is another.

    Example:
        >>> import numpy as np
        >>> from keras_imp.models.value_checks import check_pixels
        >>> check_pixels(np.full((2, 8, 8, 3), 255, "uint8"))
    """
    _check(
        values,
        rule="Pixels must be uint8, or float in [-1, 1].",
        limit=MAX_PIXEL,
        hint=_scale_pixels,
    )


def check_waveform(values: np.ndarray) -> None:
    """Raise unless waveforms are float in about [-1, 1], or uint8.

    Args:
        values: Samples of any shape with a batch axis.

    Raises:
        ValueError: If the dtype or the range is another.

    Example:
        >>> import numpy as np
        >>> from keras_imp.models.value_checks import check_waveform
        >>> check_waveform(np.zeros((2, 1024)))
    """
    _check(
        values,
        rule="A waveform must be float in [-1, 1].",
        limit=MAX_SAMPLE,
        hint=_scale_samples,
    )


def check_samples(values: np.ndarray) -> None:
    """Raise unless the samples of audio are int16, or float in [-1, 1].

    All values of an array of floats are looked at: one that is not finite
    would make its whole frame so, and go unseen in a prediction. The bound is
    close, since the logarithm of a spectrogram tells how loud it is.

    Args:
        values: Samples, shape `(batch, samples)`.

    Raises:
        ValueError: If the dtype or the range is another, or a value is not
            finite.

    Example:
        >>> import numpy as np
        >>> from keras_imp.models.value_checks import check_samples
        >>> check_samples(np.zeros((2, 1024), "int16"))
    """
    dtype = dtype_of(values)
    if dtype == "int16" or not values.size:
        return
    rule = "Samples of audio must be int16, or float in [-1, 1]."
    if "float" not in dtype:
        raise ValueError(
            message(rule, _scale_audio(dtype, values), dtype=dtype)
        )
    low, high = _range(values)
    if not np.isfinite(low) or not np.isfinite(high):
        finite = np.isfinite(values.astype("float32")).all(axis=1)
        raise ValueError(
            message(
                "Samples of audio must be finite.",
                "Leave the recording out: a division of silence by its largest "
                "value makes such samples.",
                row=int(np.argmin(finite)),
                dtype=dtype,
            )
        )
    if max(-low, high) > MAX_LEVEL:
        raise ValueError(
            message(
                rule,
                "Divide samples of 16 bits by 32768: x / 32768."
                if max(-low, high) > MAX_SAMPLE
                else "Divide by the full range of the recording, not by a "
                "standard deviation.",
                dtype=dtype,
                min=low,
                max=high,
            )
        )


def check_spectrogram(values: np.ndarray) -> None:
    """Raise unless spectrograms are float and logarithmic, or uint8.

    Args:
        values: Mel bins of any shape with a batch axis.

    Raises:
        ValueError: If the dtype or the range is another.

    Example:
        >>> import numpy as np
        >>> from keras_imp.models.value_checks import check_spectrogram
        >>> check_spectrogram(np.full((2, 16, 16), -13.8))
    """
    _check(
        values,
        rule="A spectrogram must be float, a log-mel in about [-1, 1].",
        limit=MAX_LOG_MEL,
        hint=_scale_spectrogram,
    )


def some_rows(values: Any) -> Any:
    """Rows of every example, about `SAMPLE` values: all would cost time.

    Args:
        values: An array or a tensor, with the batch axis and one more.

    Returns:
        Every n-th row of the second axis.

    Example:
        >>> import numpy as np
        >>> from keras_imp.models.value_checks import some_rows
        >>> some_rows(np.zeros((8, 256, 256, 3))).shape
        (8, 11, 256, 3)
    """
    size, length = math.prod(values.shape), values.shape[1]
    step = max(1, min(-(-size // SAMPLE), length))
    return values[:, step // 2 :: step]


def _check(values: np.ndarray, rule: str, limit: float, hint: Any) -> None:
    dtype = dtype_of(values)
    is_float = "float" in dtype
    if dtype == "uint8" or (is_float and not values.size):
        return
    if not is_float and "int" not in dtype:
        raise ValueError(message(rule, 'Use x.astype("float32").', dtype=dtype))
    low, high = _range(some_rows(values)) if values.size else (0, 0)
    # What is not finite passes: the step that meets it says so.
    if not is_float or limit < max(-low, high) < np.inf:
        raise ValueError(
            message(
                rule, hint(dtype, low, high), dtype=dtype, min=low, max=high
            )
        )


def _scale_pixels(dtype: str, low: float, high: float) -> str:
    if low >= 0 and high <= 255:
        if "float" not in dtype:
            return 'Cast them: x.astype("uint8").'
        return 'Scale them: x / 127.5 - 1; or cast them: x.astype("uint8").'
    if low >= 0 and high <= 65535:
        return "Scale 16 bits by x / 32767.5 - 1."
    return "Scale them: 2 * (x - min) / (max - min) - 1."


def _scale_samples(dtype: str, low: float, high: float) -> str:
    if "float" in dtype:
        return "Divide samples of 16 bits by 32768: x / 32768."
    info = np.iinfo(dtype)
    if info.min == 0:
        half = 2 ** (info.bits - 1)
        return f"Scale it by the range of its type: x / {half} - 1."
    return f"Divide it by the range of its type: x / {-info.min}."


def _scale_audio(dtype: str, values: np.ndarray) -> str:
    """What to do with samples that are neither int16 nor float."""
    if "int" not in dtype:
        return 'Use x.astype("float32").'
    info, (low, high) = np.iinfo(dtype), _range(values)
    if info.bits > 16 and low >= -32768 and high <= 32767:
        return 'Cast samples of 16 bits: x.astype("int16").'
    return _scale_samples(dtype, low, high)


def _scale_spectrogram(dtype: str, low: float, high: float) -> str:
    return (
        "Make it with keras_imp.data.LogMel, and shift and scale it: "
        "(x + 5) / 9; decibels: (x + 40) / 40."
    )


def _range(values: np.ndarray) -> tuple[Any, Any]:
    # What the methods `min` and `max` call, a little later.
    low = np.minimum.reduce(values, axis=None)
    return low.item(), np.maximum.reduce(values, axis=None).item()
