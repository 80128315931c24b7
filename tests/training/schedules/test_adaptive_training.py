"""Adaptive schedules in `fit`: what they measure, decide and resume."""

import re

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp import schedules
from keras_imp.training.schedules import Rounds
from keras_imp.training.schedules.state import ScheduleState
from tests.helpers import models
from tests.helpers.models import data_of, two_tasks
from tests.helpers.weights import to_numpy

BACKEND = keras.config.backend()
NAMES = ("objects", "sounds")
EVERY = 6


def make_data():
    """Objects are easy; half of the labels of the sounds must be wrong."""
    data = data_of("objects")
    silence = np.zeros((4, 7), "float32")
    data["sounds"] = [({"audio": silence}, np.array([0, 1, 0, 1]))] * 2
    return data


def make_mixture(schedule=None, data=None, **options):
    options.setdefault("steps_per_epoch", 8)
    schedule = schedule or schedules.LossDriven(every=EVERY)
    return models.make_mixture(
        data or make_data(), schedule=schedule, **options
    )


def make_model(**options):
    return models.make_model(two_tasks, **options)


def fit(model, mixture=None, epochs=1, **options):
    model.fit(mixture or make_mixture(), epochs=epochs, verbose=0, **options)


# What is measured -----------------------------------------------------------


def test_statistics_equal_those_of_a_loop():
    rng = np.random.default_rng(0)
    state = ScheduleState(["a", "b", "c"])
    expected = np.zeros((3, 4))
    for _ in range(200):
        task, loss, norm = rng.integers(2), rng.random(), 3 * rng.random()
        good = rng.random() < 0.9
        state.update("abc"[task], loss, norm, good=bool(good))
        if good:
            row = expected[task]
            rate = max(1 / (row[0] + 1), 0.02)
            row[1] += rate * (loss - row[1])
            if row[0] < 10:
                row[2] = row[1]
            row[3] += rate * (norm**2 - row[3])
            row[0] += 1
    found = np.stack(state.measured(("c", "a", "b")), axis=1)
    np.testing.assert_allclose(found, expected[[2, 0, 1]], rtol=1e-4)
    assert expected[2].tolist() == [0, 0, 0, 0]


def test_a_step_whose_gradient_overflowed_is_left_out():
    state = ScheduleState(["a"])
    state.update("a", 1.0, 2.0, good=True)
    for norm in (np.inf, np.nan, 1e30):
        state.update("a", 9.0, norm, good=True)
    assert np.array(state.measured(("a",))).tolist() == [[1], [1], [1], [4]]


def test_statistics_of_the_first_step_of_each_task():
    rate = 0.5
    model = make_model(optimizer=keras.optimizers.SGD(rate))
    mixture = make_mixture(schedules.RoundRobin(), steps_per_epoch=1)
    for epoch, name in enumerate(NAMES):
        before = models.values(model.trainable_variables)
        batch = model.program.unpack({name: make_data()[name][0]})
        loss = float(to_numpy(model.program.run(batch, True)[0]))
        fit(model, mixture, epoch + 1, initial_epoch=epoch)
        after = models.values(model.trainable_variables)
        norm = sum(
            np.sum(((after[path] - value) / rate) ** 2)
            for path, value in before.items()
        )
        found = np.array(model.schedule_state.measured((name,)))[:, 0]
        np.testing.assert_allclose(found, [1, loss, loss, norm], rtol=1e-4)


def test_every_schedule_is_measured_and_only_adaptive_ones_decide():
    model = make_model()
    fit(model, make_mixture(schedules.RoundRobin()))
    state = model.schedule_state
    assert state.measured(NAMES).draws.tolist() == [4, 4]
    assert state.read(NAMES).number == 0
    np.testing.assert_array_equal(state.read(NAMES).shares, 0.5)


def test_names_map_the_model_to_the_schedule():
    state = ScheduleState(["a", "b", "c"])
    shares = np.array([[1, 2, 3], [4, 5, 6]], "float32")
    rounds = Rounds(7, shares, np.array([8, 9, 10]))
    names = ("c", "a", "b")
    state.write(names, rounds)
    np.testing.assert_array_equal(to_numpy(state.shares)[0], [2, 3, 1])
    np.testing.assert_array_equal(to_numpy(state.counts), [9, 10, 8])
    for found, value in zip(state.read(names), rounds):
        np.testing.assert_array_equal(found, value)


# What is decided ------------------------------------------------------------


class LeastLearned(schedules.AdaptiveSchedule):
    """A schedule of one's own."""

    def shares(self, statistics):
        return statistics.loss / statistics.initial_loss


@pytest.mark.parametrize(
    "schedule",
    [
        schedules.LossDriven(exponent=2.0, every=EVERY),
        LeastLearned(every=EVERY),
    ],
    ids=lambda schedule: type(schedule).__name__,
)
def test_the_harder_task_gets_more_steps(schedule):
    model = make_model()
    # In another order than the model's.
    data = {name: make_data()[name] for name in NAMES[::-1]}
    fit(model, make_mixture(schedule, data, steps_per_epoch=128), epochs=2)
    measured = model.schedule_state.measured(NAMES)
    assert measured.draws.sum() == 256
    assert measured.draws[1] > 1.5 * measured.draws[0]
    assert measured.loss[0] < 0.5 * measured.loss[1]
    rounds = model.schedule_state.read(NAMES)
    assert rounds.number == 255 // EVERY
    assert (rounds.shares[:, 1] > 0.6).all()


def test_the_task_with_the_larger_gradient_gets_most_steps():
    model = make_model()
    schedule = schedules.GradientDriven(exploration=0.4, every=EVERY)
    fit(model, make_mixture(schedule), epochs=4)
    measured = model.schedule_state.measured(NAMES)
    assert measured.squared_gradient[0] > measured.squared_gradient[1]
    shares = model.schedule_state.read(NAMES).shares
    np.testing.assert_allclose(shares, [[0.8, 0.2]] * 2, rtol=1e-6)
    assert measured.draws[0] > 1.5 * measured.draws[1]


@pytest.mark.parametrize("prefetch", [0, 8])
def test_the_shortest_rounds_are_long_enough_to_read_ahead(prefetch):
    model = make_model()
    schedule = schedules.LossDriven(every=prefetch + 4)
    fit(model, make_mixture(schedule, steps_per_epoch=70, prefetch=prefetch))
    assert int(model.step_counter) == 70
    assert model.schedule_state.read(NAMES).number == 69 // schedule.every


@pytest.mark.skipif(BACKEND == "torch", reason="one step per execution only")
def test_several_steps_per_execution():
    model = make_model(steps_per_execution=3)
    schedule = schedules.LossDriven(every=2 + 2 * 3 + 2)
    fit(model, make_mixture(schedule, steps_per_epoch=51), epochs=2)
    assert int(model.step_counter) == 102
    assert sum(model.schedule_state.measured(NAMES).draws) == 102


@pytest.mark.skipif(BACKEND == "torch", reason="compiles nothing")
def test_a_decision_compiles_nothing():
    model = models.make_model(two_tasks)
    traced = models.note_traces(model)
    fit(model, epochs=4)
    assert model.schedule_state.read(NAMES).number == 5
    assert sorted(batch.task.name for batch in traced) == list(NAMES)


# Resuming -------------------------------------------------------------------


def backup(path, **options):
    return keras.callbacks.BackupAndRestore(
        path, delete_checkpoint=False, **options
    )


@pytest.mark.parametrize(
    "make_schedule",
    [
        lambda: schedules.LossDriven(exponent=3.0, every=EVERY),
        lambda: schedules.GradientDriven(exploration=0.5, every=EVERY),
    ],
    ids=["LossDriven", "GradientDriven"],
)
def test_resuming_in_a_round_equals_never_stopping(tmp_path, make_schedule):
    def run(model, epochs, callbacks=()):
        mixture = make_mixture(make_schedule(), steps_per_epoch=39)
        fit(model, mixture, epochs, callbacks=list(callbacks))
        return model.schedule_state.read(NAMES)

    whole = make_model(dropout=0.2)
    assert run(whole, 3).number == 116 // EVERY
    # After 39 steps: in the middle of a round, whose shares are not equal.
    rounds = run(make_model(dropout=0.2), 1, [backup(tmp_path)])
    assert rounds.number == 39 // EVERY
    assert len(set(rounds.shares[0])) == 2
    # Another object, other initial weights.
    second = make_model(dropout=0.2, seed=9)
    run(second, 3, [backup(tmp_path)])
    models.assert_same(models.state(second), models.state(whole))


def test_resuming_where_a_round_ends_equals_never_stopping(tmp_path):
    steps = 2 * EVERY  # Saved before the callback that decides.
    whole = make_model()
    fit(whole, make_mixture(steps_per_epoch=steps), epochs=3)
    first, second = make_model(), make_model(seed=9)
    for model, epochs in ((first, 1), (second, 3)):
        fit(
            model,
            make_mixture(steps_per_epoch=steps),
            epochs=epochs,
            callbacks=[backup(tmp_path)],
        )
    models.assert_same(models.state(second), models.state(whole))


def test_a_saved_model_holds_its_rounds(tmp_path):
    model = make_model()
    fit(model, epochs=2)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for a, b in zip(
        loaded.schedule_state.read(NAMES), model.schedule_state.read(NAMES)
    ):
        np.testing.assert_array_equal(a, b)
    assert model.schedule_state.read(NAMES).number == 2
    for each in (model, loaded):
        fit(each, epochs=1)
    models.assert_same(models.state(loaded), models.state(model))


# Errors ---------------------------------------------------------------------


def test_rounds_that_are_too_short_are_refused():
    text = (
        "A round of an adaptive schedule must have at least `prefetch + 2 * "
        "steps_per_execution + 2` steps, 7 here: its batches are read while "
        "the round before it runs. Received: every=6, prefetch=3, "
        "steps_per_execution=1. Use longer rounds."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        fit(make_model(), make_mixture(prefetch=3))


def test_a_loss_that_is_not_finite_is_what_is_raised():
    data = make_data()
    x, y = data["objects"][0]
    data["objects"][0] = ({"image": np.full_like(x["image"], np.nan)}, y)
    with pytest.raises(keras_imp.NonFiniteLossError, match="'objects'"):
        fit(make_model(), make_mixture(data=data, steps_per_epoch=200))
