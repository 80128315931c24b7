"""The norm of each task's gradient, in the logs."""

import csv

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp.callbacks import GradientNormLogger
from tests.helpers import models
from tests.helpers.models import data_of

A, B = "objects", "sounds"
RATE = 0.5


def fit(model, schedule=None, callbacks=(), **options):
    return model.fit(
        models.make_mixture(
            data_of(A, B), schedule=schedule or keras_imp.schedules.RoundRobin()
        ),
        verbose=0,
        callbacks=[GradientNormLogger(), *callbacks],
        **options,
    )


def make_model(**options):
    return models.make_model(
        models.two_tasks,
        optimizer=keras.optimizers.SGD(RATE),
        **models.few_steps(),
        **options,
    )


def test_the_norm_of_a_single_step_is_that_of_its_change():
    model = make_model()
    before = models.values(model.trainable_variables)
    logs = fit(model, models.Always(A), steps_per_epoch=1).history
    after = models.values(model.trainable_variables)
    change = np.sqrt(sum(np.sum((after[k] - before[k]) ** 2) for k in before))
    np.testing.assert_allclose(
        logs[f"{A}/gradient_norm"], [change / RATE], rtol=1e-4
    )


def test_an_epoch_has_the_norms_of_the_tasks_that_it_drew():
    table = fit(make_model(), steps_per_epoch=1, epochs=2).table()
    finite = {
        name: np.isfinite(table[f"{name}/gradient_norm"]).tolist()
        for name in (A, B)
    }
    assert finite == {A: [True, False], B: [False, True]}


def test_callbacks_before_it_in_the_list_read_it_too(tmp_path):
    path = tmp_path / "log.csv"
    model = make_model()
    model.fit(
        models.in_turn(data_of(A, B)),
        steps_per_epoch=1,
        epochs=2,
        verbose=0,
        callbacks=[keras.callbacks.CSVLogger(path), GradientNormLogger()],
    )
    rows = list(csv.DictReader(path.open()))
    # The second epoch draws the other task: its column is there all the same.
    assert float(rows[1][f"{B}/gradient_norm"]) > 0


def test_weights_are_the_same_with_and_without_it():
    states = []
    for callbacks in ([], [GradientNormLogger()]):
        model = make_model()
        model.fit(
            models.in_turn(data_of(A, B)),
            steps_per_epoch=4,
            verbose=0,
            callbacks=callbacks,
        )
        states.append(models.state(model))
    models.assert_same(*states)


@pytest.mark.one_backend
def test_a_model_that_takes_all_tasks_at_once_is_refused():
    keras.utils.set_random_seed(0)
    model = keras_imp.CombinedModel(models.TinyEncoder(), models.two_tasks())
    model.compile("sgd")
    with pytest.raises(ValueError, match="where each step takes one") as error:
        model.fit(
            keras_imp.TaskMixture.together(data_of(A, B)),
            steps_per_epoch=1,
            verbose=0,
            callbacks=[GradientNormLogger()],
        )
    assert str(error.value) == (
        "The norm of a gradient is that of one task where each step takes one. "
        "Received: model='CombinedModel'. Use AlternatingModel, or "
        "GradientConflictLogger."
    )


@pytest.mark.one_backend
def test_a_plain_model_is_refused():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.ones((2, 1))
    with pytest.raises(ValueError, match="a model with tasks") as error:
        model.fit(x, x, verbose=0, callbacks=[GradientNormLogger()])
    assert str(error.value) == (
        "GradientNormLogger needs a model with tasks, such as "
        "keras_imp.AlternatingModel. Received: model='Sequential'."
    )
