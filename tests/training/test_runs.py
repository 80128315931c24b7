"""What belongs to a run and begins anew in each `fit`, and what to a model."""

import copy

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp import schedules
from keras_imp.callbacks import Backup
from tests.helpers import models
from tests.helpers.interruption import InterruptedRunError, StopAfter

pytestmark = pytest.mark.one_backend

NAMES = ("objects", "sounds")


class Recorded:
    """Batches of one task that know which of them were read."""

    def __init__(self, batches, seen):
        self.batches = batches
        self.seen = seen

    def __len__(self):
        return len(self.batches)

    def batch_at(self, index):
        self.seen.append(index)
        return self.batches[index % len(self)]

    def __getitem__(self, index):
        return self.batch_at(index)


def recorded(names=NAMES):
    """Data, and the numbers of the batches that were read of each task."""
    seen = {name: [] for name in names}
    data = {
        name: Recorded(batches, seen[name])
        for name, batches in models.data_of(*names).items()
    }
    return data, seen


def make_model(**options):
    options.setdefault("run_eagerly", keras.config.backend() == "tensorflow")
    options.setdefault("optimizer", keras.optimizers.SGD(0.1, momentum=0.9))
    return models.make_model(models.two_tasks, **options)


def fit(model, mixture, epochs=1, **options):
    options.setdefault("steps_per_epoch", 4)
    return model.fit(mixture, epochs=epochs, verbose=0, **options)


# A new run ------------------------------------------------------------------


@pytest.mark.parametrize("loaded", [False, True])
def test_a_new_run_reads_its_mixture_from_the_beginning(tmp_path, loaded):
    model = make_model()
    fit(model, models.in_turn(models.data_of(*NAMES)))
    if loaded:
        model.save(tmp_path / "model.keras")
        model = keras.models.load_model(tmp_path / "model.keras")
    data, seen = recorded()
    fit(model, models.in_turn(data), epochs=2)
    assert seen == {"objects": [0, 1, 2, 3], "sounds": [0, 1, 2, 3]}
    # What belongs to the model was kept.
    assert int(model.step_counter) == int(model.optimizer.iterations) == 12


def test_a_new_run_starts_a_stream_anew():
    opened = []

    def stream():
        opened.append("objects")
        yield from models.make_data()["objects"] * 9

    model = models.make_model(models.one_task, optimizer="sgd")
    mixture = models.make_mixture({"objects": stream})
    for _ in range(2):
        fit(model, mixture)
    assert len(opened) == 2


@pytest.mark.parametrize(
    "schedule",
    [
        schedules.Curriculum(
            {0: {"objects": 1, "sounds": 0}, 3: {"objects": 0, "sounds": 1}},
            interpolate=False,
        ),
        schedules.Intervals({"objects": 1, "sounds": 5}),
        schedules.Weighted({"objects": 3, "sounds": 1}),
        schedules.LossDriven(every=6),
    ],
    ids=lambda schedule: type(schedule).__name__,
)
def test_a_new_run_starts_its_schedule_at_step_0(schedule):
    model, found = make_model(), []
    for _ in range(2):
        data, seen = recorded()
        fit(model, models.make_mixture(data, schedule=schedule), 2)
        found.append({name: len(numbers) for name, numbers in seen.items()})
    assert found[0] == found[1]


def test_an_adaptive_schedule_measures_anew():
    model = make_model()
    mixture = models.make_mixture(
        models.data_of(*NAMES), schedule=schedules.LossDriven(every=6)
    )
    fit(model, mixture, epochs=5)
    assert model.schedule_state.read(NAMES).number == 3
    fit(model, mixture)
    assert model.schedule_state.read(NAMES).number == 0
    np.testing.assert_array_equal(model.schedule_state.read(NAMES).shares, 0.5)
    assert model.schedule_state.measured(NAMES).draws.sum() == 4


def test_a_data_set_is_shuffled_after_each_pass_of_each_run():
    class Told(keras.utils.PyDataset):
        passes = 0

        def __len__(self):
            return 2

        def __getitem__(self, index):
            return models.make_data()["objects"][index]

        def on_epoch_end(self):
            self.passes += 1

    data = Told()
    mixture = models.make_mixture({"objects": data})
    model = models.make_model(models.one_task, optimizer="sgd")
    for run in (1, 2):
        fit(model, mixture, steps_per_epoch=6)
        assert data.passes == 2 * run


# A run that continues -------------------------------------------------------


@pytest.mark.parametrize("how", ["the same model", "saved", "weights"])
def test_initial_epoch_continues_the_run(tmp_path, how):
    def mixture(data):
        return models.make_mixture(data, schedule=schedules.Weighted())

    whole = make_model(dropout=0.2)
    fit(whole, mixture(models.data_of(*NAMES)))
    fit(whole, mixture(models.data_of(*NAMES)), epochs=3)
    # The same in three parts, of which two are one run.
    model = make_model(dropout=0.2)
    fit(model, mixture(models.data_of(*NAMES)))
    fit(model, mixture(models.data_of(*NAMES)), epochs=1)
    if how == "saved":
        model.save(tmp_path / "model.keras")
        model = keras.models.load_model(tmp_path / "model.keras")
        model.run_eagerly = whole.run_eagerly
    elif how == "weights":
        model.save_weights(tmp_path / "model.weights.h5")
        model = make_model(dropout=0.2, seed=9)
        model.optimizer.build(model.trainable_variables)
        model.load_weights(tmp_path / "model.weights.h5")
    data, seen = recorded()
    fit(model, mixture(data), epochs=3, initial_epoch=1)
    assert min(map(min, seen.values())) > 0
    models.assert_same(models.state(model), models.state(whole))


@pytest.mark.parametrize("whose", ["own", "keras"])
def test_a_backup_of_a_second_run_continues_that_run(tmp_path, whose):
    def run(model, callbacks=()):
        mixture = models.make_mixture(
            models.data_of(*NAMES), schedule=schedules.LossDriven(every=6)
        )
        return fit(model, mixture, epochs=3, callbacks=list(callbacks))

    def backup():
        if whose == "own":
            return Backup(tmp_path / "backup", every=1)
        return keras.callbacks.BackupAndRestore(
            tmp_path / "backup", save_freq=1, delete_checkpoint=False
        )

    whole, first = make_model(dropout=0.2), make_model(dropout=0.2)
    for model in (whole, first):
        fit(model, models.in_turn(models.data_of(*NAMES)))
    run(whole)
    with pytest.raises(InterruptedRunError):
        run(first, [backup(), StopAfter(6)])
    second = make_model(dropout=0.2, seed=9)
    run(second, [backup()])
    models.assert_same(models.state(second), models.state(whole))
    assert second.run_state.run_step == 12


def test_the_weights_of_a_shorter_run_begin_a_new_one():
    model, short = make_model(), make_model()
    fit(short, models.in_turn(models.data_of(*NAMES)))
    for _ in range(3):
        fit(model, models.in_turn(models.data_of(*NAMES)))
    model.set_weights(short.get_weights())
    data, seen = recorded()
    fit(model, models.in_turn(data), epochs=2, initial_epoch=1)
    assert seen == {"objects": [0, 1], "sounds": [0, 1]}


def test_a_loss_that_is_not_finite_is_named_by_the_step_of_its_run():
    model = make_model()
    fit(model, models.in_turn(models.data_of(*NAMES)))
    data = models.data_of(*NAMES)
    x, y = data["objects"][1]
    data["objects"][1] = ({"image": np.full_like(x["image"], np.nan)}, y)
    with pytest.raises(keras_imp.NonFiniteLossError) as caught:
        fit(model, models.in_turn(data))
    assert (caught.value.step, caught.value.last_finite_step) == (2, 1)
    assert caught.value.cause == "Its input 'image' is not finite in row 0."


# The mixture stays as it is -------------------------------------------------


@pytest.mark.parametrize(
    "schedule", [schedules.Weighted(), schedules.LossDriven(every=6)]
)
@pytest.mark.parametrize("fails", [False, True])
def test_fit_leaves_the_mixture_as_it_was(schedule, fails):
    mixture = models.make_mixture(
        models.data_of(*NAMES), schedule=schedule, steps_per_epoch=50
    )
    before = copy.copy(vars(mixture)), copy.deepcopy(vars(mixture.schedule))
    model = make_model()
    if fails:
        with pytest.raises(InterruptedRunError):
            fit(model, mixture, epochs=5, callbacks=[StopAfter(13)])
    else:
        fit(model, mixture, epochs=5)
        model.evaluate(mixture, verbose=0, steps=2)
    assert vars(mixture) == before[0]
    assert mixture.steps_per_epoch == 50
    np.testing.assert_equal(vars(mixture.schedule), before[1])
    assert not hasattr(model, "training_mixture")


def test_one_mixture_serves_two_models_as_if_each_had_its_own():
    mixture = models.make_mixture(models.data_of(*NAMES))
    first, second, own = make_model(), make_model(), make_model()
    for _ in range(2):
        for model in (first, second):
            fit(model, mixture, steps_per_epoch=6)
        fit(
            own,
            models.make_mixture(models.data_of(*NAMES)),
            steps_per_epoch=6,
        )
    for model in (first, second):
        models.assert_same(models.state(model), models.state(own))


def test_one_mixture_trains_and_validates():
    mixture = models.all_once(models.data_of(*NAMES))
    model = make_model(optimizer=keras.optimizers.SGD(0.0))
    history = fit(model, mixture, validation_data=mixture).history
    assert history["val_loss"] == pytest.approx(history["loss"], rel=1e-5)


# Some of the tasks ----------------------------------------------------------


@pytest.mark.parametrize(
    "schedule",
    [
        schedules.Weighted({"sounds": 1, "objects": 2}),
        schedules.LossDriven(every=6),
    ],
    ids=lambda schedule: type(schedule).__name__,
)
def test_a_mixture_of_some_of_the_tasks_trains_those(schedule):
    model = models.make_model(
        run_eagerly=keras.config.backend() == "tensorflow"
    )
    idle = models.values(model.tasks["captions"].trainable_variables)
    # In another order than the model's.
    data = {name: models.make_data()[name] for name in NAMES[::-1]}
    logs = fit(
        model,
        models.make_mixture(data, schedule=schedule),
        epochs=8,
        validation_data=models.all_once(models.data_of("captions")),
    ).history
    assert {"objects/loss", "sounds/loss", "val_captions/loss"} <= set(logs)
    found = models.values(model.tasks["captions"].trainable_variables)
    for path, value in idle.items():
        np.testing.assert_array_equal(found[path], value)
    measured = model.schedule_state.measured(NAMES)
    assert measured.draws.sum() == 32
    assert model.schedule_state.measured(("captions",)).draws == 0
    if isinstance(schedule, schedules.LossDriven):
        rounds = model.schedule_state.read(NAMES)
        assert rounds.number == 31 // 6
        np.testing.assert_allclose(rounds.shares.sum(axis=1), 1, rtol=1e-6)


def test_a_run_of_some_of_the_tasks_resumes_in_a_round(tmp_path):
    def run(model, callbacks=()):
        mixture = models.make_mixture(
            models.data_of(*NAMES), schedule=schedules.LossDriven(every=6)
        )
        fit(model, mixture, epochs=5, callbacks=list(callbacks))
        return models.state(model)

    def make(seed=1):
        return models.make_model(seed=seed, **models.few_steps())

    whole = run(make())
    with pytest.raises(InterruptedRunError):
        run(make(), [Backup(tmp_path, every=1), StopAfter(16)])
    models.assert_same(run(make(9), [Backup(tmp_path)]), whole)
