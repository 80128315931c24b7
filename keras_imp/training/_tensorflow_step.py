"""The train step on TensorFlow, and how its trainer reads a mixture."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf


class BackendStep:
    """`train_step` and `test_step` as Keras' TensorFlow trainer calls them."""

    def train_step(self, data):
        batch = self.unpack(data)
        variables = self.trainable_variables
        with tf.GradientTape() as tape:
            loss, y_pred = self.batch_loss(batch, training=True)
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, [v.value for v in variables])
        if self.update == "all":
            gradients = [
                tf.zeros_like(v.value) if g is None else g
                for g, v in zip(gradients, variables)
            ]
        pairs = [(g, v) for g, v in zip(gradients, variables) if g is not None]
        # Refuse the update of a loss that is not finite.
        tf.cond(
            self.count_step(batch, loss),
            lambda: self._apply(pairs),
            lambda: tf.constant(False),
        )
        return self.record(batch, y_pred, loss)

    def keep_state(self) -> contextlib.AbstractContextManager:
        """Variables keep their values here whatever happens."""
        return contextlib.nullcontext()

    def test_step(self, data):
        batch = self.unpack(data)
        loss, y_pred = self.batch_loss(batch, training=False)
        return self.record(batch, y_pred, loss)

    def _apply(self, pairs) -> tf.Tensor:
        self.optimizer.apply_gradients(pairs)
        return tf.constant(True)


def one_at_a_time(
    keyed: Callable[[Callable], Iterator],
) -> tf.distribute.DistributedDataset:
    """A mixture as something whose items may each have another structure.

    Keras builds a `tf.data.Dataset` with one element spec from anything else.
    It leaves a `tf.distribute.DistributedDataset` alone and then calls its
    one-step function, a `tf.function` that keeps one graph per structure.

    Args:
        keyed: From a conversion of an item to an iterator.

    Returns:
        An iterable of that public interface.
    """

    class OneAtATime(tf.distribute.DistributedDataset):
        def __iter__(self):
            return keyed(_to_tensors)

    return OneAtATime()


def _to_tensors(item: Any) -> Any:
    return keras.tree.map_structure(tf.convert_to_tensor, item)
