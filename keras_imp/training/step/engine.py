"""What every engine of a step offers to the model that it trains."""

import abc
import importlib
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_imp import _keras_private as keras_private
from keras_imp.training.step.program import StepProgram
from keras_imp.typing import Tensor


class Engine(abc.ABC):
    """Takes gradients and applies updates as one backend does.

    Keras' trainer asks the model for its steps and its compiled functions, and
    the model asks its engine. What an engine leaves alone is Keras' own.

    Args:
        program: What a step does with a batch.
    """

    def __init__(self, program: StepProgram):
        self.program = program
        self.devices = program.devices
        self.model: Any = program.model

    @abc.abstractmethod
    def train_step(self, *args: Any) -> Any:
        """One training step, as Keras' trainer calls it."""

    @abc.abstractmethod
    def test_step(self, *args: Any) -> Any:
        """One step of an evaluation, as Keras' trainer calls it."""

    def predict_step(self, *args: Any) -> Any:
        """One step of a prediction, as Keras' trainer calls it."""
        return keras.Model.predict_step(self.model, *args)

    @abc.abstractmethod
    def encoder_gradients(self, item: dict[str, tuple]) -> list[Tensor | None]:
        """The gradient that a step with this item would take, of the encoder.

        Nothing changes: neither weights nor random states of layers. Only a
        generator of the backend that layers share may be drawn from.

        Args:
            item: Batch by `"<task>@<shapes>"`, as NumPy arrays.

        Returns:
            For each trainable variable of the encoder its gradient, times the
            scale of the loss, if it has one; None where the loss does not
            reach it.
        """

    def make_train_function(self, force: bool) -> None:
        """Make the model's `train_function`, if it has none."""
        keras.Model.make_train_function(self.model, force)

    def make_test_function(self, force: bool) -> None:
        """Make the model's `test_function`, if it has none."""
        keras.Model.make_test_function(self.model, force)

    def make_predict_function(self, force: bool) -> None:
        """Make the model's `predict_function`, if it has none."""
        keras.Model.make_predict_function(self.model, force)

    def take_state(self, **groups: bool) -> tuple:
        """Take the values of variables, as Keras' JAX trainer asks for them."""
        return keras_private.get_jax_state(self.model, **groups)

    def put_back_state(self) -> None:
        """Put them back, as Keras' JAX trainer and its callbacks ask for."""
        keras_private.jax_state_sync(self.model)

    def keep_state(
        self, work: Callable[[], Any], training: bool = False
    ) -> Any:
        """Run `fit`, `evaluate` or `predict` so that no value is lost.

        Args:
            work: The call.
            training: Whether it is `fit`.

        Returns:
            What it returns. By default variables have their values all the
            time, and there is nothing to keep.
        """
        return work()


class InPlaceEngine(Engine):
    """An engine of a backend whose variables a step changes in place."""

    def _snapshot(self) -> list[Tensor]:
        """Copies of random states, counters and metrics."""
        return [ops.copy(variable.value) for variable in self._state()]

    def _restore(self, values: list[Tensor]) -> None:
        for variable, value in zip(self._state(), values):
            variable.assign(value)

    def _state(self) -> list[keras.Variable]:
        model = self.model
        return [*model.non_trainable_variables, *model.metrics_variables]

    def _layer_state(self) -> list[Tensor]:
        """Copies of what layers change by themselves."""
        return [ops.copy(v.value) for v in self.program.layer_state]

    def _put_back_layer_state(self, values: list[Tensor]) -> None:
        for variable, value in zip(self.program.layer_state, values):
            variable.assign(value)

    def _loss_scale(self) -> Tensor:
        """What mixed float16 multiplies the loss by; 1 otherwise."""
        return self.model.optimizer.scale_loss(ops.ones((), "float32"))


def make_engine(program: StepProgram) -> Engine:
    """The engine of the backend that Keras runs on.

    Args:
        program: What a step does with a batch.

    Returns:
        The engine.
    """
    backend = keras.config.backend()
    module = importlib.import_module(f"keras_imp.training.step.{backend}")
    return module.make_engine(program)
