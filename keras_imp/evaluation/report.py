"""Figures of a run: learning curves, and what a search finds."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from keras_imp._errors import message
from keras_imp._optional import require

# Two colors that stay apart in print and for the color-blind (Okabe-Ito).
TRAIN_COLOR, VALIDATION_COLOR = "#0072B2", "#D55E00"
RIGHT_COLOR = "#009E73"


def plot_learning_curves(
    history: Any, path: str | Path, steps_per_epoch: int = 1
) -> None:
    """Draw the loss of each task over the steps, training and validation.

    Args:
        history: What `AlternatingModel.fit` returns, or its `table()`: lists
            with a value for each epoch. NaN (task not drawn) leaves a gap.
        path: PNG to write.
        steps_per_epoch: Steps between two values.

    Raises:
        ValueError: If the history has no task losses, or not all of them have
            a value for each epoch.

    Example:
        >>> import tempfile, os
        >>> from keras_imp.evaluation.report import plot_learning_curves
        >>> file = os.path.join(tempfile.mkdtemp(), "curves.png")
        >>> plot_learning_curves({"a/loss": [2.0, 1.0]}, file)
        >>> os.path.getsize(file) > 1000
        True
    """
    curves = history.table() if hasattr(history, "table") else history
    losses = {k: v for k, v in curves.items() if k.endswith("/loss")}
    _check_losses(losses, curves)
    tasks = [
        name.removesuffix("/loss")
        for name in losses
        if not name.startswith("val_")
    ]
    columns = min(3, len(tasks))
    rows = math.ceil(len(tasks) / columns)
    figure, axes = new_figure(rows, columns, (3.4 * columns, 2.6 * rows))
    for axis in axes[len(tasks) :]:
        axis.set_visible(False)
    for task, axis in zip(tasks, axes, strict=False):
        for prefix, label, color in (
            ("", "training", TRAIN_COLOR),
            ("val_", "validation", VALIDATION_COLOR),
        ):
            values = losses.get(f"{prefix}{task}/loss")
            if values:
                steps = (np.arange(len(values)) + 1) * steps_per_epoch
                axis.plot(steps, values, color=color, label=label, marker=".")
        axis.set_title(task)
        axis.set_xlabel("step")
        axis.set_ylabel("loss")
        # Room above: a flat curve would lie on the frame.
        axis.set_ylim(0, 1.08 * axis.get_ylim()[1])
        axis.grid(alpha=0.3)
    axes[0].legend(frameon=False)
    save_figure(figure, path)


def _check_losses(losses: dict[str, Any], curves: dict[str, Any]) -> None:
    if all(name.startswith("val_") for name in losses):
        raise ValueError(
            message(
                "`history` must have at least one '<task>/loss'.",
                names=sorted(curves),
            )
        )
    lengths = {name: len(values) for name, values in losses.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            message(
                "Each curve must have a value for each epoch; the lists of "
                "`history.history` leave epochs out that did not draw a task.",
                "Give what `fit` returned, or its `table()`.",
                lengths=lengths,
            )
        )


def plot_retrieval(
    queries: list[str],
    images: np.ndarray,
    similarities: np.ndarray,
    relevant: np.ndarray,
    path: str | Path,
    top: int = 6,
) -> None:
    """Draw queries as text and the nearest images under each.

    A green frame marks an image that answers its query.

    Args:
        queries: Texts.
        images: uint8, shape `(images, height, width, 3)`.
        similarities: Shape `(queries, images)`.
        relevant: True where an image answers a query, same shape.
        path: PNG to write.
        top: Images under each query.

    Example:
        >>> import numpy as np, tempfile, os
        >>> from keras_imp.evaluation.report import plot_retrieval
        >>> file = os.path.join(tempfile.mkdtemp(), "gallery.png")
        >>> plot_retrieval(["a"], np.zeros((3, 8, 8, 3), "uint8"),
        ...                np.eye(1, 3), np.eye(1, 3, dtype=bool), file, top=3)
        >>> os.path.getsize(file) > 1000
        True
    """
    size, text = 1.0, 0.45  # inches: an image, and the line above it
    width, height = size * top, (size + text) * len(queries)
    figure = _pyplot().figure(figsize=(width, height))
    for row, query in enumerate(queries):
        order = np.argsort(-similarities[row], kind="stable")[:top]
        bottom = height - (size + text) * (row + 1)
        figure.text(
            0.05 * size / width,
            (bottom + size + 0.1 * text) / height,
            f"“{query}”",
            fontsize=11,
        )
        for column, item in enumerate(order):
            axis = figure.add_axes(
                (
                    (column + 0.05) * size / width,
                    (bottom + 0.05 * size) / height,
                    0.9 * size / width,
                    0.9 * size / height,
                )
            )
            _draw_image(axis, images[item], bool(relevant[row, item]))
    figure.savefig(path, dpi=150)
    _pyplot().close(figure)


def _draw_image(axis, image: np.ndarray, right: bool) -> None:
    axis.imshow(image, interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_color(RIGHT_COLOR if right else "#cccccc")
        spine.set_linewidth(3 if right else 0.8)


def _pyplot():
    # The Agg canvas draws to files without a screen.
    require("matplotlib", extra="data").use("Agg")
    return require("matplotlib.pyplot", extra="data")


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


def save_figure(figure: Any, path: Any, bottom: float = 0.0) -> None:
    """Lay a figure out, write it as PNG and forget it.

    Args:
        figure: From `new_figure`.
        path: File name, or a binary file.
        bottom: Fraction of the height to leave free at the bottom.
    """
    figure.tight_layout(rect=(0.0, bottom, 1.0, 1.0))
    figure.savefig(path, dpi=150, format="png")
    _pyplot().close(figure)
