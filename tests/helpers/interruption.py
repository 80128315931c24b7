"""Runs that break off and go on, and what they must end with."""

import keras
import numpy as np

from tests.helpers import models
from tests.helpers import resumable_runs as resumable

STEPS = resumable.STEPS


class InterruptedRunError(Exception):
    """Instead of a kill, where the process must live on."""


class StopAfter(keras.callbacks.Callback):
    """Break off once this process has taken so many real steps."""

    def __init__(self, steps):
        super().__init__()
        self.left = steps

    def on_train_batch_end(self, batch, logs=None):
        # The item of a step that was taken before has nothing but the loss.
        self.left -= len(logs) > 1
        if self.left == 0:
            raise InterruptedRunError


class Batches(keras.callbacks.Callback):
    """Note the batches that the callbacks of one `fit` are told of."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append((self.epoch, batch))


# Quicker than to trace graphs of a few steps.
EAGERLY = keras.config.backend() == "tensorflow"


def fit(callbacks, epochs=resumable.EPOCHS, seed=77, eagerly=EAGERLY):
    """Two tasks, dropout, a schedule of the learning rate, a validation.

    With a new model, as in a new process: other weights, other random states.
    """
    model = resumable.make_model(seed=seed, run_eagerly=eagerly)
    history = model.fit(
        resumable.make_mixture(),
        epochs=epochs,
        verbose=0,
        validation_data=models.all_once(resumable.make_data()),
        callbacks=callbacks,
    )
    return model, history.history


def fit_small(
    callbacks, epochs=resumable.EPOCHS, seed=77, compile_options=None
):
    """One task and no validation, for what does not depend on them."""
    model = models.make_model(
        models.one_task,
        seed=seed,
        dropout=0.2,
        optimizer=keras.optimizers.SGD(0.1),
        run_eagerly=EAGERLY,
        **(compile_options or {}),
    )
    history = model.fit(
        models.in_turn(models.data_of("objects"), steps_per_epoch=STEPS),
        epochs=epochs,
        verbose=0,
        callbacks=callbacks,
    )
    return model, history.history


def whole(fit):
    """State and history of a run that nothing stops."""
    model, history = fit([], seed=1)
    return models.state(model), history


def assert_whole(model, history, expected):
    """Equal bit for bit; a resumed run has the last epochs' logs."""
    state, logs = expected
    models.assert_same(models.state(model), state)
    assert sorted(history) == sorted(logs)
    for name, values in history.items():
        np.testing.assert_array_equal(values, logs[name][-len(values) :])
