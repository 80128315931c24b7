"""Which classes are taken for which."""

from pathlib import Path
from typing import Any

import numpy as np

from keras_imp._errors import check_positive, message
from keras_imp.evaluation.figures import AS_IT_IS, new_figure, save_figure

# Most classes with a number in each cell, and with a count below it.
NUMBERS, COUNTS = 30, 15
# Fraction of the darkest blue. Up to 1, black is read well on all others.
BLUEST = 1.6
# Inches of a cell.
CELL = 0.5
LETTER = 0.085


def confusion_matrix(
    targets: np.ndarray, predictions: np.ndarray, num_classes: int
) -> np.ndarray:
    """Count the examples of each class by the class they are taken for.

    Args:
        targets: Class ids, integers of shape `(examples,)`.
        predictions: Predicted class ids, same shape.
        num_classes: Number of classes.

    Returns:
        int64, shape `(num_classes, num_classes)`: row of the class, column of
        the prediction.

    Raises:
        ValueError: If the shapes differ, or an id is no class.
        TypeError: If the ids are no integers.

    Example:
        >>> import numpy as np
        >>> from keras_imp.evaluation import confusion_matrix
        >>> confusion_matrix(
        ...     np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    check_positive(num_classes=num_classes)
    targets, predictions = np.asarray(targets), np.asarray(predictions)
    _check_ids(targets, predictions, num_classes)
    counts = np.zeros((num_classes, num_classes), "int64")
    np.add.at(counts, (targets, predictions), 1)
    return counts


def plot_confusion(
    targets: np.ndarray,
    predictions: np.ndarray,
    names: list[str] | tuple[str, ...],
    path: str | Path,
    sort: bool = True,
) -> None:
    """Draw which classes are taken for which.

    A cell has the percentage of its row's class that is taken for its column's,
    and below it, of few classes, the number of examples. The recall of each
    class, the fraction that is found, stands on the right.

    Args:
        targets: Class ids, integers of shape `(examples,)`.
        predictions: Predicted class ids, same shape.
        names: Names of the classes, by id.
        path: PNG to write.
        sort: Whether the class that is found best is first. Else the order is
            that of `names`.

    Raises:
        ValueError: If the shapes differ, an id has no name, or there is no
            example.
        TypeError: If the ids are no integers.

    Example:
        >>> import numpy as np, os, tempfile
        >>> from keras_imp.evaluation import plot_confusion
        >>> file = os.path.join(tempfile.mkdtemp(), "confusion.png")
        >>> plot_confusion(
        ...     np.array([0, 0, 1]), np.array([0, 1, 1]), ["cat", "dog"], file)
        >>> os.path.getsize(file) > 1000
        True
    """
    counts = confusion_matrix(targets, predictions, len(names))
    total = counts.sum(axis=1)
    if not total.any():
        raise ValueError(
            message("There must be at least one example.", examples=0)
        )
    # A class without examples has no recall: NaN, and the last place.
    recall = np.where(total, np.diag(counts) / np.maximum(total, 1), np.nan)
    order = np.arange(len(names))
    if sort:
        order = np.argsort(-recall, kind="stable")
    counts, recall = counts[np.ix_(order, order)], recall[order]
    labels = [str(names[index]) for index in order]
    text = LETTER * max(len(label) for label in labels)
    side = max(2.4, CELL * len(names))
    figure, (axis,) = new_figure(1, 1, (side + text + 2.0, side + text + 1.1))
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axis.imshow(fractions, cmap="Blues", vmin=0.0, vmax=BLUEST, aspect="equal")
    _draw_numbers(axis, counts, fractions)
    _draw_labels(axis, labels, recall, counts.sum(axis=1))
    found, every = int(np.trace(counts)), int(counts.sum())
    axis.set_title(
        f"{found / every:.1%} of {every:,} examples right", fontsize=11, pad=24
    )
    save_figure(figure, path)


def _draw_numbers(axis: Any, counts: np.ndarray, fractions: np.ndarray) -> None:
    """Write into the cells that hold an example; outline the right ones."""
    if len(counts) > NUMBERS:
        return
    for row, column in np.argwhere(counts):
        number = _percent(fractions[row, column])
        if len(counts) <= COUNTS:
            number += f"\n{counts[row, column]}"
        axis.text(
            column,
            row,
            number,
            ha="center",
            va="center",
            fontsize=7.5,
        )
    half = np.array([-0.5, 0.5, 0.5, -0.5, -0.5])
    for index in range(len(counts)):
        axis.plot(index + half, index + np.roll(half, 1), color="#444444", lw=1)


def _draw_labels(
    axis: Any, labels: list[str], recall: np.ndarray, total: np.ndarray
) -> None:
    """Name the classes, and write what is found of each on the right."""
    places, size = range(len(labels)), 9 if len(labels) <= NUMBERS else 6
    axis.set_yticks(places, labels, fontsize=size, **AS_IT_IS)
    axis.set_xticks(
        places,
        labels,
        fontsize=size,
        rotation=45,
        ha="right",
        rotation_mode="anchor",
        **AS_IT_IS,
    )
    axis.set_ylabel("class", fontsize=10)
    axis.set_xlabel("predicted class", fontsize=10)
    right = len(labels) - 0.3
    axis.text(right, -0.65, "found", fontsize=size, va="bottom")
    for row, (fraction, examples) in enumerate(zip(recall, total)):
        found = "no example"
        if examples:
            found = f"{_percent(fraction)} of {examples}"
        axis.text(right, row, found, fontsize=size, va="center")


def _percent(fraction: float) -> str:
    """Without decimals; one example of many is more than none."""
    return "<1%" if 0 < fraction < 0.01 else f"{fraction:.0%}"


def _check_ids(
    targets: np.ndarray, predictions: np.ndarray, num_classes: int
) -> None:
    if targets.shape != predictions.shape or targets.ndim != 1:
        raise ValueError(
            message(
                "`targets` and `predictions` must have the same shape "
                "(examples,).",
                targets=targets.shape,
                predictions=predictions.shape,
            )
        )
    for name, ids in (("targets", targets), ("predictions", predictions)):
        if not np.issubdtype(ids.dtype, np.integer):
            raise TypeError(
                message(
                    f"`{name}` must be integers.",
                    "Of scores, take the best class: scores.argmax(axis=1).",
                    dtype=str(ids.dtype),
                )
            )
        if len(ids) and not 0 <= ids.min() <= ids.max() < num_classes:
            raise ValueError(
                message(
                    f"`{name}` must be in [0, {num_classes}), the classes.",
                    lowest=int(ids.min()),
                    highest=int(ids.max()),
                )
            )
