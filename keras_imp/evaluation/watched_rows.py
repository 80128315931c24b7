"""What a run of the command line measures at each epoch, if it is asked to."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_imp.callbacks import (
    EmbeddingProjector,
    GradientConflictLogger,
    RetrievalLogger,
)
from keras_imp.data.arrays import Arrays
from keras_imp.tasks import Combined, Contrastive
from keras_imp.tasks.combined import tasks_and_parts

# Rows of a task that are measured at each epoch.
MOST = 500
# Batches of a task whose mean gradient is compared.
BATCHES = 2


class WatchedRows(NamedTuple):
    """Some rows of the validation data of a task.

    Attributes:
        x: Inputs by modality.
        y: Targets, or None.
        labels: A text for each row.
        batch_size: Examples of a batch in training.
    """

    x: dict[str, np.ndarray]
    y: Any
    labels: Sequence[str]
    batch_size: int

    @property
    def batches(self) -> Arrays:
        """The rows as batches."""
        size = min(self.batch_size, len(self.labels))
        return Arrays(self.x, self.y, batch_size=size)


def watching(
    tasks: Mapping[str, Any],
    rows: Mapping[str, WatchedRows],
    logs: Path,
    steps_per_epoch: int,
) -> list[keras.callbacks.Callback]:
    """Callbacks that measure conflict and recall, and write the projector.

    Args:
        tasks: The tasks of a model.
        rows: Rows to measure with, by task.
        logs: Folder of TensorBoard.
        steps_per_epoch: Steps of an epoch. Gradients are compared once in it.

    Returns:
        The callbacks.
    """
    callbacks: list[keras.callbacks.Callback] = []
    if len(rows) > 1:
        batches = {name: each.batches for name, each in rows.items()}
        callbacks.append(
            GradientConflictLogger(batches, steps_per_epoch, BATCHES)
        )
    for name, task in tasks_and_parts(dict(tasks)).items():
        of = rows[name.partition("/")[0]]
        x = {modality: of.x[modality] for modality in task.modalities}
        if isinstance(task, Contrastive):
            callbacks.append(RetrievalLogger(name, x))
            # Two of three modalities, if there are so many.
            x = dict(list(x.items())[:2])
        elif "/" in name or isinstance(task, Combined):
            # The parts of a task share its vectors.
            continue
        callbacks.append(EmbeddingProjector(logs, name, x, of.labels))
    return callbacks


def spread_rows(
    x: dict[str, np.ndarray], y: Any, labels: Sequence[str], batch_size: int
) -> WatchedRows:
    """At most `MOST` of some rows, evenly over them.

    Args:
        x: Inputs by modality.
        y: Targets: an array, a dict of them, or None.
        labels: A text for each row.
        batch_size: Examples of a batch in training.

    Returns:
        The rows.
    """
    count = len(labels)
    chosen = np.linspace(0, count - 1, min(MOST, count)).astype(int)
    x, y = keras.tree.map_structure(
        lambda array: None if array is None else np.asarray(array)[chosen],
        (x, y),
    )
    return WatchedRows(x, y, [labels[row] for row in chosen], batch_size)
