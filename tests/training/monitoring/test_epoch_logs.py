"""Logs of epochs that do not draw every task, and Keras' callbacks on them."""

import csv
import math
import warnings

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp.callbacks import ResumableCSVLogger
from tests.helpers import models
from tests.helpers.models import data_of

pytestmark = pytest.mark.one_backend

A, B = "objects", "sounds"
# Which of the tasks the epochs draw, one step each.
PATTERNS = ["ABAAB", "BABAB", "BBAAA", "BBBBA", "AABBB"]


class Pattern(keras_imp.schedules.Schedule):
    """The tasks of the first steps, one letter each; then the last."""

    def __init__(self, letters):
        self.letters = letters

    def draw(self, block):
        last = len(self.letters) - 1
        drawn = [
            self.names.index(A if self.letters[min(step, last)] == "A" else B)
            for step in self.steps(block)
        ]
        return np.array(drawn)


def make_model():
    # A rate at which losses go up and down.
    return models.make_model(
        models.two_tasks,
        optimizer=keras.optimizers.SGD(20.0),
        run_eagerly=keras.config.backend() == "tensorflow",
    )


def fit(model, pattern, callbacks=(), epochs=None, **options):
    with warnings.catch_warnings():
        # None that a value is not available: it comes in another epoch.
        warnings.filterwarnings("error", category=UserWarning)
        return model.fit(
            models.make_mixture(data_of(A, B), schedule=Pattern(pattern)),
            steps_per_epoch=1,
            epochs=epochs or len(pattern),
            verbose=0,
            callbacks=list(callbacks),
            **options,
        )


class Weights(keras.callbacks.Callback):
    """The weights after each epoch."""

    def on_train_begin(self, logs=None):
        self.after = []

    def on_epoch_end(self, epoch, logs=None):
        self.after.append(self.model.get_weights())


def best(history, name, mode):
    values = np.array(history.table()[name])
    return int(np.nanargmin(values) if mode == "min" else np.nanargmax(values))


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


# What the logs hold ---------------------------------------------------------


def test_an_epoch_logs_the_tasks_that_it_drew_and_no_others():
    seen = []
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(sorted(logs))
    )
    fit(make_model(), "AB", [note])
    assert seen == [
        ["loss", f"{A}/accuracy", f"{A}/loss"],
        ["loss", f"{B}/accuracy", f"{B}/loss"],
    ]


def test_the_history_has_each_value_in_its_epoch():
    history = fit(
        make_model(),
        "BABA",
        validation_data=models.all_once(data_of(A)),
        validation_freq=2,
    )
    assert [len(history.history[f"{name}/loss"]) for name in (A, B)] == [2, 2]
    table = history.table()
    assert {len(values) for values in table.values()} == {4}
    assert table["epoch"] == [0, 1, 2, 3]
    for name, epochs in ((A, [1, 3]), (B, [0, 2]), (f"val_{A}", [1, 3])):
        values = np.array(table[f"{name}/loss"])
        assert np.flatnonzero(np.isfinite(values)).tolist() == epochs
        assert history.history[f"{name}/loss"] == values[epochs].tolist()


def test_a_task_that_no_epoch_drew_is_not_in_the_history():
    history = fit(make_model(), "AA")
    assert not [name for name in history.history if name.startswith(B)]


def test_an_evaluation_has_the_tasks_of_its_mixture():
    found = make_model().evaluate(models.all_once(data_of(B)), verbose=0)
    assert sorted(found) == ["loss", f"{B}/accuracy", f"{B}/loss"]


class Odd(keras_imp.tasks.Classification):
    """Has a metric that is NaN."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.odd = self.track(keras.metrics.Mean(name="odd"))

    def update_metrics(self, x, y, y_pred, sample_weight=None):
        super().update_metrics(x, y, y_pred, sample_weight)
        self.odd.update_state(math.nan)


def test_a_nan_of_a_task_that_was_drawn_is_not_hidden():
    model = models.make_model([Odd(A, "image", 3), models.tasks()[2]])
    history = fit(model, "AB").history
    assert np.isnan(history[f"{A}/odd"]).tolist() == [True]
    found = model.evaluate(models.all_once(data_of(A, B)), verbose=0)
    assert math.isnan(found[f"{A}/odd"])


def test_a_metric_without_a_wrapper_goes_with_its_task():
    class Plain(keras_imp.tasks.Classification):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.plain = keras.metrics.Mean(name=f"{A}/plain")

        def update_metrics(self, x, y, y_pred, sample_weight=None):
            self.plain.update_state(2.0)

    model = models.make_model([Plain(A, "image", 3), models.tasks()[2]])
    table = fit(model, "BA").table()
    np.testing.assert_array_equal(table[f"{A}/plain"], [math.nan, 2.0])


# Callbacks that compare -----------------------------------------------------


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_checkpoint_of_the_best_is_of_the_best(tmp_path, pattern):
    chosen = [
        (monitor, mode)
        for monitor in (f"{A}/loss", f"val_{A}/loss", f"{A}/accuracy")
        for mode in ("min", "max")
    ]
    paths = [tmp_path / f"{i}.weights.h5" for i in range(len(chosen))]
    checkpoints = [
        keras.callbacks.ModelCheckpoint(
            path,
            monitor=monitor,
            mode=mode,
            save_best_only=True,
            save_weights_only=True,
        )
        for path, (monitor, mode) in zip(paths, chosen)
    ]
    model, weights = make_model(), Weights()
    history = fit(
        model,
        pattern,
        [*checkpoints, weights],
        # A value of the validation comes and goes too.
        validation_data=models.all_once(data_of(A)),
        validation_freq=[1, 3, 4],
    )
    for path, checkpoint, choice in zip(paths, checkpoints, chosen):
        epoch = best(history, *choice)
        assert checkpoint.best == history.table()[choice[0]][epoch]
        model.load_weights(path)
        assert same(model.get_weights(), weights.after[epoch]), choice


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("mode", ["min", "max"])
def test_early_stopping_restores_the_best_weights(pattern, mode):
    monitor = f"{A}/loss"
    stop = keras.callbacks.EarlyStopping(
        monitor=monitor, mode=mode, patience=99, restore_best_weights=True
    )
    model, weights = make_model(), Weights()
    history = fit(model, pattern, [stop, weights])
    epoch = best(history, monitor, mode)
    assert stop.best_epoch == epoch
    assert same(model.get_weights(), weights.after[epoch])


def test_early_stopping_waits_for_epochs_that_have_its_value():
    stop = keras.callbacks.EarlyStopping(
        monitor=f"{A}/loss", mode="min", min_delta=1e9, patience=2
    )
    history = fit(make_model(), "BABBBABBBABBB", [stop])
    # The first value is the best; the second and the third are no better.
    assert len(history.epoch) == 10


def test_the_rate_falls_when_a_value_stays_where_it_was():
    model, rates = make_model(), []
    callbacks = [
        keras.callbacks.ReduceLROnPlateau(
            monitor=f"{A}/loss",
            mode="min",
            min_delta=1e9,
            patience=2,
            factor=0.5,
        ),
        keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: rates.append(
                float(model.optimizer.learning_rate)
            )
        ),
    ]
    history = fit(model, "BABBABBAB", callbacks)
    assert rates == [20.0] * 7 + [10.0] * 2
    # It logs the rate in every epoch.
    assert len(history.history["learning_rate"]) == 9


def test_a_start_value_must_be_beaten(tmp_path):
    checkpoint = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.keras",
        monitor=f"{A}/loss",
        mode="min",
        save_best_only=True,
        initial_value_threshold=-1.0,
    )
    fit(make_model(), "BABA", [checkpoint])
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_within_the_epoch_waits_for_a_step_of_its_task(tmp_path):
    path = tmp_path / "{batch}.weights.h5"
    checkpoint = keras.callbacks.ModelCheckpoint(
        path,
        monitor=f"{A}/loss",
        mode="min",
        save_best_only=True,
        save_weights_only=True,
        save_freq=2,
    )
    make_model().fit(
        models.make_mixture(data_of(A, B), schedule=Pattern("BBBABB")),
        steps_per_epoch=6,
        verbose=0,
        callbacks=[checkpoint],
    )
    assert [path.name for path in tmp_path.iterdir()] == ["4.weights.h5"]


def test_a_name_of_a_file_may_show_what_was_not_measured(tmp_path):
    name = "{epoch}-{" + A + "/accuracy:.0f}-{val_" + A + "/loss:.0f}"
    checkpoint = keras.callbacks.ModelCheckpoint(
        tmp_path / f"{name}.weights.h5", save_weights_only=True
    )
    fit(
        make_model(),
        "B",
        [checkpoint],
        validation_data=models.all_once(data_of(A)),
        validation_freq=2,
    )
    found = [path.name for path in tmp_path.iterdir()]
    assert found == ["1-nan-nan.weights.h5"]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (keras.callbacks.EarlyStopping, "Early stopping conditioned on metric"),
        (keras.callbacks.ReduceLROnPlateau, "Learning rate reduction is cond"),
    ],
)
def test_an_unknown_value_is_still_warned_of(make, text):
    with pytest.raises(UserWarning, match=text):
        fit(make_model(), "A", [make(monitor="val_loss")])


# Callbacks that write -------------------------------------------------------


def columns(path):
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    # Keras has columns for a validation that there is not, with "NA".
    return {
        name: [float(row[name] or math.nan) for row in rows]
        for name in rows[0]
        if rows[0][name] != "NA"
    }


@pytest.mark.parametrize(
    "make", [keras.callbacks.CSVLogger, ResumableCSVLogger]
)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_csv_file_has_each_value_in_its_row(tmp_path, make, pattern):
    history = fit(
        make_model(),
        pattern,
        [make(tmp_path / "log.csv")],
        validation_data=models.all_once(data_of(A)),
        validation_freq=2,
    )
    found, table = columns(tmp_path / "log.csv"), history.table()
    assert sorted(found) == sorted(table)
    for name, values in table.items():
        np.testing.assert_allclose(found[name], values, err_msg=name)


def test_a_csv_file_of_a_run_in_two_parts_has_one_head(tmp_path):
    model = make_model()
    for epochs in (1, 4):
        log = keras.callbacks.CSVLogger(tmp_path / "log.csv", append=True)
        fit(model, "ABBA", [log], epochs, initial_epoch=epochs // 4)
    found = columns(tmp_path / "log.csv")
    assert found["epoch"] == [0, 1, 2, 3]
    assert np.isnan(found[f"{A}/loss"]).tolist() == [False, True, True, False]
    assert np.isnan(found[f"{B}/loss"]).tolist() == [True, False, False, True]


def test_tensorboard_has_a_point_for_each_epoch_with_a_value(tmp_path):
    from tensorboard.backend.event_processing import event_accumulator

    fit(make_model(), "BABA", [keras.callbacks.TensorBoard(tmp_path)])
    events = event_accumulator.EventAccumulator(str(tmp_path / "train"))
    events.Reload()
    for name, epochs in ((A, [1, 3]), (B, [0, 2])):
        points = events.Tensors(f"epoch_{name}/loss")
        assert [point.step for point in points] == epochs


def test_nothing_terminates_for_a_task_that_was_not_drawn():
    history = fit(make_model(), "BAB", [keras.callbacks.TerminateOnNaN()])
    assert history.epoch == [0, 1, 2]


def test_a_resumed_run_has_the_same_values(tmp_path):
    whole = fit(make_model(), "BABBA").table()

    def backup():
        return keras.callbacks.BackupAndRestore(
            tmp_path, delete_checkpoint=False
        )

    fit(make_model(), "BABBA", [backup()], epochs=2)
    found = fit(make_model(), "BABBA", [backup()]).table()
    np.testing.assert_equal(
        found, {name: values[2:] for name, values in whole.items()}
    )


def test_a_history_and_a_bar_of_ones_own_are_used(capsys):
    history = keras.callbacks.History()
    bar = keras.callbacks.ProgbarLogger()
    found = fit(make_model(), "AB", [history, bar])
    assert found is history
    assert len(found.history[f"{A}/loss"]) == 1
    assert not capsys.readouterr().out  # `verbose=0`.
