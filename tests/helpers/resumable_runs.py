"""Training runs that can be killed: `python -m tests.helpers.resumable_runs`.

Reads a line of JSON for each run from standard input: the folder of the backup,
a file for the result, whose backup it is ("keras" or "own"), and how the run is
to end: "step" for a death in the middle of the second epoch, "save" for one in
the middle of a save, "SIGTERM". Writes a line with its exit code when it did.

Each run is a process of its own, forked from this one, which has imported
everything and computed nothing: that saves the seconds of the imports.
"""

import json
import os
import signal
import sys

import keras
import numpy as np

import keras_imp
from tests.helpers import models

STEPS = 5
EPOCHS = 2


def two_tasks():
    return models.tasks()[:2]


def make_model(seed=1, **options):
    rate = keras_imp.optimizers.CosineWithWarmup(
        2e-2, total_steps=STEPS * EPOCHS, warmup_steps=4
    )
    return models.make_model(
        two_tasks,
        seed=seed,
        dropout=0.2,
        optimizer=keras.optimizers.SGD(rate, momentum=0.9),
        **options,
    )


def make_data():
    return models.data_of("objects", "captions")


def make_mixture():
    return models.make_mixture(
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
    """End the process without a word, or ask it to, in step 3 of epoch 2."""

    def __init__(self, how):
        super().__init__()
        self.how = how

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == 1 and batch == 2:
            if self.how == "SIGTERM":
                os.kill(os.getpid(), signal.SIGTERM)
            else:
                os._exit(9)


def die_in_save(number):
    """End the process where a backup that is written would get its name."""
    calls = []
    replace = os.replace

    def die(*args, **kwargs):
        calls.append(args)
        if len(calls) == number:
            os._exit(9)
        return replace(*args, **kwargs)

    os.replace = die


def run(backup, result, whose, how=""):
    model = make_model(seed=int.from_bytes(os.urandom(3)))
    if not os.path.exists(backup):  # noqa: PTH110
        model = make_model()
    callbacks = []
    if whose == "own":
        callbacks = [keras_imp.callbacks.Backup(backup, every=1)]
    if how == "save":
        die_in_save(number=4)
    elif how:
        callbacks.append(Die(how))
    history = fit(
        model, EPOCHS, backup if whose == "keras" else None, callbacks
    )
    arrays = {f"{i}": v for i, v in enumerate(models.state(model))}
    np.savez(result, history=json.dumps(history), **arrays)


def main():
    for name in ("AlternatingModel", "TaskMixture", "callbacks", "optimizers"):
        getattr(keras_imp, name)  # Imported when it is first used.
    for line in sys.stdin:
        if os.fork() == 0:
            signal.alarm(300)  # Nobody waits for ever.
            run(*json.loads(line))
            return  # Ends as any process does, or with what `run` raises.
        _, status = os.wait()
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
