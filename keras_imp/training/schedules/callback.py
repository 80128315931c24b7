"""Decide the rounds of an adaptive schedule while a model trains."""

from typing import Any

import keras

from keras_imp._values import value_of
from keras_imp.training.schedules.adaptive import AdaptiveSchedule


class DecideRounds(keras.callbacks.Callback):
    """Decide the next rounds of an adaptive schedule while a model trains.

    It looks at the model, which makes JAX write its state back, once in a
    round. It hooks the start of a step and not the end: Keras calls that in
    the training thread and may keep sending the ends to a thread of their
    own.

    Args:
        schedule: The schedule of the mixture.
    """

    def __init__(self, schedule: AdaptiveSchedule):
        super().__init__()
        self.schedule = schedule

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        # After `BackupAndRestore` has put the state back.
        model, names = self.model, self.schedule.names
        # Of the epoch, whose batches count from 0 after a resume too.
        self._first_step = model.run_state.run_step - model.run_state.epoch_step
        self.schedule.resume(
            model.schedule_state.read(names),
            model.run_state.run_step,
            model.schedule_state.measured(names),
        )
        self._keep(model)

    def on_train_batch_begin(self, batch: int, logs: dict | None = None):
        if self._first_step + batch < self._next_look:
            return
        model = self.model
        if int(value_of(model.failed_step)) >= 0:
            # No step counts any more: no round will end.
            model.stop_training = True
        self.schedule.catch_up(
            model.run_state.run_step,
            model.schedule_state.measured(self.schedule.names),
        )
        self._keep(model)

    def _keep(self, model: Any) -> None:
        rounds = self.schedule.rounds
        model.schedule_state.write(self.schedule.names, rounds)
        self._next_look = (rounds.number + 1) * self.schedule.every
