"""Where a mixture starts in each epoch of `fit`."""

import warnings
from typing import Any

import keras

from keras_imp._keras_private import initial_epoch, set_initial_epoch
from keras_imp.training.checkpoint.run_description import learning_rate


class MixturePosition(keras.callbacks.Callback):
    """Start each epoch of a mixture at the model's own step counter.

    Runs after `Backup` or `BackupAndRestore` has put the counters back, so
    that a resumed run goes on within the epoch, with the batches that come
    next.

    Args:
        mixture: The `TaskMixture` of `fit`.
    """

    def __init__(self, mixture: Any):
        super().__init__()
        self.mixture = mixture
        self._resumed = False
        self._spoiled = False
        self._learning_rate: Any = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        model = self.model
        epoch = int(model.epoch_counter.numpy())
        self._resumed = epoch >= 0
        if self._resumed:
            self._spoiled = int(model.failed_step.numpy()) >= 0
            self._learning_rate = learning_rate(model)
            model.run_state.put_back_random_state()
            # BackupAndRestore writes the epoch into a second file, which a
            # kill leaves behind, and forgets it after a resume.
            epoch = max(initial_epoch(model), epoch)
            set_initial_epoch(model, epoch)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        model = self.model
        skip = 0
        if self._resumed and epoch == int(model.epoch_counter.numpy()):
            skip = model.run_state.epoch_step
            self._put_back_metrics()
            if isinstance(self._learning_rate, float):
                # Callbacks that set it at an epoch's begin did so before.
                model.optimizer.learning_rate = self._learning_rate
        else:
            model.run_state.begin_epoch(epoch)
        self._resumed = False
        self.mixture.start(int(model.step_counter.numpy()), skip)

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
