"""Images that are rotated, scaled and shifted, each by its own numbers.

For each pixel of the result, the place in the original where it comes from is
computed, and read there between four pixels.
"""

from typing import Any, NamedTuple

import numpy as np

from keras_imp._errors import message
from keras_imp.data.augment._checks import check_images

# Pixels of a group of images that are worked on together. Arrays this small
# stay in the cache, and their memory is used again: 64 images of 32 x 32 take
# half the time of all at once.
_PIXELS = 1 << 12


class _Places(NamedTuple):
    """Where the pixels of each image come from: u = along + across.

    The frame of one pixel around an original is counted, so its first pixel
    is at 1. Parts by column have shape `(images, width)`, parts by row
    `(images, height)`.
    """

    u_of_column: np.ndarray
    u_of_row: np.ndarray
    v_of_column: np.ndarray
    v_of_row: np.ndarray


def transform(
    images: np.ndarray,
    rotation: Any = 0.0,
    scale: Any = 1.0,
    shift: Any = 0.0,
    fill: float | str = "edge",
) -> np.ndarray:
    """Scale, rotate and shift images around their center.

    In this order. A place between pixels is interpolated linearly; images
    that become much smaller are not smoothed before.

    Args:
        images: Images `(images, height, width, channels)`, or videos
            `(videos, frames, height, width, channels)` whose frames are all
            treated alike; uint8 or float.
        rotation: Degrees, clockwise; a number or shape `(images,)`.
        scale: Factor, above 1 for a larger content; a number, or shape
            `(images, 2)` for height and width.
        shift: Fraction of the size, positive downwards and to the right; a
            number, or shape `(images, 2)` for height and width.
        fill: What comes in from outside: a number on the scale of the images,
            or `"edge"` for the nearest pixel.

    Returns:
        Shape and dtype of `images`.

    Raises:
        ValueError: If `images` are none, `fill` is no number of their range or
            `"edge"`, or a scale is not above 0.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data.augment import images
        >>> x = np.arange(9, dtype="uint8").reshape(1, 3, 3, 1)
        >>> images.transform(x, rotation=90)[0, :, :, 0]
        array([[6, 3, 0],
               [7, 4, 1],
               [8, 5, 2]], dtype=uint8)
    """
    check_images(images)
    _check_fill(images, fill)
    if not np.all(np.asarray(scale) > 0):
        raise ValueError(
            message(
                "`scale` must be greater than 0.", scale=float(np.min(scale))
            )
        )
    frames = images if images.ndim == 5 else images[:, None]
    places = _places(frames, rotation, scale, shift)
    result = np.empty_like(frames)
    group = max(1, _PIXELS // max(1, int(np.prod(frames.shape[1:4]))))
    for start in range(0, len(frames), group):
        part = slice(start, start + group)
        of_part = _Places(*(each[part] for each in places))
        result[part] = _read(frames[part], of_part, fill)
    return result.reshape(images.shape)


def _places(
    frames: np.ndarray, rotation: Any, scale: Any, shift: Any
) -> _Places:
    count, height, width = len(frames), *frames.shape[2:4]
    angle = np.broadcast_to(np.deg2rad(rotation), (count,))[:, None]
    scale_v, scale_u = np.broadcast_to(scale, (count, 2)).T[:, :, None]
    shift_v, shift_u = np.broadcast_to(shift, (count, 2)).T[:, :, None]
    cos, sin = np.cos(angle), np.sin(angle)
    x = np.arange(width) - (width - 1) / 2 - shift_u * width
    y = np.arange(height) - (height - 1) / 2 - shift_v * height
    parts = (
        cos / scale_u * x + (width + 1) / 2,
        sin / scale_u * y,
        -sin / scale_v * x + (height + 1) / 2,
        cos / scale_v * y,
    )
    return _Places(*(part.astype("float32") for part in parts))


def _read(frames: np.ndarray, places: _Places, fill: float | str) -> np.ndarray:
    """Pixels at some places, interpolated linearly, as float32."""
    count, times, height, width, channels = frames.shape
    left, right_weight = _cells(
        places.u_of_column[:, None, :] + places.u_of_row[:, :, None],
        width,
        fill,
    )
    top, lower_weight = _cells(
        places.v_of_column[:, None, :] + places.v_of_row[:, :, None],
        height,
        fill,
    )
    row, frame = width + 2, (height + 2) * (width + 2)
    pixels = _framed(frames, 0.0 if fill == "edge" else float(fill))
    first = np.arange(count * times).reshape(count, times, 1, 1) * frame
    at = first + (top * row + left)[:, None]  # count times height width
    right_weight = _for_channels(right_weight, channels)
    lower_weight = _for_channels(lower_weight, channels)

    def between(offset: int) -> np.ndarray:
        # In place: the arrays stay in the cache. And `mode` skips a check of
        # places that are inside, or have a weight of 0.
        result = pixels[offset:].take(at, axis=0, mode="clip")
        step = pixels[offset + 1 :].take(at, axis=0, mode="clip")
        step -= result
        step *= right_weight
        result += step
        return result

    upper, lower = between(0), between(row)
    lower -= upper
    lower *= lower_weight
    upper += lower
    if frames.dtype == "uint8":
        upper += 0.5  # The cast cuts.
    return upper


def _cells(
    places: np.ndarray, size: int, fill: float | str
) -> tuple[np.ndarray, np.ndarray]:
    """The pixel before each place, and the weight of the one behind.

    Behind the last one of a frame comes another frame, with a weight of 0.
    """
    low, high = (1, size) if fill == "edge" else (0, size + 1)
    np.clip(places, low, high, out=places)
    cells = places.astype("intp")
    return cells, np.subtract(places, cells, dtype="float32")


def _for_channels(weights: np.ndarray, channels: int) -> np.ndarray:
    """Weights of all channels `(images, 1, height, width, channels)`.

    Written out, since to broadcast over an axis this short is slow.
    """
    result = np.empty((*weights.shape, channels), "float32")
    for channel in range(channels):
        result[..., channel] = weights
    return result[:, None]


def _framed(frames: np.ndarray, value: float) -> np.ndarray:
    """All pixels `(pixels, channels)` in float32, with a frame of one pixel."""
    count, times, height, width, channels = frames.shape
    shape = (count * times, height + 2, width + 2, channels)
    pixels = np.full(shape, value, "float32")
    pixels[:, 1:-1, 1:-1] = frames.reshape(-1, height, width, channels)
    return pixels.reshape(-1, channels)


def _check_fill(images: np.ndarray, fill: float | str) -> None:
    if fill == "edge":
        return
    is_number = isinstance(fill, int | float) and not isinstance(fill, bool)
    if is_number and (images.dtype.kind == "f" or 0 <= float(fill) <= 255):
        return
    raise ValueError(
        message(
            "`fill` must be a number on the scale of the images, or 'edge'.",
            fill=fill,
            dtype=images.dtype.name,
        )
    )
