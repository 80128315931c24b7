"""Logs as curves of TensorBoard, on every backend without TensorFlow."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp.callbacks import (
    GradientConflictLogger,
    GradientNormLogger,
    TensorBoardLogger,
)
from keras_imp.evaluation.event_file import EventFile
from tests.helpers import boards, models
from tests.helpers.models import data_of

A, B = "objects", "sounds"


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A folder of TensorBoard, and the table of the run."""
    folder = tmp_path_factory.mktemp("logs")
    rate = keras_imp.optimizers.CosineWithWarmup(0.1, 6, warmup_steps=2)
    data = data_of(A, B)
    model = models.make_model(
        models.two_tasks,
        optimizer=keras.optimizers.SGD(rate),
        **models.few_steps(),
    )
    history = model.fit(
        models.in_turn(data),
        validation_data=models.all_once(data),
        steps_per_epoch=3,
        epochs=2,
        verbose=0,
        callbacks=[
            TensorBoardLogger(folder),
            GradientConflictLogger(data),
            GradientNormLogger(),
        ],
    )
    return folder, history.table()


def test_each_value_of_training_and_validation_is_a_curve(fitted):
    folder, table = fitted
    found = {
        "": boards.scalars(folder / "train"),
        "val_": boards.scalars(folder / "validation"),
    }
    names = {f"{k}{name}" for k, tags in found.items() for name in tags}
    assert names == {*table, "learning_rate"} - {"epoch"}
    for prefix, tags in found.items():
        for tag, points in tags.items():
            if tag == "learning_rate":
                continue
            values = table[f"{prefix}{tag}"]
            expected = [x for x in enumerate(values) if np.isfinite(x[1])]
            np.testing.assert_allclose(points, expected, rtol=1e-6)


def test_the_learning_rate_is_that_after_each_epoch(fitted):
    folder, _ = fitted
    points = boards.scalars(folder / "train")["learning_rate"]
    schedule = keras_imp.optimizers.CosineWithWarmup(0.1, 6, warmup_steps=2)
    expected = [
        (epoch, float(schedule(step))) for epoch, step in ((0, 3), (1, 6))
    ]
    np.testing.assert_allclose(points, expected, atol=1e-7)


def test_the_norms_and_the_conflict_are_among_the_curves(fitted):
    tags = boards.scalars(fitted[0] / "train")
    assert {
        f"{A}/gradient_norm",
        f"{B}/gradient_norm",
        f"gradient_cosine/{A}/{B}",
    } <= set(tags)


def test_keras_callback_shows_them_too(tmp_path):
    model = models.make_model(models.two_tasks, **models.few_steps())
    model.fit(
        models.in_turn(data_of(A, B)),
        steps_per_epoch=2,
        verbose=0,
        callbacks=[
            keras.callbacks.TensorBoard(tmp_path, write_graph=False),
            GradientNormLogger(),
        ],
    )
    tags = boards.tensor_tags(tmp_path / "train")
    assert {f"epoch_{A}/gradient_norm", "epoch_learning_rate"} <= set(tags)


@pytest.mark.one_backend
def test_an_epoch_is_there_when_it_ends(tmp_path):
    file = EventFile(tmp_path)
    file.write(3, {"loss": 2.0})
    assert boards.scalars(tmp_path) == {"loss": [(3, 2.0)]}
    file.close()
    # One that was closed can be written to again.
    file.write(4, {"loss": 1.0})
    file.close()
    assert boards.scalars(tmp_path) == {"loss": [(3, 2.0), (4, 1.0)]}


@pytest.mark.one_backend
def test_without_tensorboard_the_error_names_the_extra(tmp_path, monkeypatch):
    for name in [n for n in sys.modules if n.startswith("tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ImportError, match="needs the package") as error:
        EventFile(tmp_path).write(0, {"loss": 1.0})
    assert str(error.value) == (
        "This needs the package 'tensorboard', which is not installed. "
        "Received: module='tensorboard.compat.proto.summary_pb2'. "
        "Install it with: pip install 'keras-imp[data]'"
    )


@pytest.mark.skipif(
    keras.config.backend() == "tensorflow", reason="it is the backend"
)
def test_it_loads_no_tensorflow(tmp_path):
    code = """
import sys, keras, keras_imp, numpy as np
model = keras.Sequential([keras.layers.Dense(1)])
model.compile("sgd", "mse")
x = np.ones((2, 1))
logger = keras_imp.callbacks.TensorBoardLogger(sys.argv[1])
model.fit(x, x, verbose=0, callbacks=[logger])
print("tensorflow" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"
    assert "loss" in boards.scalars(tmp_path / "train")
