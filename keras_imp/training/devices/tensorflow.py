"""Training on several devices on TensorFlow, in a `MirroredStrategy`.

Each replica encodes its own rows of a batch. Then each gathers the inputs,
targets and predictions of all of them and computes the loss of the whole batch:
the negatives of a contrastive loss, the masks and the sums of weights are those
of one device, whatever the task. The mean of the replicas' gradients is the
gradient of that loss: the gathering hands each replica's rows the gradients of
all replicas' (equal) losses, and a weight that is used after it has the same
gradient on each. TensorFlow does not move what a loss does not use.
"""

import contextlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_imp import _keras_private as keras_private
from keras_imp._errors import message
from keras_imp.layers._runtime.replicas import Replicas, replicas, running_as
from keras_imp.training.devices.base import Placement
from keras_imp.training.devices.single import SingleDevice


class Replicated(SingleDevice):
    """The replicas of the strategy in whose scope the model was made."""

    @property
    def placement(self) -> Placement | None:
        strategy = self.model.distribute_strategy
        count = strategy.num_replicas_in_sync
        if count == 1:
            return None

        def put(array):
            parts = np.split(array, count)
            return strategy.experimental_distribute_values_from_function(
                lambda of: tf.convert_to_tensor(
                    parts[of.replica_id_in_sync_group]
                )
            )

        return Placement(count, put)

    def check(self) -> None:
        super().check()
        strategy = self.model.distribute_strategy
        if strategy.num_replicas_in_sync == 1:
            return
        if not isinstance(strategy, tf.distribute.MirroredStrategy):
            raise ValueError(
                message(
                    "The strategy must be a tf.distribute.MirroredStrategy, "
                    "whose replicas can gather a whole batch.",
                    strategy=type(strategy).__name__,
                )
            )
        variables = [self.model.step_counter]
        if getattr(self.model, "optimizer", None) is not None:
            variables += [
                self.model.optimizer.iterations,
                keras_private.loss_tracker(self.model).total,
            ]
        for variable in variables:
            if not isinstance(variable.value, tf.distribute.DistributedValues):
                raise ValueError(
                    message(
                        "The model and its optimizer must be made, and "
                        "`compile` called, in the strategy's scope.",
                        "Do so inside of `with strategy.scope():`.",
                        weight=variable.path,
                    )
                )

    def scope(self) -> contextlib.AbstractContextManager:
        return self.model.distribute_strategy.scope()

    # In a step of a replica -------------------------------------------------

    def as_replica(self, in_parts: Any = None):
        """Let layers know that they see a part of the batch.

        Args:
            in_parts: The batch that the replica cuts into microbatches, if it
                does: no collective can run inside of that loop.
        """
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync == 1:
            return contextlib.nullcontext()
        if in_parts is not None:
            _check_microbatches(in_parts, context.num_replicas_in_sync)

        return running_as(
            Replicas(
                context.num_replicas_in_sync,
                _index(context),
                [] if in_parts is None else None,
            )
        )

    def run_deferred_reductions(self) -> tf.Tensor:
        """Run what layers deferred, after the forward pass.

        Returns:
            What that adds to the loss.
        """
        context = tf.distribute.get_replica_context()
        added = tf.zeros(())
        for values, then in replicas().deferred or ():
            values = [tf.stop_gradient(value) for value in values]
            added += then(
                context.all_reduce(tf.distribute.ReduceOp.MEAN, values)
            )
        return added

    def gather(self, batch: Any, y_pred: Any) -> tuple[Any, Any]:
        context = tf.distribute.get_replica_context()
        count = context.num_replicas_in_sync
        if count == 1:
            return batch, y_pred

        def whole(array):
            if array is None:
                return None
            array = tf.convert_to_tensor(array)
            if array.shape.rank == 0:
                raise ValueError(
                    message(
                        f"Task {batch.task.name!r}: what `call` returns must "
                        "have an axis of examples, which replicas share.",
                        shape=(),
                        replicas=count,
                    )
                )
            size, *rest = array.shape
            array = context.all_gather(array, axis=0)
            return tf.ensure_shape(array, (size * count, *rest))

        arrays = keras.tree.map_structure(whole, batch.arrays)
        y_pred = keras.tree.map_structure(whole, y_pred)
        return batch.with_arrays(arrays), y_pred

    def mean(self, tensors: list[Any]) -> list[Any]:
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync == 1:
            return tensors
        some = [tensor for tensor in tensors if tensor is not None]
        means = iter(context.all_reduce(tf.distribute.ReduceOp.MEAN, some))
        return [None if t is None else next(means) for t in tensors]

    def apply_if(
        self, update: tf.Tensor, optimizer: Any, pairs: list[tuple]
    ) -> None:
        """Apply gradients that are the same on each replica, on condition.

        The optimizer's own reduction is a sum, after its clipping. So the
        first replica brings the gradient and the others bring zeros.
        """
        gradients, variables = map(list, zip(*pairs))

        def apply(gradients):
            context = tf.distribute.get_replica_context()
            if _index(context):
                gradients = [tf.zeros_like(gradient) for gradient in gradients]
            optimizer.apply_gradients(zip(gradients, variables))

        def together(strategy, update, gradients):
            def apply_everywhere():
                strategy.extended.call_for_each_replica(
                    apply, args=(gradients,)
                )
                return tf.constant(True)

            # A replica's own condition cannot hold collectives.
            first = strategy.experimental_local_results(update)[0]
            tf.cond(first, apply_everywhere, lambda: tf.constant(False))

        tf.distribute.get_replica_context().merge_call(
            together, args=(update, gradients)
        )

    @property
    def keeps_metrics(self) -> bool:
        return _index(tf.distribute.get_replica_context()) == 0

    def share_logs(self, logs: dict[str, Any]) -> dict[str, Any]:
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync == 1:
            return logs
        if _index(context):
            logs = {name: tf.zeros_like(log) for name, log in logs.items()}
        return context.all_reduce(tf.distribute.ReduceOp.SUM, logs)


def make_devices(model: keras.Model) -> Replicated:
    """The devices of a model.

    Args:
        model: The model.

    Returns:
        The devices.
    """
    return Replicated(model)


def _index(context: tf.distribute.ReplicaContext) -> int:
    """Number of a replica, known when its step is traced."""
    return int(tf.get_static_value(context.replica_id_in_sync_group))


def _check_microbatches(batch: Any, replicas: int) -> None:
    task = batch.task
    if task.accumulate == "mean":
        raise ValueError(
            message(
                f"Task {task.name!r}: several replicas cannot take the mean "
                "over the losses of microbatches.",
                "Use accumulate='exact'.",
                accumulate=task.accumulate,
                replicas=replicas,
            )
        )
    examples = keras.tree.flatten(batch.x)[0].shape[0]
    if examples % task.microbatches:
        raise ValueError(
            message(
                f"Task {task.name!r}: the examples of each replica must be a "
                "multiple of `microbatches`.",
                "Use another batch size or another number of parts.",
                examples=examples,
                replicas=replicas,
                microbatches=task.microbatches,
            )
        )
