"""A training run that can be killed: `python -m tests.training.resumable`.

Arguments: the folder of the backup, a file for the result, and "die" to end
the process in the middle of the second epoch.
"""

import json
import os
import sys

import keras
import numpy as np

import keras_imp
from tests.training import parts

STEPS = 5
EPOCHS = 2


def two_tasks():
    return parts.tasks()[:2]


def make_model(seed=1, dropout=0.2):
    rate = keras_imp.optimizers.CosineWithWarmup(
        2e-2, total_steps=STEPS * EPOCHS, warmup_steps=4
    )
    return parts.make_model(
        two_tasks,
        seed=seed,
        dropout=dropout,
        optimizer=keras.optimizers.AdamW(rate),
    )


def make_data():
    return parts.data_of("objects", "captions")


def make_mixture():
    return parts.make_mixture(
        make_data(),
        seed=5,
        schedule=keras_imp.schedules.Weighted({"objects": 1, "captions": 2}),
        steps_per_epoch=STEPS,
    )


def fit(model, epochs, backup=None, callbacks=()):
    if backup is not None:
        callbacks = [
            keras.callbacks.BackupAndRestore(backup, delete_checkpoint=False),
            *callbacks,
        ]
    history = model.fit(
        make_mixture(), epochs=epochs, verbose=0, callbacks=list(callbacks)
    )
    return history.history


class Die(keras.callbacks.Callback):
    """End the process without a word in the third step of epoch 2."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == 1 and batch == 2:
            os._exit(9)


def main(backup, result, die=""):
    model = make_model(seed=int.from_bytes(os.urandom(3)))
    if not os.path.exists(backup):  # noqa: PTH110
        model = make_model()
    history = fit(model, EPOCHS, backup, [Die()] if die else [])
    arrays = {f"{i}": v for i, v in enumerate(parts.state(model))}
    np.savez(result, history=json.dumps(history), **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
