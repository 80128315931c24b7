"""Augmentations of images and videos.

Images have shape `(images, height, width, channels)`, videos `(videos, frames,
height, width, channels)`: all frames of a video get the same draw. Both are
uint8, or float in [-1, 1].
"""

from typing import Any

import numpy as np

from keras_imp._errors import check_choice, message
from keras_imp.data.augment._checks import (
    check_images,
    check_range,
    check_rows,
)
from keras_imp.data.augment.draws import Draws
from keras_imp.data.augment.transform import transform

__all__ = ["affine", "contrast", "flip", "mix_colors", "transform"]

_WHITE = {"u": 255.0, "f": 1.0}
_BLACK = {"u": 0.0, "f": -1.0}
_AXES = {"horizontal": -2, "vertical": -3}


def affine(
    images: np.ndarray,
    draws: Draws,
    *,
    rotation: float = 0.0,
    scale: tuple[float, float] = (1.0, 1.0),
    keep_aspect: bool = False,
    shift: float = 0.0,
    fill: float | str = "edge",
) -> np.ndarray:
    """Rotate, scale and shift each image at random, in one interpolation.

    Args:
        images: Images or videos, uint8 or float.
        draws: Draws of their rows.
        rotation: Most degrees in either direction.
        scale: Least and largest factor; above 1 the content grows.
        keep_aspect: Whether height and width are scaled by the same factor;
            else each by its own.
        shift: Most that the content moves along each axis, as a fraction of
            the size: 0.1 of 32 pixels are 3.2.
        fill: What comes in from outside: a number on the scale of the images
            (255 is white in uint8), or `"edge"` for the nearest pixel.

    Returns:
        Shape and dtype of `images`.

    Raises:
        ValueError: If `images` are none, or an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data import augment
        >>> x = np.zeros((2, 32, 32, 3), "uint8")
        >>> augment.images.affine(
        ...     x, augment.Draws(0, 0, 2), rotation=12, shift=0.1).shape
        (2, 32, 32, 3)
    """
    check_images(images)
    check_rows(images, draws)
    check_range(0, np.inf, rotation=rotation, shift=shift)
    low, high = _range(scale)
    return transform(
        images,
        draws.uniform("rotation", -rotation, rotation),
        draws.uniform("scale", low, high, (1 if keep_aspect else 2,)),
        draws.uniform("shift", -shift, shift, (2,)),
        fill,
    )


def flip(
    images: np.ndarray,
    draws: Draws,
    *,
    probability: float = 0.5,
    direction: str = "horizontal",
    where: Any = None,
) -> np.ndarray:
    """Mirror some of the images.

    Not for digits, flags, or captions that say "left".

    Args:
        images: Images or videos.
        draws: Draws of their rows.
        probability: Probability of each image to be mirrored.
        direction: `"horizontal"` swaps left and right, `"vertical"` top and
            bottom.
        where: True for images that may be mirrored, shape `(images,)`; None
            for all. Of a whole data set's flags, take `flags[draws.rows]`.

    Returns:
        A copy, with the shape and dtype of `images`.

    Raises:
        ValueError: If `images` are none, or an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data import augment
        >>> x = np.arange(4, dtype="uint8").reshape(2, 1, 2, 1)
        >>> flipped = augment.images.flip(
        ...     x, augment.Draws(0, 0, 2), probability=1.0,
        ...     where=[True, False])
        >>> flipped[:, 0, :, 0].tolist()
        [[1, 0], [2, 3]]
    """
    check_images(images)
    check_rows(images, draws)
    check_range(0, 1, probability=probability)
    check_choice(tuple(_AXES), direction=direction)
    chosen = draws.bernoulli("flip", probability)
    if where is not None:
        if np.shape(where) != chosen.shape or np.asarray(where).dtype != bool:
            raise ValueError(
                message(
                    "`where` must be one bool for each image.",
                    images=len(images),
                    shape=np.shape(where),
                    dtype=np.asarray(where).dtype.name,
                )
            )
        chosen &= where
    result = np.array(images)
    result[chosen] = np.flip(images[chosen], _AXES[direction])
    return result


def mix_colors(
    images: np.ndarray, draws: Draws, *, strength: float = 0.1
) -> np.ndarray:
    """Replace a part of each channel by a random mean of all channels.

    The weights of a mean are uniform over all that sum to 1. So white, black
    and all grays stay as they are, and no value leaves the range.

    Args:
        images: Images or videos.
        draws: Draws of their rows.
        strength: The part that is replaced, from 0 to 1.

    Returns:
        Shape and dtype of `images`.

    Raises:
        ValueError: If `images` are none, or `strength` is out of its range.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data import augment
        >>> red = np.zeros((1, 1, 1, 3), "uint8") + np.uint8([200, 0, 0])
        >>> mixed = augment.images.mix_colors(
        ...     red, augment.Draws(0, 0, 1), strength=0.3)
        >>> bool(140 <= mixed[0, 0, 0, 0] <= 200)
        True
    """
    check_images(images)
    check_rows(images, draws)
    check_range(0, 1, strength=strength)
    channels = images.shape[-1]
    # Exponential numbers over their sum: uniform on the simplex.
    parts = -np.log1p(-draws.uniform("colors", size=(channels, channels)))
    sums = parts.sum(axis=-1, keepdims=True)
    means = parts / np.maximum(sums, np.finfo("float32").tiny)
    matrices = (1 - strength) * np.eye(channels, dtype="float32")
    matrices = (matrices + strength * means).astype("float32")
    pixels = images.reshape(len(images), -1, channels).astype("float32")
    mixed = pixels @ matrices.transpose(0, 2, 1)
    return _as_images(mixed, images)


def contrast(
    images: np.ndarray,
    draws: Draws,
    *,
    strength: float = 0.15,
    keep: str = "mean",
) -> np.ndarray:
    """Multiply the distance of all values from one value by a random factor.

    Values are then clipped to the range of images.

    Args:
        images: Images or videos.
        draws: Draws of their rows.
        strength: The factor is from 1 - `strength` to 1 + `strength`; at
            most 1.
        keep: The value that stays: `"mean"` of each image, `"white"` for
            drawings on white, or `"black"`, which changes the brightness.

    Returns:
        Shape and dtype of `images`.

    Raises:
        ValueError: If `images` are none, or an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data import augment
        >>> x = np.full((1, 2, 2, 3), 255, "uint8")
        >>> y = augment.images.contrast(
        ...     x, augment.Draws(0, 0, 1), keep="white")
        >>> bool((y == 255).all())
        True
    """
    check_images(images)
    check_rows(images, draws)
    check_range(0, 1, strength=strength)
    check_choice(("mean", "white", "black"), keep=keep)
    values = images.reshape(len(images), -1).astype("float32")
    kind = images.dtype.kind
    fixed: Any = {"white": _WHITE[kind], "black": _BLACK[kind]}.get(keep)
    if fixed is None:
        fixed = values.mean(axis=1, keepdims=True)
    factors = draws.uniform("contrast", 1 - strength, 1 + strength, (1,))
    values -= fixed
    values *= factors
    values += fixed
    np.clip(values, _BLACK[kind], _WHITE[kind], out=values)
    return _as_images(values, images)


def _as_images(values: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Float values with the shape and dtype of images, rounded if uint8."""
    if images.dtype == "uint8":
        values += 0.5  # The cast cuts.
    return values.astype(images.dtype).reshape(images.shape)


def _range(scale: Any) -> tuple[float, float]:
    is_pair = np.shape(scale) == (2,)
    if not is_pair or not 0 < scale[0] <= scale[1]:
        raise ValueError(
            message(
                "`scale` must be the least and the largest factor, above 0.",
                scale=scale,
            )
        )
    return scale
