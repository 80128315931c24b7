"""A run that is stopped anywhere ends as if it had not been."""

import functools
import os
import pkgutil
import re
import signal
import threading
import time

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp.callbacks import Backup, StoppedBySignal
from tests.helpers import models
from tests.helpers import resumable_runs as resumable
from tests.helpers.bad_batches import exactly
from tests.helpers.interruption import (
    EAGERLY,
    Batches,
    InterruptedRunError,
    StopAfter,
    assert_whole,
    fit,
    fit_small,
    whole,
)
from tests.helpers.weights import to_numpy

pytestmark = pytest.mark.one_backend

STEPS, EPOCHS = resumable.STEPS, resumable.EPOCHS


@pytest.fixture(scope="module")
def never_stopped():
    return whole(fit)


fit_compiled = functools.partial(fit, eagerly=False)


@pytest.fixture(scope="module")
def compiled_never_stopped(never_stopped):
    return whole(fit_compiled) if EAGERLY else never_stopped


@pytest.fixture(scope="module")
def small_never_stopped():
    return whole(fit_small)


def run_until_done(fit, make_backup, stops):
    """Model and history of the last of many runs, the others broken off."""
    for steps in stops:
        with pytest.raises(InterruptedRunError):
            # After the backup: keras.callbacks.BackupAndRestore saves first.
            fit([make_backup(), StopAfter(steps)], seed=1)
    return fit([make_backup()])


def test_a_run_goes_on_within_the_epoch(tmp_path, compiled_never_stopped):
    found = run_until_done(
        fit_compiled, lambda: Backup(tmp_path, every=1), (3, 3, 3)
    )
    assert_whole(*found, compiled_never_stopped)


@pytest.mark.parametrize(
    ("every", "stops"),
    [(1, (3, 3, 1, 3)), (2, (4, 4)), (7, (9,))],
    ids=["each step", "every 2 steps", "across epochs"],
)
def test_the_steps_between_backups_are_free(
    tmp_path, small_never_stopped, every, stops
):
    found = run_until_done(
        fit_small, lambda: Backup(tmp_path, every=every), stops
    )
    assert_whole(*found, small_never_stopped)


@pytest.mark.skipif(
    keras.config.backend() == "torch", reason="Keras takes steps one by one"
)
def test_several_steps_in_one_call_go_on_too(tmp_path):
    options = {"steps_per_execution": 2}
    expected = fit_small([], seed=1, compile_options=options)
    with pytest.raises(InterruptedRunError):
        fit_small(
            [Backup(tmp_path, every=2), StopAfter(4)],
            seed=1,
            compile_options=options,
        )
    found = fit_small([Backup(tmp_path, every=2)], compile_options=options)
    assert_whole(*found, (models.state(expected[0]), expected[1]))


@pytest.mark.skipif(
    keras.config.backend() != "jax", reason="others keep their state in place"
)
def test_a_step_that_saves_nothing_leaves_the_state_to_jax(tmp_path):
    class Count(keras.callbacks.Callback):
        """How often the state was written back within the epochs."""

        syncs = 0

        def on_train_batch_end(self, batch, logs=None):
            self.syncs += self._model._jax_state_synced

        on_train_batch_begin = on_train_batch_end

    count = Count()
    fit_small([Backup(tmp_path, every=99), count])
    assert count.syncs == EPOCHS  # The begin of each epoch.
    count = Count()
    fit_small([Backup(tmp_path / "more", every=1), count])
    assert count.syncs == EPOCHS * STEPS


def test_keras_own_backup_goes_on_within_the_epoch_too(tmp_path, never_stopped):
    def make():
        return keras.callbacks.BackupAndRestore(
            tmp_path, save_freq=2, delete_checkpoint=False
        )

    # Stopped twice in one epoch, which Keras counts from 0 after a resume.
    found = run_until_done(fit, make, (8, 2))
    assert_whole(*found, never_stopped)


def test_by_default_it_saves_after_each_epoch(tmp_path, small_never_stopped):
    with pytest.raises(InterruptedRunError):
        fit_small([Backup(tmp_path), StopAfter(STEPS + 3)], seed=1)
    seen = Batches()
    model, history = fit_small([Backup(tmp_path), seen])
    assert seen.seen == [(1, batch) for batch in range(STEPS)]
    assert_whole(model, history, small_never_stopped)


def test_a_resumed_epoch_keeps_its_length_and_the_numbers_of_its_batches(
    tmp_path,
):
    with pytest.raises(InterruptedRunError):
        fit_small([Backup(tmp_path, every=1), StopAfter(STEPS + 3)], seed=1)
    seen = Batches()
    model, _ = fit_small([Backup(tmp_path, every=1), seen])
    assert seen.seen == [(1, batch) for batch in range(STEPS)]
    assert int(model.step_counter) == STEPS * EPOCHS


def test_a_run_that_was_stopped_in_a_validation_goes_on(
    tmp_path, never_stopped
):
    class StopInValidation(keras.callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        fit([Backup(tmp_path, every=1), StopInValidation()], seed=1)
    seen = Batches()
    found = fit([Backup(tmp_path, every=1), seen])
    # All steps of epoch 1 were taken; its validation is done now.
    assert len(seen.seen) == 2 * STEPS
    assert_whole(*found, never_stopped)


def test_it_saves_by_the_clock(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    class Tick(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            now[0] += 10.0

    backup = Backup(tmp_path, seconds=25.0, keep=99)
    fit_small([backup, Tick()], seed=1)
    steps = [backup.files.read(p)["step"] for p in backup.files.newest_first()]
    # After 30 s each, and at the end.
    assert steps == [10, 9, 6, 3]


def test_a_run_that_is_complete_is_not_trained_again(
    tmp_path, small_never_stopped
):
    fit_small([Backup(tmp_path)], seed=1)
    seen = Batches()
    model, history = fit_small([Backup(tmp_path), seen])
    assert seen.seen == []
    assert history == {}
    models.assert_same(models.state(model), small_never_stopped[0])


def test_a_complete_run_can_be_made_longer(tmp_path, small_never_stopped):
    fit_small([Backup(tmp_path)], epochs=1, seed=1)
    assert_whole(*fit_small([Backup(tmp_path)], epochs=2), small_never_stopped)


def test_a_run_that_stopped_early_is_complete(tmp_path):
    class StopNow(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    model, _ = fit_small([Backup(tmp_path), StopNow()], epochs=3, seed=1)
    again, history = fit_small([Backup(tmp_path)], epochs=3)
    assert history == {}
    models.assert_same(models.state(again), models.state(model))


class StopIn(keras.callbacks.Callback):
    """Stop the training within an epoch, as a limit of time does."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.place = [epoch, batch]

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if [self.epoch, batch] == self.place:
            self.model.stop_training = True


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_a_run_that_was_stopped_within_an_epoch_goes_on(
    tmp_path, small_never_stopped, first
):
    for epoch, batch in ((0, 1), (0, 3), (1, 2)):
        stop = StopIn(epoch, batch)
        callbacks = [stop, Backup(tmp_path)][:: 1 if first else -1]
        fit_small(callbacks, seed=1)
    assert_whole(*fit_small([Backup(tmp_path)]), small_never_stopped)


def test_so_does_one_with_a_validation(tmp_path, never_stopped):
    fit([Backup(tmp_path), StopIn(0, 2)], seed=1)
    fit([Backup(tmp_path, every=99), StopIn(1, 1)])
    assert_whole(*fit([Backup(tmp_path)]), never_stopped)


def test_a_run_that_was_stopped_by_the_last_step_of_an_epoch_is_complete(
    tmp_path,
):
    fit_small([Backup(tmp_path), StopIn(0, STEPS - 1)], epochs=3, seed=1)
    assert fit_small([Backup(tmp_path)], epochs=3)[1] == {}


def test_the_last_ones_are_kept_and_nothing_else(tmp_path):
    (tmp_path / "unfinished-backup.weights.h5").write_bytes(b"half a save")
    backup = Backup(tmp_path, every=1, keep=3)
    fit_small([backup], seed=1)
    assert len(list(tmp_path.iterdir())) == 3
    steps = [backup.files.read(p)["step"] for p in backup.files.newest_first()]
    assert steps == [10, 9, 8]


def test_a_backup_is_a_weights_file_of_keras(tmp_path):
    backup = Backup(tmp_path)
    model, _ = fit_small([backup], seed=1)
    other = models.make_model(models.one_task, seed=3, dropout=0.2)
    other.load_weights(backup.files.newest_first()[0])
    for a, b in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(a), to_numpy(b))


def test_an_adaptive_schedule_goes_on_within_its_round(tmp_path):
    def run(callbacks, seed=77):
        model = models.make_model(
            models.two_tasks,
            seed=seed,
            optimizer=keras.optimizers.SGD(0.5),
            run_eagerly=EAGERLY,
        )
        mixture = models.make_mixture(
            models.data_of("objects", "sounds"),
            schedule=keras_imp.schedules.LossDriven(every=7),
            steps_per_epoch=10,
        )
        history = model.fit(mixture, epochs=3, verbose=0, callbacks=callbacks)
        return model, history.history

    model, history = run([], seed=1)
    for steps in (6, 4, 9):  # Backups at steps 5, 8 and 16; rounds end at 14.
        with pytest.raises(InterruptedRunError):
            run([Backup(tmp_path, every=1), StopAfter(steps)], seed=1)
    found = run([Backup(tmp_path, every=1)])
    assert_whole(*found, (models.state(model), history))
    shares = models.values(model.schedule_state.variables)
    assert not any((value == 0.5).all() for value in shares.values())


@pytest.mark.parametrize(
    ("dies", "kept"),
    [
        ("tests.helpers.models.TinyEncoder.save_own_variables", 2),
        ("pathlib.Path.replace", 2),
        ("keras_imp.training.checkpoint.files.BackupFiles._remove_old", 3),
    ],
    ids=["while Keras writes", "before the rename", "after the rename"],
)
def test_a_save_that_is_cut_short_costs_one_save(
    tmp_path, small_never_stopped, monkeypatch, dies, kept
):
    owner, name = dies.rsplit(".", 1)
    function = dies_in_call(3, getattr(pkgutil.resolve_name(owner), name))
    monkeypatch.setattr(dies, function)
    with pytest.raises(InterruptedRunError):
        fit_small([Backup(tmp_path, every=1, keep=9)], seed=1)
    assert len(list(tmp_path.glob("unfinished-*"))) == (kept == 2)
    assert len(list(tmp_path.glob("backup-*"))) == kept
    found = fit_small([Backup(tmp_path, every=99)])
    assert_whole(*found, small_never_stopped)
    assert not list(tmp_path.glob("unfinished-*"))


def dies_in_call(number, function):
    """The function, which works until its call of that number."""
    calls = []

    def call(*args, **kwargs):
        calls.append(args)
        if len(calls) == number:
            raise InterruptedRunError
        return function(*args, **kwargs)

    return call


def test_after_a_loss_that_is_not_finite_the_last_good_state_stays(
    tmp_path, small_never_stopped
):
    class Spoil(keras.callbacks.Callback):
        """As a bad batch does, in step 4; batches are good again later."""

        def on_train_batch_end(self, batch, logs=None):
            if batch == 3:
                self.model.failed_step.assign(3)
                self.model.failed_tasks.assign([1])

    with pytest.raises(keras_imp.NonFiniteLossError):
        fit_small([Backup(tmp_path, every=1), Spoil()], seed=1)
    backup = Backup(tmp_path, every=1)
    newest = backup.files.newest_first()[0]
    assert backup.files.read(newest)["step"] == 3
    assert_whole(*fit_small([backup]), small_never_stopped)


@pytest.mark.skipif(
    keras.config.backend() != "torch", reason="others have no such generator"
)
def test_dropout_without_a_seed_goes_on_too(tmp_path):
    def run(callbacks, seed=1):
        keras.utils.set_random_seed(seed)
        encoder = models.TinyEncoder()
        encoder.dropout = keras.layers.Dropout(0.5)
        model = models.make_model(
            models.one_task,
            encoder,
            seed=seed,
            optimizer=keras.optimizers.SGD(0.1),
        )
        mixture = models.in_turn(
            models.data_of("objects"), steps_per_epoch=STEPS
        )
        model.fit(mixture, epochs=2, verbose=0, callbacks=callbacks)
        return models.state(model)

    with pytest.raises(InterruptedRunError):
        run([Backup(tmp_path, every=1), StopAfter(8)])
    found = run([Backup(tmp_path, every=1)], seed=2)
    models.assert_same(found, run([]))


# Damage ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_backups(tmp_path_factory):
    """The files of a run that broke off after 4 steps."""
    folder = tmp_path_factory.mktemp("two_backups")
    with pytest.raises(InterruptedRunError):
        fit_small([Backup(folder, every=1), StopAfter(4)], seed=1)
    paths = Backup(folder).files.newest_first()
    return {path.name: path.read_bytes() for path in paths}


def put(files, folder):
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def flip(content):
    return content[:999] + bytes([content[999] ^ 1]) + content[1000:]


@pytest.mark.parametrize(
    "damage", [flip, lambda c: c[:1000], lambda c: b""],
    ids=["one bit", "cut off", "empty"],
)  # fmt: skip
def test_a_damaged_backup_is_passed_over(
    tmp_path, two_backups, small_never_stopped, damage
):
    newest, older = two_backups
    put({**two_backups, newest: damage(two_backups[newest])}, tmp_path)
    text = (
        "A backup cannot be used: its content does not match the checksum in "
        f"its name. Received: file={newest!r}. Resuming from {older!r}, step 2."
    )
    with pytest.warns(UserWarning, match=f"^{re.escape(text)}$"):
        found = fit_small([Backup(tmp_path, every=3)])
    assert_whole(*found, small_never_stopped)
    # It does not push a good one out, and goes with the first good one.
    assert newest not in {path.name for path in tmp_path.iterdir()}
    assert len(list(tmp_path.iterdir())) == 2


def test_a_run_never_starts_anew_where_all_backups_are_damaged(
    tmp_path, two_backups
):
    put(
        {name: flip(content) for name, content in two_backups.items()}, tmp_path
    )
    why = "its content does not match the checksum in its name"
    text = (
        "None of the backups can be used. Received: "
        f"folder={str(tmp_path)!r}, "
        f"broken={dict.fromkeys(two_backups, why)!r}. To train from the "
        "start, remove them or give another folder."
    )
    with exactly(ValueError, text):
        fit_small([Backup(tmp_path)])
    assert len(list(tmp_path.iterdir())) == 2


def test_a_backup_that_cannot_be_read_is_passed_over(tmp_path, two_backups):
    newest, older = two_backups
    put({older: two_backups[older]}, tmp_path)
    (tmp_path / newest).mkdir()  # Opening it fails.
    with (
        pytest.warns(UserWarning, match="it cannot be read"),
        pytest.raises(InterruptedRunError),
    ):
        fit_small([Backup(tmp_path, every=99), StopAfter(1)])


# Another run's backup -------------------------------------------------------


def refit(folder, model=None, mixture=None):
    model = model or resumable.make_model()
    model.fit(
        mixture or resumable.make_mixture(),
        epochs=EPOCHS,
        verbose=0,
        callbacks=[Backup(folder)],
    )


def make_model(
    make_tasks=resumable.two_tasks, optimizer=None, encoder=None, **options
):
    rate = keras_imp.optimizers.CosineWithWarmup(
        2e-2, total_steps=STEPS * EPOCHS, warmup_steps=4
    )
    return models.make_model(
        make_tasks,
        optimizer=optimizer or keras.optimizers.SGD(rate, momentum=0.9),
        encoder=encoder or models.TinyEncoder(dropout=0.2),
        run_eagerly=EAGERLY,
        **options,
    )


def make_mixture(data=None, **options):
    options = {
        "seed": 5,
        "schedule": keras_imp.schedules.Weighted({"objects": 1, "captions": 2}),
        "steps_per_epoch": STEPS,
        **options,
    }
    return models.make_mixture(data or resumable.make_data(), **options)


def renamed():
    things = keras_imp.tasks.Classification("things", "image", 3)
    return [things, resumable.two_tasks()[1]]


def fewer_batches():
    data = resumable.make_data()
    return {**data, "objects": data["objects"][:2]}


def renamed_run():
    data = resumable.make_data()
    data["things"] = data.pop("objects")
    weights = {"things": 1, "captions": 2}
    return {
        "model": make_model(renamed),
        "mixture": make_mixture(
            data, schedule=keras_imp.schedules.Weighted(weights)
        ),
    }


FOREIGN = {
    "tasks": (
        renamed_run, "tasks", ["objects", "captions"], ["things", "captions"],
    ),
    "width": (
        lambda: {"model": make_model(encoder=models.TinyEncoder(4, 0.2))},
        "model.encoder.hidden_dim", 8, 4,
    ),
    "dropout": (
        lambda: {"model": make_model(encoder=models.TinyEncoder(dropout=0.3))},
        "model.encoder.dropout", 0.2, 0.3,
    ),
    "optimizer": (
        lambda: {"model": make_model(optimizer=keras.optimizers.AdamW(0.1))},
        "optimizer.class", "SGD", "AdamW",
    ),
    "schedule": (
        lambda: {
            "mixture": make_mixture(schedule=keras_imp.schedules.RoundRobin())
        },
        "mixture.schedule.class", "Weighted", "RoundRobin",
    ),
    "weights": (
        lambda: {
            "mixture": make_mixture(
                schedule=keras_imp.schedules.Weighted(
                    {"objects": 1, "captions": 3}
                )
            )
        },
        "mixture.schedule.weights.captions", 2, 3,
    ),
    "seed": (
        lambda: {"mixture": make_mixture(seed=6)},
        "mixture.schedule.seed", 5, 6,
    ),
    "steps": (
        lambda: {"mixture": make_mixture(steps_per_epoch=4)},
        "mixture.steps_per_epoch", 5, 4,
    ),
    "data": (
        lambda: {"mixture": make_mixture(fewer_batches())},
        "mixture.batches.objects", 3, 2,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def backup_of_two_tasks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two_tasks")
    with pytest.raises(InterruptedRunError):
        fit([Backup(folder, every=1), StopAfter(2)], seed=1)
    return folder


@pytest.mark.parametrize("name", list(FOREIGN))
def test_another_runs_backup_is_refused_with_what_differs(
    backup_of_two_tasks, name
):
    make, where, old, new = FOREIGN[name]
    (newest,) = backup_of_two_tasks.iterdir()
    text = (
        f"The backup is of another run: `{where}` differs. Received: "
        f"file={str(newest)!r}, backup={old!r}, now={new!r}. Continue with "
        "what that run was given, or choose another folder. "
        "`model.load_weights(file)` takes its weights alone."
    )
    with exactly(ValueError, text):
        refit(backup_of_two_tasks, **make())


@pytest.mark.parametrize(
    "wrap", [lambda optimizer: optimizer, keras.optimizers.LossScaleOptimizer],
    ids=["float32", "mixed float16"],
)  # fmt: skip
def test_a_learning_rate_that_a_callback_changed_is_restored(tmp_path, wrap):
    def run(stop, seed):
        model = make_model(optimizer=wrap(keras.optimizers.SGD(0.5)), seed=seed)
        halve = keras.callbacks.LearningRateScheduler(lambda _, rate: rate / 2)
        model.fit(
            make_mixture(),
            epochs=2,
            verbose=0,
            callbacks=[Backup(tmp_path, every=1), halve, *stop],
        )
        return model

    with pytest.raises(InterruptedRunError):
        run([StopAfter(3)], seed=1)
    model = run([], seed=2)
    # Halved once in each epoch, the one that was stopped too.
    assert float(model.optimizer.learning_rate) == 0.125
    # The same process goes on, with the rate as it is now.
    model.fit(make_mixture(), epochs=3, verbose=0, callbacks=[Backup(tmp_path)])
    # A new one with another rate of its own does not.
    text = "`optimizer.learning_rate` differs"
    with pytest.raises(ValueError, match=re.escape(text)):
        refit(tmp_path, make_model(optimizer=wrap(keras.optimizers.SGD(0.25))))


# Signals --------------------------------------------------------------------


class Send(keras.callbacks.Callback):
    """Send this process a signal in the middle of a step, or a validation."""

    def __init__(self, name, batch, hook="on_train_batch_end", times=1):
        super().__init__()
        self.number = signal.Signals[name]
        self.batch = batch
        self.times = times
        setattr(self, hook, self.send)

    def send(self, batch, logs=None):
        if batch == self.batch:
            for _ in range(self.times):
                os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(
    ("hook", "batch", "step"),
    [
        # On torch, Keras has read the batch of the step by then.
        (
            "on_train_batch_begin",
            2,
            3 if keras.config.backend() == "torch" else 2,
        ),
        ("on_train_batch_end", STEPS - 1, STEPS),
        ("on_test_batch_begin", 1, STEPS),
    ],
    ids=["within an epoch", "last step of an epoch", "validation"],
)
def test_sigterm_saves_at_the_next_step_and_stops(
    tmp_path, never_stopped, hook, batch, step
):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(StoppedBySignal) as caught:
        fit([Backup(tmp_path), Send("SIGTERM", batch, hook)], seed=1)
    assert signal.getsignal(signal.SIGTERM) is before
    assert str(caught.value) == (
        f"Stopped by SIGTERM after step {step}. Run the same training again to "
        f"continue from there: its state is in {str(tmp_path)!r}."
    )
    assert caught.value.code == 143
    (path,) = tmp_path.iterdir()
    assert Backup(tmp_path).files.read(path)["step"] == step
    assert_whole(*fit([Backup(tmp_path)]), never_stopped)


def test_a_signal_in_the_last_step_stops_after_the_run_was_saved(tmp_path):
    class SendLate(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == EPOCHS - 1:
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(StoppedBySignal):
        fit_small([Backup(tmp_path), SendLate()], seed=1)
    assert fit_small([Backup(tmp_path)])[1] == {}


class Blocks:
    """Batches in memory, one of which does not come before `free` is set."""

    def __init__(self, at=None):
        self.batches = models.make_data()["objects"]
        self.at = at
        self.free = threading.Event()

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        if index == self.at:
            self.free.wait(60)
        return self.batches[index]


class SendLater(Send):
    """Send it when the next batch is waited for."""

    def send(self, batch, logs=None):
        if batch == self.batch:
            me = (os.getpid(), self.number)
            threading.Timer(0.3, os.kill, me).start()


@pytest.mark.parametrize(
    ("name", "prefetch", "hook"),
    [
        ("SIGTERM", 2, "on_train_batch_end"),
        ("SIGINT", 0, "on_train_batch_end"),
        ("SIGTERM", 2, "on_test_batch_end"),
    ],
    ids=["read ahead", "read when needed", "validation"],
)
def test_a_signal_stops_a_run_whose_source_blocks(
    tmp_path, name, prefetch, hook
):
    def run(callbacks, blocks=None, seed=1):
        sources = [blocks or Blocks(), Blocks()]
        if "test" in hook:
            sources.reverse()
        train, validation = ({"objects": source} for source in sources)
        model = models.make_model(
            models.one_task, seed=seed, dropout=0.2, run_eagerly=EAGERLY
        )
        model.fit(
            models.in_turn(train, prefetch=prefetch),
            steps_per_epoch=STEPS,
            epochs=EPOCHS,
            verbose=0,
            callbacks=callbacks,
            validation_data=models.all_once(validation),
        )
        return models.state(model)

    blocks = Blocks(at=2)
    backup = Backup(tmp_path, signals=("SIGTERM", "SIGINT"))
    before = signal.getsignal(signal.SIGTERM)
    began = time.monotonic()
    with pytest.raises(StoppedBySignal) as caught:
        run([backup, SendLater(name, 1, hook)], blocks)
    assert time.monotonic() - began < 30
    blocks.free.set()
    assert signal.getsignal(signal.SIGTERM) is before
    assert caught.value.signal == name
    assert caught.value.step == (STEPS if "test" in hook else 2)
    found = run([Backup(tmp_path)], seed=77)
    models.assert_same(found, run([]))


def test_a_signal_after_the_last_save_acts_as_usual(tmp_path):
    class SendAtTheEnd(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit_small([Backup(tmp_path, signals=("SIGINT",)), SendAtTheEnd()])
    assert fit_small([Backup(tmp_path)])[1] == {}


def test_other_signals_are_left_alone_and_a_second_one_acts_as_usual(tmp_path):
    def refuse(number, frame):
        raise InterruptedRunError

    previous = signal.signal(signal.SIGTERM, refuse)
    try:
        with pytest.raises(InterruptedRunError):
            fit_small([Backup(tmp_path), Send("SIGTERM", 1, times=2)])
        with pytest.raises(InterruptedRunError):
            fit_small([Backup(tmp_path, signals=()), Send("SIGTERM", 1)])
        backup = Backup(tmp_path, signals=("SIGINT",))
        with pytest.raises(StoppedBySignal) as caught:
            fit_small([backup, Send("SIGINT", 1)], seed=1)
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert caught.value.code == 130


def test_handlers_are_put_back_after_an_error_too(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(InterruptedRunError):
        fit_small([Backup(tmp_path), StopAfter(1)])
    assert signal.getsignal(signal.SIGTERM) is before


def test_another_thread_than_the_main_one_trains_without_signals(tmp_path):
    found = []

    def train():
        found.append(fit_small([Backup(tmp_path)], epochs=1, seed=1))

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert len(found) == 1


# Arguments ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"every": 0}, "`every` must be greater than 0. Received: every=0."),
        (
            {"seconds": -1.0},
            "`seconds` must be greater than 0. Received: seconds=-1.0.",
        ),
        ({"keep": 0}, "`keep` must be greater than 0. Received: keep=0."),
    ],
)
def test_arguments_out_of_range_are_refused(tmp_path, options, text):
    with exactly(ValueError, text):
        Backup(tmp_path, **options)


def test_an_unknown_signal_is_refused(tmp_path):
    names = tuple(number.name for number in signal.Signals)
    text = f"`signals` must be one of {names}. Received: signals='SIGSTOPP'."
    with exactly(ValueError, text):
        Backup(tmp_path, signals=("SIGSTOPP",))


def test_another_model_is_told_which_callback_it_needs(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    text = (
        "Backup works in `AlternatingModel.fit`. Received: model='Sequential'. "
        "Use keras.callbacks.BackupAndRestore for other models."
    )
    with exactly(ValueError, text):
        model.fit(
            np.zeros((2, 2)),
            np.zeros((2, 1)),
            verbose=0,
            callbacks=[Backup(tmp_path)],
        )
