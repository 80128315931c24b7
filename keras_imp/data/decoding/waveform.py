"""Decoded audio, block by block: mixed to one channel, checked, resampled."""

import numpy as np

from keras_imp._optional import require
from keras_imp.data.decoding.errors import BadFile

_RATES = (1_000, 768_000)
# 23 minutes at 48 kHz; 256 MiB as float32.
MAX_SAMPLES = 1 << 26
# The largest sample of 16 bits is 32767 / 32768.
_FULL_SCALE = 32766.5 / 32768
_CLIPPED_PART = 0.01
# What a converter without a microphone adds.
_NOISE = 3 / 32768


class Mono:
    """One channel, from blocks of several.

    Args:
        rate: Samples per second of the blocks.
        new_rate: Samples per second of the result.
        name: The file as it is shown.

    Raises:
        BadFile: If no recording has such a rate.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data.decoding.waveform import Mono
        >>> mono = Mono(8000, 16000, "a.wav")
        >>> mono.add(np.array([[0.5, 0.1], [0.5, 0.3]], "float32"))
        >>> mono.length, mono.notes
        (2, [])
    """

    def __init__(self, rate: int, new_rate: int, name: str):
        if not _RATES[0] <= rate <= _RATES[1]:
            raise BadFile("not_audio", name, f"It has {rate} samples/s.")
        self.rate = rate
        self.new_rate = new_rate
        self.length = 0
        self._name = name
        self._blocks: list[np.ndarray] = []
        self._peak = 0.0
        self._at_full_scale = 0
        self._num_values = 0

    def count_of(self, seconds: float) -> int:
        """Number of samples of some seconds, if they may be in memory.

        Args:
            seconds: Length of what will be added.

        Returns:
            Their number, at least 1.

        Raises:
            BadFile: With the reason `"too_large"`.
        """
        if seconds * max(self.rate, self.new_rate) > MAX_SAMPLES:
            raise BadFile(
                "too_large",
                self._name,
                f"{seconds:.0f} s are asked for, more than {MAX_SAMPLES} "
                "samples; choose `seconds`.",
            )
        return max(1, round(seconds * self.rate))

    def add(self, block: np.ndarray) -> None:
        """Mix the channels of a block, and check its samples.

        Args:
            block: float, shape `(samples, channels)`.

        Raises:
            BadFile: If a sample is NaN or infinite.
        """
        if not block.size:
            return
        top = max(block.max(), -block.min())
        if not np.isfinite(top) or not np.isfinite(block.min()):
            raise BadFile("not_finite", self._name)
        if top >= _FULL_SCALE:
            # A loud tone touches full scale once; cut off, it stays there.
            full = np.abs(block) >= _FULL_SCALE
            self._at_full_scale += int((full[1:] & full[:-1]).sum())
        self._num_values += block.size
        # By columns, this takes a fortieth of the time of `block.mean(1)`.
        mixed = block[:, 0].copy()
        for channel in range(1, block.shape[1]):
            mixed += block[:, channel]
        mixed *= 1 / block.shape[1]
        # Of two channels of opposite phase, nothing is left.
        self._peak = max(self._peak, float(mixed.max()), -float(mixed.min()))
        self._blocks.append(mixed)
        self.length += len(mixed)

    @property
    def notes(self) -> list[str]:
        """Warnings about the samples."""
        notes = []
        if self._peak <= _NOISE:
            notes.append("silent")
        if self._at_full_scale > _CLIPPED_PART * self._num_values:
            notes.append("clipped")
        return notes

    def resampled(self, seconds: float | None) -> np.ndarray:
        """The samples at the new rate.

        Args:
            seconds: Length of the result, cut or filled with silence; None for
                that of the samples.

        Returns:
            float32 in [-1, 1], shape `(samples,)`.
        """
        samples = np.concatenate(self._blocks)
        if seconds is None:
            seconds = self.length / self.rate
        if self.rate != self.new_rate:
            soxr = require("soxr", extra="data")
            samples = soxr.resample(samples, self.rate, self.new_rate)
        result = np.zeros(max(1, round(seconds * self.new_rate)), "float32")
        count = min(len(samples), len(result))
        np.clip(samples[:count], -1.0, 1.0, out=result[:count])
        return result
