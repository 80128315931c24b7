"""The train step on JAX: a pure function of the state and one batch."""

import contextlib
import warnings
from collections.abc import Iterator

import jax
import keras
from jax import numpy as jnp


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


class BackendStep:
    """`train_step` and `test_step` as Keras' JAX trainer calls them."""

    def train_step(self, state, data):
        trainable, non_trainable, optimizer, metrics = state
        touched: set[int] = set()

        def loss_of(trainable):
            return self._scoped_forward(
                (trainable, non_trainable, metrics), data, optimizer, touched
            )

        gradients, (logs, update, non_trainable, metrics) = jax.grad(
            loss_of, has_aux=True
        )(trainable)
        if self.update == "touched":
            gradients = [
                gradient if id(variable) in touched else None
                for gradient, variable in zip(
                    gradients, self.trainable_variables
                )
            ]
        new = self._apply(gradients, trainable, optimizer)
        # Refuse the update of a loss that is not finite. XLA fuses the choice
        # into the update; variables that the step does not touch stay as is.
        trainable, optimizer = jax.tree.map(
            lambda old, new: old if new is old else jnp.where(update, new, old),
            (list(trainable), list(optimizer)),
            new,
        )
        return logs, (trainable, non_trainable, optimizer, metrics)

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
        _, (logs, _, non_trainable, metrics) = self._scoped_forward(state, data)
        return logs, (state[0], non_trainable, metrics)

    def _scoped_forward(self, state, data, optimizer=None, touched=None):
        """Loss, then logs, whether to update, and the new state.

        Trains if the optimizer's variables are given. Puts the identities of
        the variables that the forward pass read into `touched`.
        """
        training = optimizer is not None
        variables = (
            self.trainable_variables,
            self.non_trainable_variables,
            self.metrics_variables,
        )
        mapping = [
            pair
            for group, values in zip(variables, state)
            for pair in zip(group, values)
        ]
        with _ReadRecorder(mapping, collect_losses=True) as scope:
            batch = self.unpack(data)
            loss, y_pred = self.batch_loss(batch, training)
            if training:
                touched.update(scope.read)
            update = self.count_step(batch, loss) if training else None
            logs = self.record(batch, y_pred, loss)
        if training:
            # Mixed float16 scales the loss by a variable of the optimizer.
            pairs = zip(self.optimizer.variables, optimizer)
            with keras.StatelessScope(list(pairs)):
                loss = self.optimizer.scale_loss(loss)
        state = [
            [scope.get_current_value(v) for v in group]
            for group in variables[1:]
        ]
        return loss, (logs, update, *state)

    def _apply(self, gradients, trainable, optimizer):
        with warnings.catch_warnings():
            # Said once per trace about every idle variable: it is the point.
            warnings.filterwarnings("ignore", "Gradients do not exist")
            new = self.optimizer.stateless_apply(
                optimizer, gradients, trainable
            )
        return tuple(list(values) for values in new)
