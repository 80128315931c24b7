"""A backup that another backend wrote is resumed, with a warning."""

import re
import shutil

import h5py
import keras
import numpy as np
import pytest

import keras_imp
from keras_imp.training.checkpoint.run_description import first_difference
from tests.helpers import saved_run
from tests.helpers.saved_run import FILES
from tests.helpers.weights import to_numpy


class Restored(keras.callbacks.Callback):
    """Copies of some weights, as a run that is resumed finds them."""

    def on_train_begin(self, logs=None):
        head = self.model.tasks["objects"].trainable_variables[0]
        self.head = to_numpy(head)
        self.optimizer = [to_numpy(v) for v in self.model.optimizer.variables]


@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_the_run_of_another_backend_is_resumed_where_it_was(backend, tmp_path):
    folder = shutil.copytree(FILES / backend / "backup", tmp_path / "backup")
    (path,) = folder.iterdir()
    with h5py.File(path) as file:
        head = file["layers/classification/head/vars/0"][()]
        saved = file["optimizer/vars"]
        optimizer = [saved[f"{i}"][()] for i in range(len(saved))]
    model = saved_run.make_model()
    data, _ = saved_run.make_data()
    restored = Restored()

    def fit():
        model.fit(
            saved_run.make_mixture(data),
            steps_per_epoch=10,
            epochs=3,
            verbose=0,
            callbacks=[keras_imp.callbacks.Backup(folder, keep=1), restored],
        )

    now = keras.config.backend()
    if now == backend:
        fit()
    else:
        text = (
            "The backup was written on another backend: the run goes on, but "
            f"not bit for bit. Received: backup={backend!r}, now={now!r}."
        )
        with pytest.warns(UserWarning, match=f"^{re.escape(text)}$"):
            fit()
    np.testing.assert_array_equal(restored.head, head)
    for found, expected in zip(restored.optimizer, optimizer, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert int(model.step_counter) == 30
    assert int(model.optimizer.iterations) == 30


@pytest.mark.parametrize(
    ("backup", "now", "differs"),
    [
        (["int32 ()", "float32 (2,)"], ["int64 ()", "float32 (2,)"], False),
        (["int64 (3,)"] * 9, ["int32 (3,)"] * 9, False),
        (["int32 ()"], ["float32 ()"], True),
        (["int32 (3,)"], ["int64 (4,)"], True),
        (["int32 ()"], ["uint32 ()"], True),
    ],
)
def test_counters_of_32_and_64_bits_are_the_same(backup, now, differs):
    found = first_difference({"weights": backup}, {"weights": now})
    assert (found is not None) == differs
