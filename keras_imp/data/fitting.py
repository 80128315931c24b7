"""Decoded arrays of any size to those of a model: one example at a time.

Of what is longer or wider than asked for, `place` says which part is kept: 0
the first, 0.5 the middle, 1 the last. Nothing is drawn here.
"""

import math

import numpy as np

from keras_imp._errors import message
from keras_imp._optional import require
from keras_imp.data.decoding.resampling import check_box, resample
from keras_imp.models.value_checks import check_samples

# The range of int16, to which samples are scaled.
_INT16 = 32768.0
# More are no channels but samples: the axes are in another order.
_MOST_CHANNELS = 32


def crop_box(
    height: int,
    width: int,
    size: tuple[int, int],
    place: tuple[float, float] = (0.5, 0.5),
) -> tuple[float, float, float, float]:
    """The largest part of an image that has the aspect ratio of a size.

    Args:
        height: Height of the image in pixels.
        width: Its width.
        size: Height and width that it will be scaled to.
        place: Which part along the height and along the width.

    Returns:
        Top, left, height and width in pixels.

    Example:
        >>> from keras_imp.data.fitting import crop_box
        >>> crop_box(60, 80, (32, 32))
        (0.0, 10.0, 60.0, 60.0)
    """
    scale = min(height / size[0], width / size[1])
    tall, wide = size[0] * scale, size[1] * scale
    return (
        (height - tall) * place[0],
        (width - wide) * place[1],
        tall,
        wide,
    )


def fit_image(
    image: np.ndarray,
    size: tuple[int, int],
    crop: bool = True,
    place: tuple[float, float] = (0.5, 0.5),
) -> np.ndarray:
    """Bring an image to a size, by Pillow's antialiased bilinear filter.

    Args:
        image: uint8, shape `(height, width, 3)`; or gray, `(height, width)` or
            `(height, width, 1)`.
        size: Height and width of the result.
        crop: Whether to cut off what has another aspect ratio; else height and
            width are scaled separately.
        place: Which part to keep.

    Returns:
        uint8, shape `(*size, 3)`.

    Raises:
        ValueError: If it is no such array.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data.fitting import fit_image
        >>> fit_image(np.zeros((60, 80, 3), "uint8"), (32, 32)).shape
        (32, 32, 3)
    """
    return fit_frames(_in_color(image)[None], size, crop, place)[0]


def fit_video(
    video: np.ndarray,
    size: tuple[int, int, int],
    stride: int = 1,
    crop: bool = True,
    place: tuple[float, float, float] = (0.5, 0.5, 0.5),
) -> np.ndarray:
    """Take frames of a video and bring them to a size.

    A video with too few frames is repeated.

    Args:
        video: uint8, shape `(frames, height, width, 3)`.
        size: Frames, height and width of the result.
        stride: Frames from one that is taken to the next.
        crop: As for `fit_image`.
        place: Which part to keep in time, along the height and the width.

    Returns:
        uint8, shape `(*size, 3)`.

    Raises:
        ValueError: If it is no such array, or has no frame.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data.fitting import fit_video
        >>> video = np.arange(9, dtype="uint8")[:, None, None, None]
        >>> video = np.broadcast_to(video, (9, 8, 8, 3))
        >>> fit_video(video, (4, 8, 8), stride=2)[:, 0, 0, 0].tolist()
        [1, 3, 5, 7]
    """
    _check_pixels("A video", video, ndim=4, shape="(frames, height, width, 3)")
    frames, *image_size = size
    spare = len(video) - ((frames - 1) * stride + 1)
    start = round(place[0] * max(0, spare))
    taken = video[(start + np.arange(frames) * stride) % len(video)]
    return fit_frames(taken, (image_size[0], image_size[1]), crop, place[1:])


def fit_frames(
    frames: np.ndarray,
    size: tuple[int, int],
    crop: bool,
    place: tuple[float, float],
) -> np.ndarray:
    """Crop and scale images of one size, all alike.

    Args:
        frames: uint8, shape `(frames, height, width, 3)`.
        size: Height and width of the result.
        crop: As for `fit_image`.
        place: Which part to keep along the height and the width.

    Returns:
        uint8, shape `(frames, *size, 3)`.
    """
    height, width = frames.shape[1:3]
    if (height, width) == tuple(size):
        return frames
    pillow = require("PIL.Image", extra="data")
    box = crop_box(height, width, size, place) if crop else None
    boxes = check_box(box, height, width)
    scaled = np.empty((len(frames), *size, 3), "uint8")
    for row, frame in zip(scaled, frames):
        image = pillow.fromarray(np.ascontiguousarray(frame))
        row[:] = resample(image, size, boxes, height, width)
    return scaled


def fit_audio(
    audio: np.ndarray,
    rate: int,
    samples: int,
    stored_rate: int | None = None,
    place: float = 0.5,
    dtype: str = "float32",
) -> np.ndarray:
    """Bring audio to one channel, a rate and a length.

    What is shorter gets silence at its end. Channels are averaged. Samples
    beyond [-1, 1] are clipped, as in a player.

    Args:
        audio: int16, or float in [-1, 1]; shape `(samples,)` or `(samples,
            channels)`.
        rate: Samples per second of the result.
        samples: Length of the result.
        stored_rate: Samples per second of `audio`. Defaults to `rate`. Another
            rate needs the package `soxr`.
        place: Which part to keep in time.
        dtype: `"float32"`, or `"int16"`, to which samples are rounded.

    Returns:
        float32 in [-1, 1], or int16; shape `(samples,)`.

    Raises:
        ValueError: If it is no such array, or has no sample.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data.fitting import fit_audio
        >>> fit_audio(np.ones((8000, 2), "int16"), 16_000, 12_000).shape
        (12000,)
    """
    mono = _mono(audio)
    stored_rate = stored_rate or rate
    # No more is resampled than is kept.
    needed = math.ceil(samples * stored_rate / rate)
    start = round(place * max(0, len(mono) - needed))
    mono = mono[start : start + needed]
    if stored_rate != rate:
        soxr = require("soxr", extra="data")
        mono = soxr.resample(mono, stored_rate, rate)
    fitted = np.zeros(samples, "float32")
    fitted[: min(samples, len(mono))] = mono[:samples].clip(-1.0, 1.0)
    if dtype == "int16":
        levels = np.rint(fitted * _INT16).clip(-_INT16, _INT16 - 1)
        return levels.astype("int16")
    return fitted


def _mono(audio: np.ndarray) -> np.ndarray:
    """One channel, float32 in [-1, 1]."""
    if audio.ndim not in (1, 2) or not audio.size:
        raise ValueError(
            message(
                "Audio must have shape (samples,) or (samples, channels), with "
                "at least one sample.",
                shape=audio.shape,
            )
        )
    if audio.ndim == 2 and audio.shape[1] > _MOST_CHANNELS:
        raise ValueError(
            message(
                "Audio of two axes must have shape (samples, channels).",
                "Transpose audio whose channels come first; give several "
                "recordings as a list.",
                shape=audio.shape,
            )
        )
    check_samples(audio.reshape(1, -1))
    # Channel by channel: a mean along the short axis takes 30 times as long.
    channels = [audio] if audio.ndim == 1 else list(audio.T)
    total = np.zeros(len(audio), "float32")
    for channel in channels:
        total += channel
    scale = _INT16 if audio.dtype == np.int16 else 1.0
    return total / np.float32(scale * len(channels))


def _in_color(image: np.ndarray) -> np.ndarray:
    """An image with three channels, checked."""
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim == 3 and image.shape[-1] == 1:
        image = np.repeat(image, 3, axis=-1)
    _check_pixels("An image", image, ndim=3, shape="(height, width, 3)")
    return image


def _check_pixels(what: str, values: np.ndarray, ndim: int, shape: str) -> None:
    if (
        values.dtype != np.uint8
        or values.ndim != ndim
        or values.shape[-1] != 3
        or not values.size
    ):
        raise ValueError(
            message(
                f"{what} must be a uint8 array of shape {shape}, with at least "
                "one pixel.",
                "Floats in [0, 1]: (255 * x).round().astype('uint8'). Four "
                "channels: leave out the last.",
                dtype=str(values.dtype),
                shape=values.shape,
            )
        )
