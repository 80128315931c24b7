"""What the figures share: colors, and from new axes to a PNG."""

from typing import Any

import numpy as np

from keras_imp._optional import require

# Colors that stay apart in print and for the color-blind (Okabe-Ito).
TRAIN_COLOR, VALIDATION_COLOR = "#0072B2", "#D55E00"
RIGHT_COLOR = "#009E73"
CHANCE_COLOR = "#555555"
# Text is drawn as it is: a dollar sign in a name starts no formula.
AS_IT_IS = {"parse_math": False}


def empty_figure(size: tuple[float, float]) -> Any:
    """A figure without axes.

    Args:
        size: Width and height in inches.

    Returns:
        The figure.
    """
    return _pyplot().figure(figsize=size)


def new_figure(
    rows: int, columns: int, size: tuple[float, float]
) -> tuple[Any, np.ndarray]:
    """A figure with a grid of axes.

    Args:
        rows: Rows of axes.
        columns: Columns of axes.
        size: Width and height in inches.

    Returns:
        The figure and its axes, row by row, as a flat array.
    """
    figure, axes = _pyplot().subplots(
        rows, columns, figsize=size, squeeze=False
    )
    return figure, axes.ravel()


def save_figure(
    figure: Any, path: Any, bottom: float = 0.0, top: float = 1.0
) -> None:
    """Lay a figure out, write it as PNG and forget it.

    Args:
        figure: From `new_figure`.
        path: File name, or a binary file.
        bottom: Fraction of the height to leave free at the bottom.
        top: Fraction of the height below what is left free at the top, for
            titles of axes that are off: a layout does not count them.
    """
    figure.tight_layout(rect=(0.0, bottom, 1.0, top))
    write_figure(figure, path)


def write_figure(figure: Any, path: Any) -> None:
    """Write a figure as PNG, laid out as it is, and forget it.

    Args:
        figure: From `new_figure` or `empty_figure`.
        path: File name, or a binary file.
    """
    figure.savefig(path, dpi=150, format="png")
    _pyplot().close(figure)


def text_width(text: str, size: float) -> float:
    """Width of a line of text in inches, in the font of the figures.

    Args:
        text: One line.
        size: Font size in points.

    Returns:
        The width.

    Example:
        >>> from keras_imp.evaluation.figures import text_width
        >>> text_width("iii", 10) < text_width("WWW", 10) < 0.5
        True
    """
    fonts = require("matplotlib.font_manager", extra="data")
    paths = require("matplotlib.textpath", extra="data")
    points, _, _ = paths.text_to_path.get_text_width_height_descent(
        text, fonts.FontProperties(size=size), ismath=False
    )
    return points / 72


def _pyplot():
    # The Agg canvas draws to files without a screen.
    require("matplotlib", extra="data").use("Agg")
    return require("matplotlib.pyplot", extra="data")
