"""The graphs of a model on TensorFlow: one for each task and shapes.

Keras makes one `tf.function` for all of them. TensorFlow warns of a function
that is traced in five calls, as it is where a model has five tasks; and a
prediction would trace again for each size of its last batch, with sizes of
images unknown.
"""

import functools
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import keras
import tensorflow as tf


class Graphs:
    """A step of a model, traced once for each kind of batch.

    Args:
        model: The model.
        step: From a batch to nested tensors; runs on each replica.
        kind: What tells batches with graphs of their own apart.
        reduce: From the values of all replicas to one.
    """

    def __init__(
        self,
        model: Any,
        step: Callable[[Any], Any],
        kind: Callable[[Any], Hashable],
        reduce: Callable[[tuple], Any],
    ):
        self._model = model
        self._step = step
        self._kind = kind
        self._reduce = reduce
        self._graphs: dict[Hashable, Callable] = {}

    def __call__(self, batch: Any) -> Any:
        if self._model.run_eagerly:
            return self._run(batch)
        kind = self._kind(batch)
        if kind not in self._graphs:
            # TensorFlow counts the traces of a function by its code, and those
            # of a partial by itself.
            self._graphs[kind] = tf.function(
                functools.partial(self._run),
                autograph=False,
                jit_compile=self._model.jit_compile,
                reduce_retracing=True,
            )
        return self._graphs[kind](batch)

    def _run(self, batch: Any) -> Any:
        strategy = self._model.distribute_strategy
        outputs = strategy.run(self._step, args=(batch,))
        if strategy.num_replicas_in_sync == 1:
            return outputs
        return keras.tree.map_structure(
            lambda value: self._reduce(
                strategy.experimental_local_results(value)
            ),
            outputs,
        )


def stepping(model: Any, step: Callable[[Any], dict]) -> Callable:
    """A function that takes steps with the items of an iterator.

    Args:
        model: The model.
        step: From an item of a mixture to logs, the same on each replica.

    Returns:
        What Keras' trainer takes as `train_function` or `test_function`.
    """
    graphs = Graphs(model, step, kind=tuple, reduce=lambda values: values[0])

    def function(items: Iterator) -> dict:
        for _, item in zip(range(model.steps_per_execution), items):
            logs = graphs(item)
        return logs

    return function


def gradients_by_place(model: Any, step: Callable[[Any], dict]) -> Callable:
    """A function from an item of a mixture to gradients.

    Args:
        model: The model.
        step: From an item to gradients by place, the same on each replica.

    Returns:
        The function.
    """
    return Graphs(model, step, kind=tuple, reduce=lambda values: values[0])


def predicting(model: Any, step: Callable[[Any], Any]) -> Callable:
    """A function that predicts for the batches of a list.

    Args:
        model: The model.
        step: From a batch to nested tensors, each with an axis of examples.

    Returns:
        What Keras' trainer takes as `predict_function`.
    """

    def kind(batch: Any) -> Hashable:
        strategy = model.distribute_strategy
        leaves = []
        for path, leaf in keras.tree.flatten_with_path(batch):
            array = strategy.experimental_local_results(leaf)[0]
            # The last batch may have fewer examples, and nothing else.
            leaves.append((path, array.dtype, tuple(array.shape[1:])))
        return tuple(leaves)

    graphs = Graphs(model, step, kind, reduce=_concatenated)

    def function(batches: list) -> Any:
        outputs = [graphs(batch) for batch in batches]
        return keras.tree.map_structure(
            lambda *values: _concatenated(values), *outputs
        )

    return function


def _concatenated(values: tuple | list) -> tf.Tensor:
    return values[0] if len(values) == 1 else tf.concat(values, axis=0)
