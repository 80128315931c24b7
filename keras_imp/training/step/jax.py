"""The train step on JAX: a pure function of the state and one batch."""

import warnings
from collections.abc import Callable
from typing import Any

import jax
import keras
from jax import numpy as jnp

from keras_imp import _keras_private as keras_private
from keras_imp.training.devices.jax import take_placed
from keras_imp.training.input.task_mixture import SKIP
from keras_imp.training.optimizers.gradient_dtypes import for_clipping
from keras_imp.training.step.accumulation import is_float, merge, split
from keras_imp.training.step.engine import Engine
from keras_imp.training.step.jax_compiler import compiler_options
from keras_imp.training.step.jax_state import HeldState
from keras_imp.training.step.jax_values import Values, with_values
from keras_imp.training.step.program import StepProgram

# Groups of variables, in the order in which a step has their values.
_GROUPS = ("trainable", "non_trainable", "optimizer", "metrics")


class JaxEngine(Engine):
    """Steps that are pure functions of the model's state.

    Args:
        program: What a step does with a batch.
    """

    def __init__(self, program: StepProgram):
        super().__init__(program)
        self._state = HeldState(self.model)
        self._gradients: Callable | None = None

    def take_state(self, **groups: bool) -> tuple:
        return self._state.take(**groups)

    def put_back_state(self) -> None:
        self._state.put_back()

    def keep_state(
        self, work: Callable[[], Any], training: bool = False
    ) -> Any:
        return self._state.keep(work, training)

    def make_train_function(self, force: bool) -> None:
        model = self.model
        if model.train_function is not None and not force:
            return
        # The update takes the place of the state in memory.
        step = self._compiled(model.train_step, _GROUPS, donate_argnums=0)
        function = keras_private.make_function(model, self._state.holding(step))
        model.train_function = take_placed(
            function, lambda: model.training_mixture
        )

    def make_test_function(self, force: bool) -> None:
        model = self.model
        if model.test_function is not None and not force:
            return
        step = self._without_update(model.test_step, _GROUPS[1::2])
        model.test_function = take_placed(
            keras_private.make_function(model, step),
            lambda: model.testing_mixture,
        )

    def make_predict_function(self, force: bool) -> None:
        model = self.model
        if model.predict_function is not None and not force:
            return

        def predict_step(state, data):
            outputs, non_trainable = model.predict_step(state, data)
            return outputs, (state[0], non_trainable)

        step = self._without_update(predict_step, _GROUPS[1:2])
        model.predict_function = keras_private.make_function(
            model, step, concatenate_outputs=True
        )

    def _without_update(
        self, step: Callable[[tuple, Any], tuple], groups: tuple[str, ...]
    ) -> Callable[[tuple, Any], tuple]:
        """A compiled step that leaves the trainable variables alone.

        It neither takes their memory nor copies them: should it fail, they
        are still there.
        """

        def changes(state, data):
            outputs, (_, *changed) = step(state, data)
            return outputs, tuple(changed)

        compiled = self._compiled(changes, groups)

        def same_weights(state, data):
            outputs, changed = compiled(state, data)
            return outputs, (state[0], *changed)

        return same_weights

    def _compiled(
        self, step: Callable, groups: tuple[str, ...] | None, **options: Any
    ) -> Callable:
        """A compiled step from state and batch to outputs and groups.

        Without groups it returns outputs alone, and they lie where they may.
        """
        model = self.model
        if model.run_eagerly or not model.jit_compile:
            return step
        distributed = keras.distribution.distribution() is not None
        if groups is not None and distributed:
            variables = {
                "trainable": model.trainable_variables,
                "non_trainable": model.non_trainable_variables,
                "optimizer": getattr(model.optimizer, "variables", []),
                "metrics": model.metrics_variables,
            }
            shardings = tuple(
                [variable.value.sharding for variable in variables[group]]
                for group in groups
            )
            options["out_shardings"] = (None, shardings)
        return jax.jit(step, compiler_options=compiler_options(), **options)

    def train_step(self, state, data):
        trainable, non_trainable, optimizer, metrics = state
        values = Values(trainable, non_trainable, metrics)
        if SKIP in data:
            # Not the state itself: a metric of a part of a `Combined` task is
            # in it twice, and JAX donates no buffer twice.
            logs, values = self._scoped(self.program.logs_so_far, values)
            return logs, (
                values.trainable,
                values.non_trainable,
                optimizer,
                values.metrics,
            )
        batch = self.program.unpack(data)
        scale = self._loss_scale(optimizer)
        touched: set[int] = set()
        gradients, loss, y_pred, values = self._differentiate(
            batch, values, scale, touched
        )
        if self.model.update == "touched":
            gradients = [
                gradient if id(variable) in touched else None
                for gradient, variable in zip(
                    gradients, self.model.trainable_variables
                )
            ]
        norm = _global_norm(gradients) / scale
        (update, logs), values = self._scoped(
            lambda: self.program.finish(batch, y_pred, loss, norm), values
        )
        new = self._apply(gradients, trainable, optimizer)

        # Refuse the update of a loss that is not finite. XLA fuses the choice
        # into the update; variables that the step does not touch stay as is.
        def choose(old, new):
            return old if new is old else jnp.where(update, new, old)

        trainable, optimizer = jax.tree.map(
            choose, (list(trainable), list(optimizer)), new
        )
        layers = {id(variable) for variable in self.program.layer_state}
        non_trainable = [
            choose(old, new) if id(variable) in layers else new
            for variable, old, new in zip(
                self.model.non_trainable_variables,
                non_trainable,
                values.non_trainable,
            )
        ]
        return logs, (trainable, non_trainable, optimizer, values.metrics)

    def test_step(self, state, data):
        batch = self.program.unpack(data)

        def evaluate():
            loss, y_pred = self.program.run(batch, training=False)
            return self.program.record(batch, y_pred, loss)

        logs, values = self._scoped(evaluate, Values(*state))
        return logs, (state[0], values.non_trainable, values.metrics)

    def encoder_gradients(self, item):
        if self._gradients is None:
            self._gradients = self._compiled(self._encoder_gradients, None)
        place = self.devices.placement
        model = self.model
        groups = (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
        state = tuple([v.value for v in group] for group in groups)
        return self._gradients(state, place(item) if place else item)

    def _encoder_gradients(self, state, data):
        trainable, non_trainable, optimizer, metrics = state
        touched: set[int] = set()
        gradients, *_ = self._differentiate(
            self.program.unpack(data),
            Values(trainable, non_trainable, metrics),
            self._loss_scale(optimizer),
            touched,
        )
        variables = self.model.trainable_variables
        found = {id(v): g for v, g in zip(variables, gradients)}
        return [
            found[id(v)] if id(v) in touched else None
            for v in self.model.encoder.trainable_variables
        ]

    # Gradients ---------------------------------------------------------------

    def _differentiate(self, batch, values, scale, touched):
        """Gradients of a batch, as a whole or in parts; see `_at_once`."""
        if batch.microbatches > 1:
            return self._in_parts(batch, values, scale, touched)
        return self._at_once(batch, values, scale, touched)

    def _at_once(self, batch, values, scale, touched):
        """Gradients, loss, predictions and new values of a whole batch."""

        def loss_of(trainable):
            (loss, y_pred), new = self._scoped(
                lambda: self.program.run(batch, training=True),
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
                part, Values(values.trainable, *rest), scale, touched
            )
            total = [a + g / count for a, g in zip(total, gradients)]
            return (total, new.non_trainable, new.metrics), (loss, y_pred)

        zeros = [jnp.zeros_like(value) for value in values.trainable]
        start = (zeros, values.non_trainable, values.metrics)
        (gradients, *rest), (losses, y_pred) = jax.lax.scan(
            one_part, start, parts
        )
        new = Values(values.trainable, *rest)
        return gradients, jnp.mean(losses), merge(y_pred), new

    def _two_passes(self, batch, parts, values, scale, touched):
        """Exact: the loss sees the whole batch, the encoder a part at a time.

        The first pass keeps nothing but predictions, the second one repeats
        each part from the same random state, with the gradient of the loss
        with respect to its predictions (GradCache).
        """

        def run(part, values):
            return self._scoped(
                lambda: self.program.forward(part, training=True),
                values,
                touched,
            )

        def first(rest, arrays):
            part = batch.with_arrays(arrays)
            (y_pred, added), new = run(part, Values(values.trainable, *rest))
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
                lambda: self.program.task_loss(
                    batch, jax.tree.unflatten(tree, whole)
                ),
                Values(trainable, *rest),
                touched,
            )
            return loss * scale, loss

        floats = [leaf for r, leaf in zip(real, leaves) if r]
        (gradients, output_gradients), loss = jax.grad(
            loss_of, argnums=(0, 1), has_aux=True
        )(values.trainable, floats)

        def second(total, item):
            arrays, state, output_gradients = item
            part = batch.with_arrays(arrays)

            def surrogate_loss(trainable):
                start = Values(trainable, state, values.metrics)
                (y_pred, added), _ = run(part, start)
                floats = [y for y in jax.tree.leaves(y_pred) if is_float(y)]
                surrogate = sum(
                    jnp.vdot(y, g) for y, g in zip(floats, output_gradients)
                )
                return surrogate + added * scale / batch.task.microbatches

            more = jax.grad(surrogate_loss)(values.trainable)
            return [a + g for a, g in zip(total, more)], None

        output_gradients = split(output_gradients, batch.task.microbatches)
        gradients, _ = jax.lax.scan(
            second, gradients, (parts, states, output_gradients)
        )
        loss = loss + jnp.mean(added)
        return gradients, loss, y_pred, Values(values.trainable, *rest)

    # Helpers -----------------------------------------------------------------

    def _scoped(
        self,
        function: Callable[[], Any],
        values: Values,
        touched: set[int] | None = None,
    ) -> tuple[Any, Values]:
        """Call a function with these values in the variables."""
        return with_values(self.model, function, values, touched)

    def _loss_scale(self, optimizer):
        """What mixed float16 multiplies the loss by; 1 otherwise."""
        pairs = zip(self.model.optimizer.variables, optimizer)
        with keras.StatelessScope(list(pairs)):
            return self.model.optimizer.scale_loss(jnp.ones(()))

    def _apply(self, gradients, trainable, optimizer):
        with warnings.catch_warnings():
            # Said once per trace about every idle variable: it is the point.
            warnings.filterwarnings("ignore", "Gradients do not exist")
            new = self.model.optimizer.stateless_apply(
                optimizer,
                for_clipping(gradients, self.model.optimizer),
                trainable,
            )
        return tuple(list(values) for values in new)


def make_engine(program: StepProgram) -> JaxEngine:
    """The engine of a model.

    Args:
        program: What a step does with a batch.

    Returns:
        The engine.
    """
    return JaxEngine(program)


def _global_norm(gradients) -> jax.Array:
    squares = [
        jnp.sum(jnp.square(gradient.astype("float32")))
        for gradient in gradients
        if gradient is not None
    ]
    return jnp.sqrt(sum(squares, jnp.zeros(())))
