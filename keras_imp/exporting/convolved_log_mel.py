"""A spectrogram without a Fourier transform, for runtimes that have none."""

import numpy as np
from keras import ops

from keras_imp.layers.log_mel import LogMel
from keras_imp.typing import Tensor


class ConvolvedLogMel(LogMel):
    """`LogMel` by one convolution whose kernel is the Fourier matrix.

    Bins that belong to no band are left out.

    Args:
        **kwargs: Arguments of `LogMel`.

    Call arguments:
        waveform: As for `LogMel`.

    Returns:
        What `LogMel` returns, up to rounding.

    Example:
        >>> import numpy as np, keras_imp
        >>> from keras_imp.exporting.convolved_log_mel import ConvolvedLogMel
        >>> noise = np.random.default_rng(0).normal(size=(2, 4096)) / 4
        >>> found, expected = (
        ...     np.asarray(cls()(noise.astype("float32")))
        ...     for cls in (ConvolvedLogMel, keras_imp.data.LogMel))
        >>> bool(abs(found - expected).max() < 1e-3)
        True
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        used = self._mel_weights.any(axis=1)
        self._mel_weights = self._mel_weights[used]
        places = np.arange(self.frame_length)
        window = 0.5 - 0.5 * np.cos(2 * np.pi * places / self.frame_length)
        turns = np.outer(places, np.flatnonzero(used)) / self.frame_length
        parts = np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)
        kernel = window[:, None] * np.concatenate(parts, axis=1)
        self._kernel = kernel[:, None].astype("float32")

    def _magnitude(self, padded: Tensor) -> Tensor:
        kernel = ops.convert_to_tensor(self._kernel)
        waves = ops.conv(
            ops.expand_dims(padded, -1), kernel, strides=self.frame_step
        )
        real, imaginary = ops.split(waves, 2, axis=-1)
        return ops.sqrt(ops.square(real) + ops.square(imaginary))
