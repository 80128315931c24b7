"""Waveforms in place of spectrograms: an encoder's own `LogMel`.

What waveforms become is known from their shape alone, so that tokens can be
counted, and lengths that do not fit refused, before anything is computed.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_imp._errors import message
from keras_imp.layers.log_mel import LogMel
from keras_imp.layers.patch_embedding import PatchEmbedding

ARGUMENTS = (
    "sampling_rate",
    "frame_length",
    "frame_step",
    "num_mel_bins",
    "min_frequency",
    "max_frequency",
    "variant",
    "mean",
    "std",
)
# The logarithms reach from -13.8 in silence to about 4: this is about [-1, 1].
DEFAULTS: dict[str, dict[str, Any]] = {
    "fixed": {"mean": -5.0, "std": 9.0},
    # The first implementation: as they are, of bands for 48 kHz.
    "imp": {"variant": "imp"},
}


def log_mel_arguments(
    given: LogMel | Mapping[str, Any] | None, variant: str
) -> dict[str, Any]:
    """All arguments of an encoder's `LogMel`, as plain data.

    Args:
        given: The layer, some of its arguments, or None.
        variant: The encoder's.

    Returns:
        Arguments by name.

    Raises:
        TypeError: If it is something else.
        ValueError: If an argument is unknown or out of range.

    Example:
        >>> from keras_imp.models.waveforms import log_mel_arguments
        >>> log_mel_arguments({"frame_step": 256}, "fixed")["frame_step"]
        256
    """
    if isinstance(given, LogMel):
        return {name: getattr(given, name) for name in ARGUMENTS}
    if not isinstance(given, Mapping | None):
        raise TypeError(
            message(
                "`log_mel` must be a dict of arguments of "
                "keras_imp.data.LogMel, or such a layer.",
                'Use log_mel={"sampling_rate": 16000}, for example.',
                type=type(given).__name__,
            )
        )
    unknown = [name for name in given or () if name not in ARGUMENTS]
    if unknown:
        raise ValueError(
            message(
                f"`log_mel` must have some of the arguments {ARGUMENTS} of "
                "keras_imp.data.LogMel.",
                unknown=unknown,
            )
        )
    layer = LogMel(**{**DEFAULTS[variant], **(given or {})})
    return {name: getattr(layer, name) for name in ARGUMENTS}


def samples_per_patch(log_mel: LogMel, tokens: PatchEmbedding) -> int:
    """Samples from one patch of a spectrogram to the next.

    Args:
        log_mel: Makes the spectrogram.
        tokens: Cuts it.

    Returns:
        The number: a waveform of some such lengths fills whole patches.
    """
    return log_mel.frame_step * tokens.patch_size[0]


def check_waveform_shape(
    log_mel: LogMel, tokens: PatchEmbedding, shape: tuple[Any, ...]
) -> None:
    """Raise unless waveforms make spectrograms of whole patches.

    Args:
        log_mel: Makes the spectrograms.
        tokens: Cuts them.
        shape: Shape of the waveforms; a length that is not known passes.

    Raises:
        ValueError: If they do not.
    """
    frames = log_mel.compute_output_shape(shape)[1]
    if tokens.padding == "same" or not isinstance(frames, int | np.integer):
        return
    bins = log_mel.num_mel_bins
    if bins % tokens.patch_size[1]:
        raise ValueError(
            message(
                "The mel bins of an encoder must be a multiple of its patch of "
                f"{tokens.patch_size[1]}, if it is given waveforms.",
                "Set `num_mel_bins` in its `log_mel`, or `audio_patch_size`.",
                num_mel_bins=bins,
            )
        )
    if frames % tokens.patch_size[0]:
        step = samples_per_patch(log_mel, tokens)
        whole = shape[1] // step
        fitting = [n * step for n in (whole, whole + 1) if n]
        raise ValueError(
            message(
                f"A waveform must fill whole patches, of {step} samples each: "
                f"{tokens.patch_size[0]} frames, one for each "
                f"{log_mel.frame_step} samples.",
                f"Lengths that fit are {' and '.join(map(str, fitting))}: crop "
                'it or append silence; or set padding="same" to pad with '
                "zeros.",
                samples=shape[1],
                frames=frames,
            )
        )
