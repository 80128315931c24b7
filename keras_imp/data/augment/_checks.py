"""Checks that several augmentations share."""

from typing import Any

import numpy as np

from keras_imp._errors import message
from keras_imp.data.augment.draws import Draws


def check_images(images: Any) -> None:
    """Raise unless values are images or videos with their channels last.

    Args:
        images: What to check.

    Raises:
        ValueError: If they have another number of axes, or are no uint8 or
            floating point numbers.
    """
    if np.ndim(images) not in (4, 5):
        raise ValueError(
            message(
                "Images must have the axes (images, height, width, channels), "
                "videos (videos, frames, height, width, channels).",
                shape=np.shape(images),
            )
        )
    if images.dtype != "uint8" and images.dtype.kind != "f":
        raise ValueError(
            message(
                "Images must be uint8, or float in [-1, 1].",
                dtype=images.dtype.name,
            )
        )


def check_float(name: str, values: Any, axes: tuple[str, ...]) -> None:
    """Raise unless values are floating point numbers with these axes.

    Args:
        name: What they are, for the message.
        values: What to check.
        axes: Names of the axes.

    Raises:
        ValueError: If they have another number of axes or another dtype.
    """
    dtype = getattr(values, "dtype", None)
    if np.ndim(values) != len(axes) or dtype is None or dtype.kind != "f":
        raise ValueError(
            message(
                f"{name} must be a float array with the axes "
                f"({', '.join(axes)}).",
                shape=np.shape(values),
                dtype=str(dtype),
            )
        )


def check_rows(values: Any, draws: Draws) -> None:
    """Raise unless there is one row of draws for each example.

    Args:
        values: Examples on the first axis.
        draws: Their draws.

    Raises:
        ValueError: If the numbers differ.
    """
    if len(values) != len(draws):
        raise ValueError(
            message(
                "There must be one row of `draws` for each example.",
                examples=len(values),
                draws=len(draws),
            )
        )


def check_range(least: float, most: float, /, **values: Any) -> None:
    """Raise unless every value is a number of a range.

    Args:
        least: The least number.
        most: The largest number.
        **values: Values by the name the user typed.

    Raises:
        ValueError: If a value is outside, or no number.
    """
    for name, value in values.items():
        is_number = np.ndim(value) == 0 and isinstance(
            value, int | float | np.number
        )
        if not (is_number and least <= value <= most):
            upper = "" if most == np.inf else f" and at most {most}"
            raise ValueError(
                message(
                    f"`{name}` must be a number of at least {least}{upper}.",
                    **{name: value},
                )
            )
