"""Where to cut images and videos, in space and in time.

A box is top, left, height and width in pixels; `decode_image` and
`decode_video` cut it out and scale it in one step. A place is a fraction: 0 is
the first part of a recording, 1 the last one. One place for an example serves
its video and its audio.
"""

from typing import Any

import numpy as np

from keras_imp._errors import check_integer, message
from keras_imp.data.augment._checks import check_range
from keras_imp.data.augment.draws import Draws

__all__ = [
    "center_box",
    "inception_boxes",
    "place_of_views",
    "places",
    "random_boxes",
    "short_side",
    "view_boxes",
]

# The short side is scaled to a multiple of this, that much above the crop.
_MARGIN, _MULTIPLE = 1.15, 8


def inception_boxes(
    height: Any,
    width: Any,
    draws: Draws,
    *,
    area: tuple[float, float] = (0.5, 1.0),
    aspect: tuple[float, float] = (0.5, 2.0),
    tries: int = 100,
) -> np.ndarray:
    """Draw a box of random area, shape and place for each image.

    Area and shape are drawn until the box fits into the image; after `tries`,
    it is the whole image.

    Args:
        height: Height of the images in pixels; a number, or shape `(rows,)`.
        width: Their width, as `height`.
        draws: Draws of their rows.
        area: Least and largest area, as fractions of the image's.
        aspect: Least and largest width over height.
        tries: How often to draw.

    Returns:
        float64, shape `(rows, 4)`.

    Raises:
        ValueError: If a size or a range is none.

    Example:
        >>> from keras_imp.data import augment
        >>> boxes = augment.crops.inception_boxes(
        ...     60, 80, augment.Draws(0, 0, 2))
        >>> boxes.shape, bool((boxes[:, 2] * boxes[:, 3] >= 2400).all())
        ((2, 4), True)

    Reference:
        [Szegedy et al., 2015](https://arxiv.org/abs/1409.4842), section 6.
    """
    check_integer(1, tries=tries)
    _check_pair(0.0, 1.0, area=area)
    _check_pair(0.0, np.inf, aspect=aspect)
    height, width = _sizes(height, width, len(draws))
    areas = draws.uniform("area", *area, (tries,), "float64")
    # The first try that fits is the first column of those that are True.
    shapes = draws.uniform("aspect", *aspect, (tries,), "float64")
    areas *= (height * width)[:, None]
    tall, wide = np.sqrt(areas / shapes), np.sqrt(areas * shapes)
    fits = (tall <= height[:, None]) & (wide <= width[:, None])
    first = np.argmax(fits, axis=1)[:, None]
    some = fits.any(axis=1)
    tall = np.where(some, np.take_along_axis(tall, first, 1)[:, 0], height)
    wide = np.where(some, np.take_along_axis(wide, first, 1)[:, 0], width)
    return _placed(height, width, tall, wide, draws)


def random_boxes(
    height: Any,
    width: Any,
    size: tuple[int, int],
    draws: Draws,
    *,
    short: int | None = None,
) -> np.ndarray:
    """Draw the place of a box for each image, of the scale of `center_box`.

    Args:
        height: Height of the images in pixels; a number, or shape `(rows,)`.
        width: Their width, as `height`.
        size: Height and width that the box will be scaled to.
        draws: Draws of the rows.
        short: As in `center_box`.

    Returns:
        float64, shape `(rows, 4)`.

    Raises:
        ValueError: If a size is none.

    Example:
        >>> from keras_imp.data import augment
        >>> augment.crops.random_boxes(
        ...     256, 256, (224, 224), augment.Draws(0, 0, 2))[:, 2:].tolist()
        [[224.0, 224.0], [224.0, 224.0]]
    """
    height, width = _sizes(height, width, len(draws))
    scale = _scale(height, width, size, short)
    return _placed(height, width, size[0] / scale, size[1] / scale, draws)


def center_box(
    height: int,
    width: int,
    size: tuple[int, int],
    *,
    short: int | None = None,
) -> np.ndarray:
    """The box in the middle, after the short side is scaled to some length.

    Args:
        height: Height of the image in pixels.
        width: Its width.
        size: Height and width that the box will be scaled to.
        short: What the short side is scaled to before the crop, in pixels.
            Defaults to `short_side` of `size`; `min(size)` takes the largest
            box.

    Returns:
        float64, shape `(4,)`.

    Raises:
        ValueError: If a size is none.

    Example:
        >>> from keras_imp.data import augment
        >>> augment.crops.center_box(256, 512, (224, 224)).tolist()
        [16.0, 144.0, 224.0, 224.0]
    """
    return view_boxes(height, width, size, 1, short=short)[0]


def view_boxes(
    height: int,
    width: int,
    size: tuple[int, int],
    views: int = 3,
    *,
    short: int | None = None,
) -> np.ndarray:
    """Several boxes from one end of the longer side to the other.

    Predictions of the views of one image are averaged in a test.

    Args:
        height: Height of the image in pixels.
        width: Its width.
        size: Height and width that a box will be scaled to.
        views: Number of boxes; a single one is in the middle.
        short: As in `center_box`.

    Returns:
        float64, shape `(views, 4)`.

    Raises:
        ValueError: If a size is none.

    Example:
        >>> from keras_imp.data import augment
        >>> augment.crops.view_boxes(256, 512, (224, 224), 3)[:, 1].tolist()
        [0.0, 144.0, 288.0]
    """
    check_integer(1, height=height, width=width, views=views)
    scale = _scale(np.array(height), np.array(width), size, short)
    extent = np.array(size) / scale
    room = np.array((height, width)) - extent
    fractions = np.full((views, 2), 0.5)
    fractions[:, int(room[1] >= room[0])] = place_of_views(views)
    return np.hstack([fractions * room, np.tile(extent, (views, 1))])


def short_side(size: int) -> int:
    """What the short side of an image is scaled to before a crop in a test.

    Args:
        size: Side of the crop in pixels.

    Returns:
        1.15 times that, rounded down to a multiple of 8; at least `size`.

    Example:
        >>> from keras_imp.data import augment
        >>> [augment.crops.short_side(n) for n in (128, 224, 256, 512)]
        [144, 256, 288, 584]
    """
    return max(size, int(_MARGIN * size) // _MULTIPLE * _MULTIPLE)


def places(draws: Draws) -> np.ndarray:
    """Draw where in its recording the part of each example is.

    The draw belongs to the example and not to a modality: a video and its audio
    get the same place, whoever asks first.

    Args:
        draws: Draws of the rows.

    Returns:
        float64 in [0, 1), shape `(rows,)`, for `place` of `decode_video` and
        `decode_audio`.

    Example:
        >>> from keras_imp.data import augment
        >>> draws = augment.Draws(0, 0, 2)
        >>> video = augment.crops.places(draws.within("video"))
        >>> audio = augment.crops.places(draws.within("audio"))
        >>> bool((video == audio).all())
        True
    """
    return draws.shared.uniform("place", dtype="float64")


def place_of_views(views: int) -> np.ndarray:
    """Places of several parts of one recording, evenly spaced.

    Args:
        views: Number of parts; a single one is in the middle.

    Returns:
        float64 from 0 to 1, shape `(views,)`.

    Raises:
        ValueError: If `views` is no positive integer.

    Example:
        >>> from keras_imp.data import augment
        >>> augment.crops.place_of_views(3).tolist()
        [0.0, 0.5, 1.0]
    """
    check_integer(1, views=views)
    return np.linspace(0.0, 1.0, views) if views > 1 else np.array([0.5])


def _sizes(height: Any, width: Any, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Heights and widths of all rows."""
    sizes = [np.asarray(size, "float64") for size in (height, width)]
    if not all(s.shape in ((), (rows,)) and np.all(s >= 1) for s in sizes):
        raise ValueError(
            message(
                "`height` and `width` must be at least 1, a number or one for "
                "each row of `draws`.",
                height=sizes[0].tolist(),
                width=sizes[1].tolist(),
                rows=rows,
            )
        )
    tall, wide = (np.broadcast_to(size, (rows,)) for size in sizes)
    return tall, wide


def _scale(
    height: np.ndarray,
    width: np.ndarray,
    size: tuple[int, int],
    short: int | None,
) -> np.ndarray:
    """Factor that brings the short side to its length, and covers `size`."""
    check_integer(1, size_height=size[0], size_width=size[1])
    if short is None:
        short = short_side(min(size))
    if short < min(size):
        raise ValueError(
            message("`short` must not be below `size`.", short=short, size=size)
        )
    factor = short / min(size)
    # For a box that is no square, the side that is scarce for it counts.
    return np.maximum(size[0] * factor / height, size[1] * factor / width)


def _placed(
    height: np.ndarray,
    width: np.ndarray,
    tall: np.ndarray,
    wide: np.ndarray,
    draws: Draws,
) -> np.ndarray:
    """Boxes of some sizes at random places of their images."""
    place = draws.uniform("corner", size=(2,), dtype="float64")
    top, left = place[:, 0] * (height - tall), place[:, 1] * (width - wide)
    return np.stack([top, left, *np.broadcast_arrays(tall, wide)], axis=1)


def _check_pair(least: float, most: float, /, **pairs: Any) -> None:
    for name, (low, high) in pairs.items():
        check_range(least, most, **{name: low})
        check_range(least, most, **{name: high})
        if not 0 < low <= high:
            raise ValueError(
                message(
                    f"`{name}` must be two numbers above 0, the lower one "
                    "first.",
                    **{name: (low, high)},
                )
            )
