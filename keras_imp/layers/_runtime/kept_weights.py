"""Let no prediction on JAX cost a model its weights.

Keras' JAX trainer takes the values out of all variables, and gives their memory
to the compiled step. It puts back what the last step returned: a call that
fails, that is interrupted or that meets another thread loses them for good.
Here they stay in the variables, and the step only reads them.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import keras

from keras_imp import _keras_private as keras_private

ON_JAX = keras.config.backend() == "jax"


class KeepsWeights:
    """Before `keras.Model` in the bases of a model that holds an encoder.

    `predict` and `evaluate` leave all values in the variables, and take turns
    where several threads call them. `fit` is Keras' own, and so is all of it
    on other backends, whose variables keep their values.
    """

    def predict(self, *args: Any, **kwargs) -> Any:
        """Predictions for arrays; see `keras.Model.predict`."""
        with _in_turn(self):
            return keras.Model.predict(self, *args, **kwargs)

    def evaluate(self, *args: Any, **kwargs) -> Any:
        """Loss and metrics; see `keras.Model.evaluate`."""
        with _in_turn(self):
            return keras.Model.evaluate(self, *args, **kwargs)

    def predict_on_batch(self, *args: Any, **kwargs) -> Any:
        """Predictions for one batch; see `keras.Model.predict_on_batch`."""
        with _in_turn(self):
            return keras.Model.predict_on_batch(self, *args, **kwargs)

    def test_on_batch(self, *args: Any, **kwargs) -> Any:
        """Loss and metrics of a batch; see `keras.Model.test_on_batch`."""
        with _in_turn(self):
            return keras.Model.test_on_batch(self, *args, **kwargs)

    def make_predict_function(self, force: bool = False) -> Any:
        """Make `predict_function`, if there is none or `force` is given."""
        model: Any = self
        if not _may_keep() or (model.predict_function and not force):
            return keras.Model.make_predict_function(model, force)

        def changes(state: tuple, data: Any) -> tuple:
            return model.predict_step(state, data)

        def rest(state: tuple, changed: Any) -> tuple:
            return state[0], changed

        model.predict_function = keras_private.make_function(
            model, _reading(model, changes, rest), concatenate_outputs=True
        )
        return None

    def make_test_function(self, force: bool = False) -> Any:
        """Make `test_function`, if there is none or `force` is given."""
        model: Any = self
        if not _may_keep() or (model.test_function and not force):
            return keras.Model.make_test_function(model, force)

        def changes(state: tuple, data: Any) -> tuple:
            logs, (_, *changed) = model.test_step(state, data)
            return logs, changed

        def rest(state: tuple, changed: Any) -> tuple:
            return state[0], *changed

        model.test_function = keras_private.make_function(
            model, _reading(model, changes, rest)
        )
        return None

    def _get_jax_state(
        self, purge_model_variables: bool = False, **groups: bool
    ) -> tuple:
        state = keras_private.get_jax_state(self, **groups)
        # Only a train step is to have the memory.
        if purge_model_variables and (
            groups.get("optimizer_variables") or not _may_keep()
        ):
            keras_private.purge_variables(self, **groups)
        return state


def _may_keep() -> bool:
    """Whether steps are made here: on JAX, and on one device.

    Over several devices, Keras tells the step where its results are to be.
    """
    return ON_JAX and keras.distribution.distribution() is None


def _reading(model: Any, changes: Callable, rest: Callable) -> Callable:
    """A compiled step that does not take the memory of its arguments."""
    if not model.run_eagerly and model.jit_compile:
        import jax

        changes = jax.jit(changes)

    def step(state: tuple, data: Any) -> tuple:
        outputs, changed = changes(state, data)
        return outputs, rest(state, changed)

    return step


@contextlib.contextmanager
def _in_turn(model: Any) -> Iterator[None]:
    """One call at a time, since Keras keeps one state for a model."""
    if not ON_JAX:
        yield
        return
    # Past Keras' tracking, which would look into it for layers.
    with model.__dict__.setdefault("_turns", threading.RLock()):
        keras_private.jax_state_sync(model)
        try:
            yield
        finally:
            # What a call left when it failed is not to be written.
            keras_private.forget_jax_state(model)
