"""The weights that training continues with, while others are in the model.

An optimizer with `use_ema=True` averages the weights. Keras' `SwapEMAWeights`
exchanges weights and averages for an evaluation, and the end of `fit`
overwrites the weights. A backup must have what the next step starts from.
"""

import contextlib
from collections.abc import Iterator

import keras
import numpy as np

from keras_imp._keras_private import averaged, holds_averages
from keras_imp._values import value_of

Values = list[tuple[keras.Variable, np.ndarray]]


class TrainedWeights(keras.callbacks.Callback):
    """Knows the weights of a run, and puts them into the model for a save.

    Comes before all callbacks that may exchange weights at an epoch's end.

    Args:
        callbacks: The user's callbacks.
    """

    def __init__(self, callbacks: list[keras.callbacks.Callback]):
        super().__init__()
        self._swaps = [
            callback
            for callback in callbacks
            if isinstance(callback, keras.callbacks.SwapEMAWeights)
        ]
        self._kept: Values = []

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._kept = []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        # It may be the last one: Keras overwrites them before `on_train_end`,
        # and SwapEMAWeights the averages.
        self._kept = [
            (variable, value_of(variable))
            for pair in averaged(self.model.optimizer)
            for variable in pair
        ]

    @contextlib.contextmanager
    def in_model(self) -> Iterator[None]:
        """A context in which the model has them, with their averages."""
        trained = self._kept or self._exchanged()
        others = [(variable, value_of(variable)) for variable, _ in trained]
        _assign(trained)
        try:
            yield
        finally:
            _assign(others)

    def _exchanged(self) -> Values:
        """What to undo, where averages are in the model for an evaluation."""
        if not any(map(holds_averages, self._swaps)):
            return []
        # Not by the callback: its additions on TensorFlow round.
        return [
            (variable, value_of(other))
            for pair in averaged(self.model.optimizer)
            for variable, other in (pair, pair[::-1])
        ]


def _assign(values: Values) -> None:
    for variable, value in values:
        variable.assign(value)
