"""Crop and scale images and frames, in one step of Pillow."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_imp._errors import message
from keras_imp._optional import require

# Top, left, height, width in pixels; fractions of a pixel count.
Box = Any
# A decoder may scale by itself down to this factor above the size asked for:
# beyond it, the filter of the last step hardly sees what was done before.
DRAFT_FACTOR = 2
# A box may leave the image by this part of a pixel, from rounding.
_SLACK = 1e-3


def check_box(
    box: Box | Callable[[int, int], Box] | None, height: int, width: int
) -> np.ndarray:
    """The boxes that are meant, as numbers.

    Args:
        box: One box, shape `(4,)`, several, `(views, 4)`, a function of height
            and width that gives them, or None for the whole image.
        height: Height of the image in pixels.
        width: Its width.

    Returns:
        Top, left, height and width, float64, shape `(4,)` or `(views, 4)`.

    Raises:
        ValueError: If there is no box, or one is empty or leaves the image.

    Example:
        >>> from keras_imp.data.decoding.resampling import check_box
        >>> check_box(lambda h, w: (0, 0, h / 2, w), 60, 80).tolist()
        [0.0, 0.0, 30.0, 80.0]
    """
    if box is None:
        box = (0, 0, height, width)
    elif callable(box):
        box = box(height, width)
    boxes = np.asarray(box, "float64")
    fits = boxes.ndim in (1, 2) and boxes.shape[-1] == 4 and boxes.size > 0
    if not (fits and _inside(boxes, height, width)):
        raise ValueError(
            message(
                "`box` must be top, left, height and width in pixels of the "
                "image, or several such boxes.",
                box=boxes.tolist(),
                height=height,
                width=width,
            )
        )
    return boxes


def resample(
    image: Any,
    size: tuple[int, int] | None,
    boxes: np.ndarray,
    height: int,
    width: int,
) -> np.ndarray:
    """Cut boxes out of an image and scale them.

    Args:
        image: An image of Pillow, RGB.
        size: Height and width of the result; None for those of the box.
        boxes: From `check_box`, for the size that comes next.
        height: Height of the image to which the boxes belong; `image` may
            be a smaller copy of it.
        width: Width of it.

    Returns:
        uint8, shape `(height, width, 3)`, or `(views, height, width, 3)`.

    Example:
        >>> import numpy as np
        >>> from PIL import Image
        >>> from keras_imp.data.decoding.resampling import resample
        >>> boxes = np.array([[0.0, 0.0, 60.0, 60.0], [0.0, 20.0, 60.0, 60.0]])
        >>> image = Image.new("RGB", (80, 60))
        >>> resample(image, (32, 32), boxes, 60, 80).shape
        (2, 32, 32, 3)
    """
    pillow = require("PIL.Image", extra="data")
    # A smaller copy is rounded up along each axis on its own.
    scale = np.array((image.height / height, image.width / width) * 2)
    limits = (image.width, image.height)
    results = []
    for top, left, tall, wide in np.atleast_2d(boxes * scale).tolist():
        corners = _corners(top, left, tall, wide, limits)
        rows, columns = size or (max(1, round(tall)), max(1, round(wide)))
        results.append(
            np.asarray(
                image.resize(
                    (columns, rows), pillow.Resampling.BILINEAR, corners
                )
            )
        )
    return np.stack(results) if boxes.ndim == 2 else results[0]


def is_blank(values: np.ndarray) -> bool:
    """Whether all pixels of each image or frame have one color.

    Args:
        values: uint8, shape `(..., height, width, 3)`.

    Returns:
        The answer.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data.decoding.resampling import is_blank
        >>> is_blank(np.zeros((32, 32, 3), "uint8"))
        True
    """
    # Of most images, a few pixels tell that they are not.
    for step in (16, 1):
        some = values[..., ::step, ::step, :]
        if not np.all(some == values[..., :1, :1, :]):
            return False
    return True


def _inside(boxes: np.ndarray, height: int, width: int) -> bool:
    """Whether all boxes hold something and none leaves the image."""
    start, extent = boxes[..., :2], boxes[..., 2:]
    return bool(
        np.all(start >= -_SLACK)
        and np.all(extent > 0)
        and np.all(start + extent <= np.array((height, width)) + _SLACK)
    )


def _corners(
    top: float,
    left: float,
    tall: float,
    wide: float,
    limits: tuple[int, int],
) -> tuple[float, float, float, float]:
    """Left, top, right and bottom, which Pillow wants inside of the image."""
    right, bottom = limits
    return (
        max(0.0, left),
        max(0.0, top),
        min(right, left + wide),
        min(bottom, top + tall),
    )
