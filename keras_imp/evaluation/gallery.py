"""What a search finds: the images nearest to each query."""

import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_imp._errors import check_positive, message
from keras_imp.evaluation.figures import (
    AS_IT_IS,
    RIGHT_COLOR,
    empty_figure,
    text_width,
    write_figure,
)

# Inches: an image with its margin, a line of text, and the gap before the right
# answers that are not among the nearest.
IMAGE, MARGIN, LINE, GAP = 1.0, 0.06, 0.2, 0.3
# The legend: its height, and the least width that it fits in.
LEGEND_HEIGHT, LEGEND_WIDTH = 0.85, 4.6
FONT_SIZE = 10
OTHER_COLOR = "#bbbbbb"


class _Found(NamedTuple):
    """What is drawn of one query.

    Attributes:
        lines: The query and the rank of its nearest right answer, wrapped.
        shown: The nearest images.
        is_right: Whether each of them answers the query.
        apart: The nearest right answer, where none of them is one.
    """

    lines: list[str]
    shown: np.ndarray
    is_right: np.ndarray
    apart: int | None


def plot_retrieval(
    queries: list[str],
    images: np.ndarray,
    similarities: np.ndarray,
    relevant: np.ndarray,
    path: str | Path,
    top: int = 6,
) -> None:
    """Draw queries as text and the nearest images under each.

    A green frame and a check mark are on an image that answers its query. Where
    none of those shown does, the nearest one that does stands apart on the
    right. Its rank, from 1, is beside the query.

    Args:
        queries: Texts.
        images: uint8, shape `(images, height, width, 3)`.
        similarities: Shape `(queries, images)`.
        relevant: True where an image answers a query, same shape.
        path: PNG to write.
        top: Images under each query.

    Raises:
        ValueError: If there is no query, or the shapes do not match.

    Example:
        >>> import numpy as np, tempfile, os
        >>> from keras_imp.evaluation import plot_retrieval
        >>> file = os.path.join(tempfile.mkdtemp(), "gallery.png")
        >>> plot_retrieval(["a"], np.zeros((3, 8, 8, 3), "uint8"),
        ...                np.eye(1, 3), np.eye(1, 3, dtype=bool), file, top=3)
        >>> os.path.getsize(file) > 1000
        True
    """
    check_positive(top=top)
    _check_shapes(queries, images, similarities, relevant)
    columns = min(top, len(images))
    width = max(LEGEND_WIDTH, IMAGE * (columns + 1) + GAP)
    found = [
        _find(*query, columns, width)
        for query in zip(queries, similarities, relevant, strict=True)
    ]
    height = LEGEND_HEIGHT + sum(_height(row) for row in found)
    figure = empty_figure((width, height))
    bottom = height
    for row in found:
        bottom -= _height(row)
        _draw_row(figure, images, row, bottom)
    _draw_legend(figure)
    write_figure(figure, path)


def _find(
    query: str,
    similarities: np.ndarray,
    relevant: np.ndarray,
    top: int,
    width: float,
) -> _Found:
    order = np.argsort(-similarities, kind="stable")
    ranks = np.flatnonzero(relevant[order])
    answer = "no right answer"
    if len(ranks):
        answer = f"right answer: rank {ranks[0] + 1} of {len(order)}"
    is_apart = len(ranks) > 0 and ranks[0] >= top
    return _Found(
        lines=_wrap(f"“{query}” – {answer}", width - 2 * MARGIN),
        shown=order[:top],
        is_right=relevant[order[:top]],
        apart=int(order[ranks[0]]) if is_apart else None,
    )


def _wrap(text: str, width: float) -> list[str]:
    """Lines of at most a width in inches."""
    letters = len(text)
    while True:
        lines = textwrap.wrap(text, letters)
        widest = max(text_width(line, FONT_SIZE) for line in lines)
        if widest <= width or letters == 1:
            return lines
        letters = max(1, int(letters * max(width / widest, 0.5) * 0.99))


def _height(row: _Found) -> float:
    return LINE * (len(row.lines) + 0.5) + IMAGE


def _draw_row(
    figure: Any, images: np.ndarray, row: _Found, bottom: float
) -> None:
    """Draw one query; `bottom` in inches."""
    for number, line in enumerate(reversed(row.lines)):
        height = bottom + IMAGE + LINE * (number + 0.25)
        _write(figure, line, MARGIN, height, FONT_SIZE)
    for column, item in enumerate(row.shown):
        right = bool(row.is_right[column])
        _draw_image(figure, images[item], IMAGE * column, bottom, right)
    if row.apart is not None:
        left = IMAGE * len(row.shown) + GAP
        _draw_image(figure, images[row.apart], left, bottom, right=True)
        _write(figure, "…", left - 0.75 * GAP, bottom + IMAGE / 2, FONT_SIZE)


def _draw_image(
    figure: Any,
    image: np.ndarray,
    left: float,
    bottom: float,
    right: bool,
    size: float = IMAGE,
) -> None:
    """Draw one image, framed; places and size in inches."""
    axis = figure.add_axes(
        _fractions(
            figure,
            left + MARGIN,
            bottom + MARGIN,
            size - 2 * MARGIN,
            size - 2 * MARGIN,
        )
    )
    axis.imshow(image, interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_color(RIGHT_COLOR if right else OTHER_COLOR)
        spine.set_linewidth(3 if right else 0.8)
    if right:
        axis.text(
            0.98,
            0.97,
            "✓",
            transform=axis.transAxes,
            ha="right",
            va="top",
            color="white",
            fontsize=9,
            fontweight="bold",
            bbox={
                "boxstyle": "circle,pad=0.15",
                "facecolor": RIGHT_COLOR,
                "edgecolor": "white",
            },
        )


def _draw_legend(figure: Any) -> None:
    size = 0.4
    blank = np.full((1, 1, 3), 245, "uint8")
    for left, text, right in (
        (0.0, "answers the query", True),
        (2.2, "does not answer it", False),
    ):
        _draw_image(figure, blank, left, 0.35, right, size)
        _write(figure, text, left + 1.1 * size, 0.35 + 0.4 * size, 9)
    _write(
        figure,
        "Left to right: the nearest images. After “…”: the nearest answer.",
        MARGIN,
        0.14,
        9,
    )


def _write(
    figure: Any, text: str, left: float, bottom: float, size: float
) -> None:
    """Write a line; places in inches."""
    x, y, _, _ = _fractions(figure, left, bottom, 0.0, 0.0)
    figure.text(x, y, text, fontsize=size, **AS_IT_IS)


def _fractions(
    figure: Any, left: float, bottom: float, width: float, height: float
) -> tuple[float, float, float, float]:
    """From inches to fractions of the figure."""
    across, down = figure.get_size_inches()
    return left / across, bottom / down, width / across, height / down


def _check_shapes(queries, images, similarities, relevant) -> None:
    expected = (len(queries), len(images))
    if not queries or not (
        np.shape(similarities) == np.shape(relevant) == expected
    ):
        raise ValueError(
            message(
                "`similarities` and `relevant` must have the shape (queries, "
                "images), with at least one query.",
                queries=len(queries),
                images=len(images),
                similarities=np.shape(similarities),
                relevant=np.shape(relevant),
            )
        )
