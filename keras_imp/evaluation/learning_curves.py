"""The loss of each task over the steps, beside the loss of guessing."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_imp._errors import check_positive, message
from keras_imp.evaluation.figures import (
    AS_IT_IS,
    CHANCE_COLOR,
    TRAIN_COLOR,
    VALIDATION_COLOR,
    new_figure,
    save_figure,
)
from keras_imp.tasks.combined import tasks_and_parts

# A prefix of the history's names, its label and its color.
CURVES = (
    ("", "training", TRAIN_COLOR),
    ("val_", "validation", VALIDATION_COLOR),
)
LEGEND = 0.35  # inches


def chance_losses(
    model: Any,
    batch_sizes: Mapping[str, int],
    validation_batch_sizes: Mapping[str, int] | None = None,
) -> dict[str, float]:
    """The loss of each task whose answers all score alike.

    Of classification it is ln(classes); of a contrastive softmax
    ln(examples of a batch), or less where captions repeat, which are no
    negatives of each other.

    Args:
        model: An `AlternatingModel`.
        batch_sizes: Examples of a training batch, by task.
        validation_batch_sizes: Those of a validation batch. Defaults to
            `batch_sizes`.

    Returns:
        Losses in nats, by the names of a history without `/loss`: of training
        `<task>`, of validation `val_<task>`; of a part `<task>/<part>`. A task
        is left out that has no such number, as a regression.

    Raises:
        ValueError: If a task is none of the model's, or has no batch size of
            1 or more.

    Example:
        >>> import keras_imp
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2, ("image", "text"),
        ...     vocabulary_size=10)
        >>> model = keras_imp.AlternatingModel(encoder, [
        ...     keras_imp.tasks.Classification("objects", "image", 10),
        ...     keras_imp.tasks.Contrastive("captions", projection_dim=8)])
        >>> chance = keras_imp.evaluation.chance_losses(
        ...     model, {"objects": 64, "captions": 64}, {"captions": 32})
        >>> {name: round(loss, 2) for name, loss in chance.items()}
        {'objects': 2.3, 'captions': 4.16, 'val_captions': 3.47}
    """
    if validation_batch_sizes is None:
        validation_batch_sizes = batch_sizes
    found: dict[str, float] = {}
    for prefix, sizes in (("", batch_sizes), ("val_", validation_batch_sizes)):
        for name, examples in sizes.items():
            _check_task(model, name)
            check_positive(examples=examples)
            task = model.tasks[name]
            # Each part of such a batch contrasts its own examples.
            if not prefix and task.accumulate == "mean":
                examples //= task.microbatches
            for place, each in tasks_and_parts({name: task}).items():
                loss = _chance(each, examples)
                if loss is not None:
                    found[f"{prefix}{place}"] = loss
    return found


def _chance(task: Any, examples: int) -> float | None:
    if examples < task.min_examples:
        return None
    loss = task.chance_loss(examples)
    return None if loss is None else loss * task.loss_weight


def plot_learning_curves(
    history: Any,
    path: str | Path,
    steps_per_epoch: int = 1,
    chance: Mapping[str, float] | None = None,
) -> None:
    """Draw the loss of each task over the steps, training and validation.

    Args:
        history: What `AlternatingModel.fit` returns, or its `table()`: lists
            with a value for each epoch. NaN (task not drawn) is passed over:
            the line connects its neighbors.
        path: PNG to write.
        steps_per_epoch: Steps between two values.
        chance: Losses of guessing, from `chance_losses`: a dashed line in a
            task's panel, or two where training and validation differ.

    Raises:
        ValueError: If the history has no task losses, or not all of them have
            a value for each epoch.

    Example:
        >>> import tempfile, os
        >>> from keras_imp.evaluation import plot_learning_curves
        >>> file = os.path.join(tempfile.mkdtemp(), "curves.png")
        >>> plot_learning_curves(
        ...     {"a/loss": [2.0, 1.0]}, file, chance={"a": 2.3})
        >>> os.path.getsize(file) > 1000
        True
    """
    curves = history.table() if hasattr(history, "table") else history
    losses = {k: v for k, v in curves.items() if k.endswith("/loss")}
    _check_losses(losses, curves)
    # A task before its parts.
    tasks = sorted(
        name.removesuffix("/loss")
        for name in losses
        if not name.startswith("val_")
    )
    columns = min(3, len(tasks))
    rows = math.ceil(len(tasks) / columns)
    height = 2.6 * rows + LEGEND
    figure, axes = new_figure(rows, columns, (max(4.4, 3.4 * columns), height))
    for axis in axes[len(tasks) :]:
        axis.set_visible(False)
    for task, axis in zip(tasks, axes, strict=False):
        _draw_curves(axis, task, losses, steps_per_epoch)
        _draw_chance(axis, task, chance or {})
        axis.set_title(task, loc="left", fontsize=11, **AS_IT_IS)
        axis.set_xlabel("training step")
        axis.set_ylabel("loss (nats)")
        # Room above: a flat curve would lie on the frame.
        axis.set_ylim(0, 1.08 * axis.get_ylim()[1])
        axis.grid(alpha=0.3)
    _draw_legend(figure, axes)
    save_figure(figure, path, bottom=LEGEND / height)


def _draw_curves(
    axis: Any, task: str, losses: dict[str, Any], steps_per_epoch: int
) -> None:
    for prefix, label, color in CURVES:
        values = np.asarray(losses.get(f"{prefix}{task}/loss", ()), float)
        drawn = np.isfinite(values)
        if drawn.any():
            steps = (np.arange(len(values)) + 1) * steps_per_epoch
            axis.plot(
                steps[drawn],
                values[drawn],
                color=color,
                label=label,
                marker="o" if prefix else "s",
                markersize=3.5,
            )


def _draw_chance(axis: Any, task: str, chance: Mapping[str, float]) -> None:
    trained, validated = (
        chance.get(f"{prefix}{task}") for prefix, *_ in CURVES
    )
    lines = [
        (loss, f"chance, {label}", color)
        for loss, (_, label, color) in zip((trained, validated), CURVES)
        if loss is not None
    ]
    if trained == validated or len(lines) == 1:
        lines = [(loss, "chance", CHANCE_COLOR) for loss, *_ in lines[:1]]
    for loss, label, color in lines:
        axis.axhline(loss, color=color, label=label, linestyle="--", lw=1.2)
    if lines:
        numbers = " and ".join(f"{loss:.2f}" for loss, *_ in lines)
        axis.set_title(f"chance {numbers}", loc="right", fontsize=8)


def _draw_legend(figure: Any, axes: np.ndarray) -> None:
    handles: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels()):
            handles.setdefault(label, handle)
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="lower center",
        ncols=len(handles) or 1,
        frameon=False,
        fontsize=9,
    )


def _check_task(model: Any, name: str) -> None:
    if name not in model.tasks:
        raise ValueError(
            message(f"The model has the tasks {list(model.tasks)}.", task=name)
        )


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
