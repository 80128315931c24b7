"""Waveforms to log-mel spectrograms."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_imp._errors import check_choice, check_positive, message
from keras_imp.layers._runtime.layer import Layer
from keras_imp.typing import Tensor

_LOG_OFFSET = 1e-6
# Upper edge in Hz where the sampling rate allows it.
_MAX_FREQUENCY = 7600.0
# What int16 samples are divided by: the range of their type.
_INT16_RANGE = 32768.0
# The first implementation built its filters for 48 kHz and then fed 16 kHz.
_IMP_RATE_FACTOR = 3


@keras.saving.register_keras_serializable(package="keras_imp")
class LogMel(Layer):
    """Turns waveforms into log-mel spectrograms, always in float32.

    The magnitude (not its square) of a Hann-windowed short-time Fourier
    transform, summed into triangular bands on the HTK mel scale, then
    `(ln(mel + 1e-6) - mean) / std`. Silence is appended so that each started
    step gives a frame: `frames = ceil(samples / frame_step)`.

    An encoder has one of its own, which turns waveforms that are given as
    `audio` into spectrograms: argument `log_mel` of `IMPEncoder`.

    Args:
        sampling_rate: Samples per second of the waveforms.
        frame_length: Samples per frame, and the length of the transform.
        frame_step: Samples from one frame to the next.
        num_mel_bins: Number of bands.
        min_frequency: Lower edge of the lowest band in Hz.
        max_frequency: Upper edge of the highest band in Hz. Defaults to 7600,
            or half the sampling rate where that is less.
        variant: `"fixed"` builds the bands for `sampling_rate`. `"imp"`
            builds them for three times the rate, as the first implementation
            trained: every band then covers a third of its nominal frequency.
        mean: What is subtracted from the logarithms, which reach from -13.8
            in silence to about 4. Defaults to 0.
        std: What they are divided by then. Defaults to 1.
        **kwargs: Arguments of `keras.layers.Layer`; `dtype` stays float32,
            since half precision cannot hold the range of magnitudes.

    Call arguments:
        waveform: `(batch, samples)`, int16, or float in [-1, 1], at least one
            sample.

    Returns:
        `(batch, frames, num_mel_bins)` float32.

    Raises:
        TypeError: If the waveform is of other integers.
        ValueError: If an argument is out of range, or the waveform is empty or
            not of rank 2.

    Example:
        >>> import numpy as np
        >>> from keras_imp.layers.log_mel import LogMel
        >>> layer = LogMel(frame_length=1024, frame_step=256, num_mel_bins=64)
        >>> tuple(layer(np.zeros((2, 16384), "float32")).shape)
        (2, 64, 64)

    Reference:
        [Integrated Multimodal Perception](https://arxiv.org/abs/2305.06324),
        appendix on inputs.
    """

    def __init__(
        self,
        sampling_rate: int = 16_000,
        frame_length: int = 2048,
        frame_step: int = 1024,
        num_mel_bins: int = 128,
        min_frequency: float = 80.0,
        max_frequency: float | None = None,
        variant: str = "fixed",
        mean: float = 0.0,
        std: float = 1.0,
        **kwargs: Any,
    ) -> None:
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        check_positive(
            sampling_rate=sampling_rate,
            frame_length=frame_length,
            frame_step=frame_step,
            num_mel_bins=num_mel_bins,
            std=std,
        )
        check_choice(("fixed", "imp"), variant=variant)
        if max_frequency is None:
            max_frequency = min(_MAX_FREQUENCY, sampling_rate / 2)
        if not 0 <= min_frequency < max_frequency <= sampling_rate / 2:
            raise ValueError(
                message(
                    "The bands must lie between 0 and half the sampling rate.",
                    "Choose 0 <= min_frequency < max_frequency <= "
                    "sampling_rate / 2.",
                    min_frequency=min_frequency,
                    max_frequency=max_frequency,
                    sampling_rate=sampling_rate,
                )
            )
        self.sampling_rate = sampling_rate
        self.frame_length = frame_length
        self.frame_step = frame_step
        self.num_mel_bins = num_mel_bins
        self.min_frequency = min_frequency
        self.max_frequency = max_frequency
        self.variant = variant
        self.mean = mean
        self.std = std
        factor = _IMP_RATE_FACTOR if variant == "imp" else 1
        self._mel_weights = mel_weights(
            sampling_rate=sampling_rate * factor,
            frame_length=frame_length,
            num_mel_bins=num_mel_bins,
            min_frequency=min_frequency,
            max_frequency=max_frequency,
        )

    def call(self, waveform: Tensor) -> Tensor:
        # The check stands here too: an eager call computes no output shape.
        self._check_shape(waveform.shape)
        waveform = _in_unit_range(waveform)
        # A constant amount of silence gives ceil(samples / step) frames for
        # every length, so a length unknown to the graph works too.
        padded = ops.pad(waveform, [[0, 0], [0, self.frame_length - 1]])
        magnitude = self._magnitude(padded)
        weights = ops.convert_to_tensor(self._mel_weights, dtype="float32")
        # (batch, frames, mel bins)
        logarithms = ops.log(ops.matmul(magnitude, weights) + _LOG_OFFSET)
        return (logarithms - self.mean) / self.std

    def _magnitude(self, padded: Tensor) -> Tensor:
        """Of the Fourier transform of each frame, (batch, frames, bins)."""
        real, imaginary = ops.stft(
            padded,
            sequence_length=self.frame_length,
            sequence_stride=self.frame_step,
            fft_length=self.frame_length,
            window="hann",
            center=False,
        )
        return ops.sqrt(ops.square(real) + ops.square(imaginary))

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        self._check_shape(input_shape)
        batch, samples = input_shape
        frames = None if samples is None else -(-samples // self.frame_step)
        return (batch, frames, self.num_mel_bins)

    def _check_shape(self, shape: tuple[int | None, ...]) -> None:
        if len(shape) != 2:
            raise ValueError(
                message(
                    "A waveform must have the shape (batch, samples).",
                    "Average the channels, or add the batch axis.",
                    shape=tuple(shape),
                )
            )
        # Not `0 in shape`: a symbol of JAX does not compare.
        if any(isinstance(size, int) and size == 0 for size in shape):
            raise ValueError(
                message(
                    "A batch of waveforms must have at least one example and "
                    "one sample.",
                    "Leave empty recordings out.",
                    shape=tuple(shape),
                )
            )


def _in_unit_range(waveform: Tensor) -> Tensor:
    """Samples in float32: of integers, int16 alone says its range."""
    dtype = keras.backend.standardize_dtype(waveform.dtype)
    if dtype == "int16":
        return ops.cast(waveform, "float32") / _INT16_RANGE
    if "float" not in dtype:
        raise TypeError(
            message(
                "A waveform must be int16, or float in [-1, 1].",
                "Divide other integers by the range of their type: int32 by "
                "2147483648.",
                dtype=dtype,
            )
        )
    return ops.cast(waveform, "float32")


def mel_weights(
    sampling_rate: float,
    frame_length: int,
    num_mel_bins: int,
    min_frequency: float,
    max_frequency: float,
) -> np.ndarray:
    """Build the matrix that sums Fourier bins into mel bands.

    The bands are triangles of height 1 on the HTK mel scale
    `1127 * ln(1 + f / 700)`; the bin of frequency 0 belongs to none.

    Args:
        sampling_rate: Samples per second for which the bins are read.
        frame_length: Length of the Fourier transform.
        num_mel_bins: Number of bands.
        min_frequency: Lower edge of the lowest band in Hz.
        max_frequency: Upper edge of the highest band in Hz.

    Returns:
        `(frame_length // 2 + 1, num_mel_bins)` float32.

    Example:
        >>> from keras_imp.layers.log_mel import mel_weights
        >>> weights = mel_weights(16_000, 2048, 128, 80.0, 7600.0)
        >>> weights.shape, int(weights.any(axis=1).sum())
        ((1025, 128), 962)
    """
    num_bins = frame_length // 2 + 1
    bin_width = sampling_rate / frame_length
    mel = _hertz_to_mel(np.arange(num_bins) * bin_width)[:, None]
    edges = np.linspace(
        _hertz_to_mel(min_frequency),
        _hertz_to_mel(max_frequency),
        num_mel_bins + 2,
    )
    lower, center, upper = edges[:-2], edges[1:-1], edges[2:]
    rising = (mel - lower) / (center - lower)
    falling = (upper - mel) / (upper - center)
    weights = np.maximum(0.0, np.minimum(rising, falling))
    weights[0] = 0.0
    return weights.astype("float32")


def _hertz_to_mel(frequency: Any) -> Any:
    return 1127.0 * np.log(1.0 + np.asarray(frequency) / 700.0)
