"""Whether tasks pull the encoder into different directions, in the logs."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from keras import ops

from keras_imp._errors import check_integer, message
from keras_imp.training.input.host_batch import host_batch
from keras_imp.training.input.sources import open_source
from keras_imp.training.input.task_mixture import SEPARATOR, signature
from keras_imp.training.monitoring.task_logger import (
    TaskLogger,
    unchanged_random_state,
)
from keras_imp.typing import Tensor

NAME = "gradient_cosine"


class GradientConflictLogger(TaskLogger):
    """Log the cosine between the gradients of two tasks, every some steps.

    Below 0, a step of one task undoes some of what the other has learned; near
    0, the tasks do not touch each other; near 1, they want the same. The logs
    of an epoch get `gradient_cosine/<task>/<task>` for each pair, the mean
    over the measurements in it. Gradients are those of the encoder's weights
    that both tasks reach; a pair that shares none has no value.

    All measurements are of the same batches, so that a curve shows the model
    and not the draw. A gradient of one batch is noisy, which draws cosines to
    0: take more `batches`.

    Training is the same with and without it. What it costs: for each task the
    forward and the backward pass of its batches, as those of as many training
    steps, and memory for one gradient of the encoder. On JAX and TensorFlow
    one compilation more for each task.

    Args:
        data: A source of each of two tasks or more, by name, as
            `TaskMixture` takes them. Its first batches are kept in memory.
        every: Steps from one measurement to the next. The first is before the
            first step.
        batches: Batches of a task whose mean gradient is taken.

    Raises:
        ValueError: If an argument is out of range; in `fit`, if the model
            lacks a task, a batch does not fit it, or no two tasks share
            weights of the encoder.

    Example:
        >>> import keras_imp, numpy as np
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2, modalities=("image",))
        >>> model = keras_imp.AlternatingModel(encoder, [
        ...     keras_imp.tasks.Classification("objects", "image", 3),
        ...     keras_imp.tasks.Classification("colors", "image", 2)])
        >>> model.compile(optimizer="sgd")
        >>> x = {"image": np.ones((2, 16, 16, 3))}
        >>> data = {"objects": [(x, np.array([0, 2]))],
        ...         "colors": [(x, np.array([0, 1]))]}
        >>> logger = keras_imp.callbacks.GradientConflictLogger(data, every=2)
        >>> history = model.fit(keras_imp.TaskMixture(data),
        ...     steps_per_epoch=2, verbose=0, callbacks=[logger]).history
        >>> -1 <= history["gradient_cosine/objects/colors"][0] <= 1
        True

    Reference:
        [PCGrad](https://arxiv.org/abs/2001.06782), section 2: gradients with
        a negative cosine conflict.
    """

    def __init__(
        self, data: dict[str, Any], every: int = 100, batches: int = 1
    ):
        super().__init__()
        check_integer(every=every, batches=batches)
        if not isinstance(data, dict) or len(data) < 2:
            raise ValueError(
                message(
                    "`data` must be a dict with a source of two tasks or more.",
                    data=list(data)
                    if isinstance(data, dict)
                    else type(data).__name__,
                )
            )
        self.data = data
        self.every = every
        self.batches = batches

    def log_names(self, tasks: tuple[str, ...]) -> set[str]:
        return {_name(a, b) for a, b in itertools.permutations(self.data, 2)}

    def on_train_begin(self, logs: dict | None = None) -> None:
        super().on_train_begin(logs)
        model = self.model
        missing = [name for name in self.data if name not in model.tasks]
        if missing:
            raise ValueError(
                message(
                    f"The model has the tasks {list(model.tasks)}.",
                    "Give `data` of those only.",
                    data=missing,
                )
            )
        # In the order of the model, which names the pairs.
        self._items = {
            name: list(self._read(name))
            for name in model.tasks
            if name in self.data
        }

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._next: int | None = None
        self._measured: list[dict[str, float]] = []

    # Not at the end of a batch: Keras may call that in a thread of its own.
    def on_train_batch_begin(self, batch: int, logs: dict | None = None):
        if self._next is None:
            # By now a backup is restored, and the epoch is counted from here.
            state = self.model.run_state
            # Of the epoch, whose batches count from 0 after a resume too.
            self._first_step = state.run_step - state.epoch_step
            self._next = -(-state.run_step // self.every) * self.every
        step = self._first_step + batch
        if step >= self._next:
            self._next = (step // self.every + 1) * self.every
            self._measured.append(self._cosines())

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if logs is not None and self._measured:
            for name in self._measured[0]:
                values = [cosines[name] for cosines in self._measured]
                logs[name] = float(np.mean(values))

    def _read(self, name: str) -> Iterator[dict[str, tuple]]:
        """The first batches of a task, as items of a mixture."""
        source = open_source(name, self.data[name])
        for i in range(self.batches):
            batch = host_batch(source.batch(i))
            batch = self.model.prepare_batch(name, batch)
            yield {f"{name}{SEPARATOR}{signature(batch)}": batch}

    def _cosines(self) -> dict[str, float]:
        """The cosine of each pair of tasks that shares weights."""
        model = self.model
        engine = model._engine
        with unchanged_random_state(model):
            gradients = {
                name: _mean([engine.encoder_gradients(item) for item in items])
                for name, items in self._items.items()
            }
        found = {
            _name(a, b): _cosine(gradients[a], gradients[b])
            for a, b in itertools.combinations(gradients, 2)
        }
        cosines = {name: x for name, x in found.items() if x is not None}
        if not cosines:
            raise ValueError(
                message(
                    "Gradients are compared on weights of the encoder that "
                    "two tasks reach.",
                    "Leave GradientConflictLogger out.",
                    tasks=list(gradients),
                    shared_weights=0,
                )
            )
        return cosines


def _name(first: str, second: str) -> str:
    return f"{NAME}/{first}/{second}"


def _mean(gradients: list[list[Tensor | None]]) -> list[Tensor | None]:
    """Of batches of one task, which all reach the same weights."""
    if len(gradients) == 1:
        return gradients[0]
    return [
        None if each[0] is None else sum(each) / len(each)
        for each in zip(*gradients)
    ]


def _cosine(
    first: list[Tensor | None], second: list[Tensor | None]
) -> float | None:
    """Of two gradients, on what both have; NaN if one is 0 there."""
    products = [
        product
        for a, b in zip(first, second)
        if a is not None and b is not None
        for product in (_product(a, b), _product(a, a), _product(b, b))
    ]
    if not products:
        return None
    found = ops.convert_to_numpy(ops.stack(products)).reshape(-1, 3)
    dot, a, b = found.sum(axis=0, dtype="float64")
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(dot / np.sqrt(a * b))


def _product(first: Tensor, second: Tensor) -> Tensor:
    first, second = (ops.cast(x, "float32") for x in (first, second))
    return ops.sum(first * second)
