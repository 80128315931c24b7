"""Where a run is in its mixture: at its beginning, or where it stopped.

What belongs to a run starts again in each `fit`: the position in the mixture,
the step of its schedule with what that measured, the epoch. What belongs to a
model is kept: weights, steps and state of the optimizer, the count of all
steps, random states. A run continues if a callback restored it, or if `fit` got
an `initial_epoch` above 0.
"""

import warnings
from typing import Any

import keras

from keras_imp._keras_private import initial_epoch, set_initial_epoch
from keras_imp._values import value_of
from keras_imp.training.checkpoint.run_description import learning_rate
from keras_imp.training.input.reader import MixtureReader


class MixturePosition(keras.callbacks.Callback):
    """Start each epoch at the step of the run.

    Runs after `Backup` or `BackupAndRestore` has put the counters back, so
    that a resumed run continues within the epoch, with the batches that come
    next.

    Args:
        reader: What reads the mixture of `fit`.
        continues: Whether the run of the `fit` before continues.
    """

    def __init__(self, reader: MixtureReader, continues: bool = False):
        super().__init__()
        self.reader = reader
        self.continues = continues
        self._resumed = False
        self._spoiled = False
        self._learning_rate: Any = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        model = self.model
        epoch = int(value_of(model.epoch_counter))
        self._resumed = epoch >= 0
        if self._resumed:
            self._spoiled = int(value_of(model.failed_step)) >= 0
            self._learning_rate = learning_rate(model)
            model.run_state.put_back_random_state()
            # BackupAndRestore writes the epoch into a second file, which a
            # kill leaves behind, and forgets it after a resume.
            epoch = max(initial_epoch(model), epoch)
            set_initial_epoch(model, epoch)
        elif not self.continues or model.run_state.run_step < 0:
            # Fewer steps than at its beginning: the weights of another run.
            model.run_state.begin_run()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        model = self.model
        skip = 0
        if self._resumed and epoch == int(value_of(model.epoch_counter)):
            skip = model.run_state.epoch_step
            self._put_back_metrics()
            if isinstance(self._learning_rate, float):
                # Callbacks that set it at an epoch's begin did so before.
                model.optimizer.learning_rate = self._learning_rate
        else:
            model.run_state.begin_epoch(epoch)
        self._resumed = False
        self.reader.start(model.run_state.run_step, skip)

    def _put_back_metrics(self) -> None:
        if self._spoiled:
            # Weights are safe from such a step, metrics are not.
            warnings.warn(
                "The checkpoint was saved after a step that was not finite: "
                "the logs of this epoch leave out the steps before it.",
                stacklevel=2,
            )
        else:
            self.model.run_state.put_back_metrics()
