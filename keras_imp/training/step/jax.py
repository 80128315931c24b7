"""The train step on JAX: a pure function of the state and one batch."""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import keras
from jax import numpy as jnp

from keras_imp.training.devices.jax import Devices
from keras_imp.training.input.task_mixture import SKIP
from keras_imp.training.step.accumulation import is_float, merge, split


class _ReadRecorder(keras.StatelessScope):
    """A scope that remembers which variables were read in it.

    What the traced forward pass read is what the loss can reach: that is how
    the idle variables of a step are known without a second trace.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.read: set[int] = set()

    def get_current_value(self, variable):
        self.read.add(id(variable))
        return super().get_current_value(variable)


class _Values(NamedTuple):
    """Values of the model's variables, in Keras' order."""

    trainable: list[jax.Array]
    non_trainable: list[jax.Array]
    metrics: list[jax.Array]


class BackendStep(Devices):
    """`train_step` and `test_step` as Keras' JAX trainer calls them."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_jax_state":
            # Where Keras keeps the state between steps. As any attribute, it
            # would look there for layers to track, array by array, after each
            # step: half of the time that `fit` adds to a small one.
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def train_step(self, state, data):
        trainable, non_trainable, optimizer, metrics = state
        values = _Values(trainable, non_trainable, metrics)
        if SKIP in data:
            logs, _ = self._scoped(self.logs_so_far, values)
            return logs, state
        batch = self.unpack(data)
        scale = self._loss_scale(optimizer)
        touched: set[int] = set()
        in_parts = batch.microbatches > 1
        differentiate = self._in_parts if in_parts else self._at_once
        gradients, loss, y_pred, values = differentiate(
            batch, values, scale, touched
        )
        if self.update == "touched":
            gradients = [
                gradient if id(variable) in touched else None
                for gradient, variable in zip(
                    gradients, self.trainable_variables
                )
            ]
        norm = _global_norm(gradients) / scale
        (update, logs), values = self._scoped(
            lambda: self.finish_step(batch, y_pred, loss, norm), values
        )
        new = self._apply(gradients, trainable, optimizer)

        # Refuse the update of a loss that is not finite. XLA fuses the choice
        # into the update; variables that the step does not touch stay as is.
        def choose(old, new):
            return old if new is old else jnp.where(update, new, old)

        trainable, optimizer = jax.tree.map(
            choose, (list(trainable), list(optimizer)), new
        )
        layers = {id(variable) for variable in self.layer_state}
        non_trainable = [
            choose(old, new) if id(variable) in layers else new
            for variable, old, new in zip(
                self.non_trainable_variables,
                non_trainable,
                values.non_trainable,
            )
        ]
        return logs, (trainable, non_trainable, optimizer, values.metrics)

    @contextlib.contextmanager
    def keep_state(self) -> Iterator[None]:
        """Let no variable lose its value when a run breaks off.

        Keras takes the values out of the variables before it reads the first
        batch. If that batch cannot be read, they are nowhere but here; after
        later ones, Keras has them and must only put them back.
        """
        variables = [*self.variables, *self.metrics_variables]
        if getattr(self, "optimizer", None) is not None:
            variables += self.optimizer.variables
        before = [(variable, variable.value) for variable in variables]
        try:
            yield
        except BaseException:
            self.jax_state_sync()
            self._jax_state = None
            for variable, value in before:
                if variable._value is None:
                    variable.assign(value)
            raise

    def test_step(self, state, data):
        batch = self.unpack(data)

        def evaluate():
            loss, y_pred = self.batch_loss(batch, training=False)
            return self.record(batch, y_pred, loss)

        logs, values = self._scoped(evaluate, _Values(*state))
        return logs, (state[0], values.non_trainable, values.metrics)

    # Gradients ---------------------------------------------------------------

    def _at_once(self, batch, values, scale, touched):
        """Gradients, loss, predictions and new values of a whole batch."""

        def loss_of(trainable):
            (loss, y_pred), new = self._scoped(
                lambda: self.batch_loss(batch, training=True),
                values._replace(trainable=trainable),
                touched,
            )
            return loss * scale, (loss, y_pred, new)

        gradients, (loss, y_pred, new) = jax.grad(loss_of, has_aux=True)(
            values.trainable
        )
        return gradients, loss, y_pred, new._replace(trainable=values.trainable)

    def _in_parts(self, batch, values, scale, touched):
        """The same of a batch whose parts go through the encoder in turn."""
        parts = split(batch.arrays, batch.task.microbatches)
        if batch.task.accumulate == "mean":
            return self._mean_of_parts(batch, parts, values, scale, touched)
        return self._two_passes(batch, parts, values, scale, touched)

    def _mean_of_parts(self, batch, parts, values, scale, touched):
        count = batch.task.microbatches

        def one_part(carry, arrays):
            total, *rest = carry
            part = batch.with_arrays(arrays)
            gradients, loss, y_pred, new = self._at_once(
                part, _Values(values.trainable, *rest), scale, touched
            )
            total = [a + g / count for a, g in zip(total, gradients)]
            return (total, new.non_trainable, new.metrics), (loss, y_pred)

        zeros = [jnp.zeros_like(value) for value in values.trainable]
        start = (zeros, values.non_trainable, values.metrics)
        (gradients, *rest), (losses, y_pred) = jax.lax.scan(
            one_part, start, parts
        )
        new = _Values(values.trainable, *rest)
        return gradients, jnp.mean(losses), merge(y_pred), new

    def _two_passes(self, batch, parts, values, scale, touched):
        """Exact: the loss sees the whole batch, the encoder a part at a time.

        The first pass keeps nothing but predictions, the second one repeats
        each part from the same random state, with the gradient of the loss
        towards its predictions.
        """

        def run(part, values):
            return self._scoped(
                lambda: self.run_task(part, training=True), values, touched
            )

        def first(rest, arrays):
            part = batch.with_arrays(arrays)
            (y_pred, added), new = run(part, _Values(values.trainable, *rest))
            return (new.non_trainable, new.metrics), (y_pred, added, rest[0])

        rest = (values.non_trainable, values.metrics)
        rest, (y_pred, added, states) = jax.lax.scan(first, rest, parts)
        y_pred = merge(y_pred)
        leaves, tree = jax.tree.flatten(y_pred)
        real = [is_float(leaf) for leaf in leaves]

        def loss_of(trainable, floats):
            floats = iter(floats)
            whole = [
                next(floats) if r else leaf for r, leaf in zip(real, leaves)
            ]
            loss, _ = self._scoped(
                lambda: self.loss_of(batch, jax.tree.unflatten(tree, whole)),
                _Values(trainable, *rest),
                touched,
            )
            return loss * scale, loss

        floats = [leaf for r, leaf in zip(real, leaves) if r]
        (gradients, towards), loss = jax.grad(
            loss_of, argnums=(0, 1), has_aux=True
        )(values.trainable, floats)

        def second(total, item):
            arrays, state, towards = item
            part = batch.with_arrays(arrays)

            def pulled(trainable):
                start = _Values(trainable, state, values.metrics)
                (y_pred, added), _ = run(part, start)
                floats = [y for y in jax.tree.leaves(y_pred) if is_float(y)]
                pull = sum(jnp.vdot(y, g) for y, g in zip(floats, towards))
                return pull + added * scale / batch.task.microbatches

            more = jax.grad(pulled)(values.trainable)
            return [a + g for a, g in zip(total, more)], None

        towards = split(towards, batch.task.microbatches)
        gradients, _ = jax.lax.scan(second, gradients, (parts, states, towards))
        loss = loss + jnp.mean(added)
        return gradients, loss, y_pred, _Values(values.trainable, *rest)

    # Helpers -----------------------------------------------------------------

    def _scoped(
        self,
        function: Callable[[], Any],
        values: _Values,
        touched: set[int] | None = None,
    ) -> tuple[Any, _Values]:
        """Call a function with these values in the variables.

        Puts the identities of the variables that it read into `touched`.
        Returns its result and the values that it left in the variables.
        """
        groups = (
            self.trainable_variables,
            self.non_trainable_variables,
            self.metrics_variables,
        )
        mapping = [
            pair
            for group, given in zip(groups, values)
            for pair in zip(group, given)
        ]
        with _ReadRecorder(mapping, collect_losses=True) as scope:
            result = function()
        if touched is not None:
            touched.update(scope.read)
        new = [[scope.get_current_value(v) for v in g] for g in groups]
        return result, _Values(*new)

    def _loss_scale(self, optimizer):
        """What mixed float16 multiplies the loss by; 1 otherwise."""
        pairs = zip(self.optimizer.variables, optimizer)
        with keras.StatelessScope(list(pairs)):
            return self.optimizer.scale_loss(jnp.ones(()))

    def _apply(self, gradients, trainable, optimizer):
        with warnings.catch_warnings():
            # Said once per trace about every idle variable: it is the point.
            warnings.filterwarnings("ignore", "Gradients do not exist")
            new = self.optimizer.stateless_apply(
                optimizer, gradients, trainable
            )
        return tuple(list(values) for values in new)


def _global_norm(gradients) -> jax.Array:
    squares = [
        jnp.sum(jnp.square(gradient.astype("float32")))
        for gradient in gradients
        if gradient is not None
    ]
    return jnp.sqrt(sum(squares, jnp.zeros(())))
