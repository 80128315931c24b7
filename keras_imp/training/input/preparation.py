"""What happens to each batch on the host before a model gets it."""

import warnings
from typing import Any

import keras
import numpy as np

from keras_imp._errors import message
from keras_imp.tasks.task import Task, count_examples
from keras_imp.training.input.checks import (
    Named,
    check_inputs,
    check_order,
    check_parts,
    check_sample_weight,
)
from keras_imp.training.input.prediction import by_modality, check_lengths


def prepared(task: Task, encoder: Any, batch: tuple, training: bool) -> tuple:
    """A batch that was checked, with what its task needs.

    Args:
        task: The task.
        encoder: The encoder of the model.
        batch: `(x,)`, `(x, y)` or `(x, y, sample_weight)` of arrays.
        training: Whether it is to be trained on. In an evaluation, whose last
            batches may be smaller, one with too few examples for the task is
            kept without weight, with a warning.

    Returns:
        The batch without modalities that the task does not use.

    Raises:
        ValueError: If the batch does not fit the task; it names the task.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
    check_order(task, x, y)
    x = by_modality(task, x)
    check_inputs(task, x, encoder, y=y)
    others = [name for name in x if name not in task.modalities]
    x = {modality: x[modality] for modality in task.modalities}
    check_lengths(task, x)
    with Named(task):
        check_sample_weight(x, sample_weight)
        if training:
            check_parts(task, x)
        elif _has_too_few(task, x):
            sample_weight = np.zeros(count_examples(x), "float32")
            batch = (x, y, sample_weight)
        try:
            task.check_batch(x, y, sample_weight)
        except ValueError as error:
            if y is not None or not others:
                raise
            raise ValueError(
                f"{error} The batch also has {others}: give targets as `y`, "
                "not in `x`."
            ) from error
    return (x, *batch[1:])


def _has_too_few(task: Task, x: dict[str, Any]) -> bool:
    """Whether a batch of an evaluation has no loss; warns if so."""
    examples = count_examples(x)
    if not 0 < examples < task.min_examples:
        return False
    warnings.warn(
        message(
            f"Task {task.name!r}: a batch to evaluate needs at least "
            f"{task.min_examples} examples; those of a smaller one do not "
            "count.",
            "Use another batch size, or leave out a smaller last batch: "
            "keras_imp.data.Arrays(..., drop_last=True).",
            examples=examples,
        ),
        stacklevel=2,
    )
    return True
