"""The train step on TensorFlow, and how its trainer reads a mixture."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from keras_imp.training.devices.tensorflow import Replicated
from keras_imp.training.input.task_mixture import SKIP
from keras_imp.training.optimizers.gradient_dtypes import for_clipping
from keras_imp.training.step.accumulation import is_float, merge, split
from keras_imp.training.step.engine import InPlaceEngine
from keras_imp.training.step.program import StepProgram
from keras_imp.training.step.tensorflow_graphs import (
    gradients_by_place,
    predicting,
    stepping,
)


class TensorFlowEngine(InPlaceEngine):
    """Steps that are graphs, on one device or as one of several replicas."""

    devices: Replicated

    def __init__(self, program: StepProgram):
        super().__init__(program)
        self._gradients: Callable | None = None

    def train_step(self, data):
        if SKIP in data:
            return self.program.logs_so_far()
        batch = self.program.unpack(data)
        state = self._layer_state()
        *gradients, loss, y_pred = self._differentiate(batch)
        variables = self.model.trainable_variables
        if self.model.update == "all":
            gradients = [
                tf.zeros_like(v.value) if g is None else g
                for g, v in zip(gradients, variables)
            ]
        pairs = [(g, v) for g, v in zip(gradients, variables) if g is not None]
        # In float32: heads and encoder may have two dtypes.
        norm = tf.linalg.global_norm([tf.cast(g, "float32") for g, _ in pairs])
        norm = norm / self._loss_scale()
        update, logs = self.program.finish(batch, y_pred, loss, norm)
        gradients, variables = map(list, zip(*pairs))
        gradients = for_clipping(gradients, self.model.optimizer)
        # Refuse the update of a loss that is not finite.
        self.devices.apply_if(
            update, self.model.optimizer, list(zip(gradients, variables))
        )
        for variable, before in zip(self.program.layer_state, state):
            variable.assign(tf.where(update, variable.value, before))
        return logs

    def test_step(self, data):
        batch = self.program.unpack(data)
        with self.devices.as_replica():
            loss, y_pred = self.program.run(batch, training=False)
            loss = loss + self.devices.run_deferred_reductions()
        (loss,) = self.devices.mean([loss])
        return self.program.record(batch, y_pred, loss)

    def predict_step(self, data):
        with self.devices.as_replica():
            outputs = super().predict_step(data)
            self.devices.run_deferred_reductions()
            return outputs

    def make_train_function(self, force: bool) -> None:
        model = self.model
        if model.train_function is None or force:
            model.train_function = stepping(model, model.train_step)

    def make_test_function(self, force: bool) -> None:
        model = self.model
        if model.test_function is None or force:
            model.test_function = stepping(model, model.test_step)

    def make_predict_function(self, force: bool) -> None:
        model = self.model
        if model.predict_function is None or force:
            model.predict_function = predicting(model, model.predict_step)

    def encoder_gradients(self, item):
        if self._gradients is None:
            self._gradients = gradients_by_place(
                self.model, self._encoder_gradients
            )
        place = self.devices.placement or _to_tensors
        found = self._gradients(place(item))
        count = len(self.model.encoder.trainable_variables)
        return [found.get(str(i)) for i in range(count)]

    def _encoder_gradients(self, data):
        """By place in the encoder's variables: a graph returns no None."""
        state = self._layer_state()
        *gradients, _, _ = self._differentiate(self.program.unpack(data))
        self._put_back_layer_state(state)
        variables = self.model.trainable_variables
        found = {id(v): g for v, g in zip(variables, gradients)}
        of_encoder = [
            found.get(id(v)) for v in self.model.encoder.trainable_variables
        ]
        return {str(i): g for i, g in enumerate(of_encoder) if g is not None}

    # Gradients ---------------------------------------------------------------

    def _differentiate(self, batch):
        """Gradients and loss, means over replicas, then predictions."""
        in_parts = batch.microbatches > 1
        differentiate = self._in_parts if in_parts else self._at_once
        with self.devices.as_replica(batch if in_parts else None):
            gradients, loss, y_pred = differentiate(batch)
        return [*self.devices.mean([*gradients, loss]), y_pred]

    def _at_once(self, batch):
        """Gradients, loss and predictions of a whole batch."""
        variables = [v.value for v in self.model.trainable_variables]
        with tf.GradientTape() as tape:
            loss, y_pred = self.program.run(batch, training=True)
            loss = loss + self.devices.run_deferred_reductions()
            scaled = self.model.optimizer.scale_loss(loss)
        return _dense(tape.gradient(scaled, variables)), loss, y_pred

    def _in_parts(self, batch):
        """The same of a batch whose parts go through the encoder in turn."""
        parts = split(batch.arrays, batch.task.microbatches)
        if batch.task.accumulate == "mean":
            return self._mean_of_parts(batch, parts)
        return self._two_passes(batch, parts)

    def _mean_of_parts(self, batch, parts):
        count = batch.task.microbatches

        def one_part(arrays):
            gradients, *rest = self._at_once(batch.with_arrays(arrays))
            return [None if g is None else g / count for g in gradients], rest

        gradients, (losses, y_pred) = _in_turn(one_part, parts, count)
        return gradients, tf.reduce_mean(losses), merge(y_pred)

    def _two_passes(self, batch, parts):
        """Exact: the loss sees the whole batch, the encoder a part at a time.

        The first pass keeps nothing but predictions, the second one repeats
        each part from the same random state, with the gradient of the loss
        with respect to its predictions (GradCache).
        """
        count = batch.task.microbatches
        variables = [v.value for v in self.model.trainable_variables]
        before = self._snapshot()
        _, (y_pred, added) = _in_turn(
            lambda arrays: ([], self._run(batch, arrays)), parts, count
        )
        y_pred = merge(y_pred)
        after = self._snapshot()
        floats = [y for y in keras.tree.flatten(y_pred) if is_float(y)]
        with tf.GradientTape() as tape:
            tape.watch(floats)
            loss = self.program.task_loss(batch, y_pred)
            scaled = self.model.optimizer.scale_loss(loss)
        gradients, output_gradients = tape.gradient(scaled, (variables, floats))

        def second(item):
            arrays, output_gradients = item
            with tf.GradientTape() as tape:
                y_pred, added = self._run(batch, arrays)
                floats = [y for y in keras.tree.flatten(y_pred) if is_float(y)]
                surrogate = self.model.optimizer.scale_loss(added / count)
                for y, gradient in zip(floats, output_gradients):
                    # None where the loss does not see an output.
                    if gradient is not None:
                        # A head may compute in another dtype than float32.
                        product = tf.cast(y * gradient, surrogate.dtype)
                        surrogate += tf.reduce_sum(product)
            return _dense(tape.gradient(surrogate, variables)), ()

        self._restore(before)
        output_gradients = split(output_gradients, count)
        gradients, _ = _in_turn(
            second, (parts, output_gradients), count, _dense(gradients)
        )
        self._restore(after)
        return gradients, loss + tf.reduce_mean(added), y_pred

    # Helpers -----------------------------------------------------------------

    def _run(self, batch, arrays):
        return self.program.forward(batch.with_arrays(arrays), training=True)


def make_engine(program: StepProgram) -> TensorFlowEngine:
    """The engine of a model.

    Args:
        program: What a step does with a batch.

    Returns:
        The engine.
    """
    return TensorFlowEngine(program)


def one_at_a_time(
    keyed: Callable[[Callable], Iterator],
    placement: Callable[[Any], Any] | None = None,
) -> tf.distribute.DistributedDataset:
    """A mixture as something whose items may each have another structure.

    Keras builds a `tf.data.Dataset` with one element spec from anything else.
    It leaves a `tf.distribute.DistributedDataset` alone, and hands its iterator
    to the model's function, which has one graph per structure.

    Args:
        keyed: From a conversion of an item to an iterator.
        placement: Puts an item on several devices; None for one device.

    Returns:
        An iterable of that public interface.
    """

    class OneAtATime(tf.distribute.DistributedDataset):
        def __iter__(self):
            return keyed(placement or _to_tensors)

    return OneAtATime()


def _to_tensors(item: Any) -> Any:
    return keras.tree.map_structure(
        lambda a: None if a is None else tf.convert_to_tensor(a), item
    )


def _dense(gradients: list) -> list:
    """Gradients as tensors: the norm of slices would count rows twice."""
    return [None if g is None else tf.convert_to_tensor(g) for g in gradients]


def _in_turn(
    function: Callable, arrays: Any, count: int, total: list | None = None
) -> tuple[list, Any]:
    """Call `gradients, outputs = function(arrays of part i)` for each part.

    A loop needs to know beforehand which variables have a gradient and what the
    outputs look like: a trace that is thrown away tells.

    Args:
        function: From nested tensors to a list of gradients, where None is
            allowed, and nested tensors.
        arrays: Nested tensors of shape `(count, ...)`, or None.
        count: Number of parts.
        total: What to add the gradients to.

    Returns:
        Sum of the gradients, and the outputs, stacked.
    """
    spec = keras.tree.map_structure(_one_part, arrays)
    traced = tf.function(function).get_concrete_function(spec)
    gradients, outputs = traced.structured_outputs
    total = [
        tf.zeros(g.shape, g.dtype) if t is None and g is not None else t
        for t, g in zip(total or [None] * len(gradients), gradients)
    ]
    used = [i for i, gradient in enumerate(gradients) if gradient is not None]
    written = [
        tf.TensorArray(y.dtype, count, element_shape=y.shape)
        for y in keras.tree.flatten(outputs)
    ]

    def step(i, sums, written):
        part = keras.tree.map_structure(
            lambda array: None if array is None else array[i], arrays
        )
        gradients, outputs = function(part)
        sums = [s + gradients[k] for s, k in zip(sums, used)]
        flat = keras.tree.flatten(outputs)
        written = [a.write(i, y) for a, y in zip(written, flat)]
        return i + 1, sums, written

    _, sums, written = tf.while_loop(
        lambda i, *_: i < count,
        step,
        (tf.constant(0), [total[i] for i in used], written),
        # One part at a time is in memory.
        parallel_iterations=1,
        maximum_iterations=count,
    )
    for i, value in zip(used, sums):
        total[i] = value
    stacked = [array.stack() for array in written]
    return total, keras.tree.pack_sequence_as(outputs, stacked)


def _one_part(array: tf.Tensor | None) -> tf.TensorSpec | None:
    if array is None:
        return None
    return tf.TensorSpec(array.shape[1:], array.dtype)
