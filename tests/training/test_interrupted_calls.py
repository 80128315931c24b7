"""No call that fails, is interrupted or meets another costs the weights.

On JAX the values of all variables leave the model while `fit` works with it.
"""

import inspect
import sys
import threading
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp.training.step.jax_state import HeldState
from tests.helpers import models
from tests.helpers.ctrl_c import interrupted_calls
from tests.helpers.models import one_task, two_tasks
from tests.helpers.weights import to_numpy

ON_JAX = keras.config.backend() == "jax"
HOOKS = {
    "fit": [
        "on_train_begin",
        "on_epoch_begin",
        "on_train_batch_begin",
        "on_train_batch_end",
        "on_test_begin",
        "on_test_batch_begin",
        "on_test_batch_end",
        "on_test_end",
        "on_epoch_end",
        "on_train_end",
    ],
    "evaluate": [
        "on_test_begin",
        "on_test_batch_begin",
        "on_test_batch_end",
        "on_test_end",
    ],
    "predict": [
        "on_predict_begin",
        "on_predict_batch_begin",
        "on_predict_batch_end",
        "on_predict_end",
    ],
}


@pytest.fixture(scope="module")
def model():
    """A trained model. Tests leave it able to train, predict and be saved."""
    model = models.make_model(two_tasks, **models.few_steps())
    fit(model)
    predict(model)
    return model


@pytest.fixture(scope="module")
def data():
    return models.data_of("objects", "sounds")


IMAGES = models.data_of("objects")["objects"][0][0]["image"]


def fit(model, callbacks=(), steps=4, epochs=1):
    data = models.data_of("objects", "sounds")
    model.fit(
        models.in_turn(data),
        steps_per_epoch=steps,
        epochs=epochs,
        validation_data=models.all_once(data),
        callbacks=list(callbacks),
        verbose=0,
    )


def evaluate(model, callbacks=()):
    data = models.data_of("objects", "sounds")
    return model.evaluate(
        models.all_once(data), callbacks=list(callbacks), verbose=0
    )


def predict(model, callbacks=()):
    return model.predict(
        {"image": IMAGES},
        task="objects",
        batch_size=2,
        callbacks=list(callbacks),
        verbose=0,
    )


CALLS = {"fit": fit, "evaluate": evaluate, "predict": predict}


def check_it_lives(model):
    """All values are there, and the model works on."""
    assert int(model.step_counter) == int(model.optimizer.iterations)
    for variable in [*model.variables, *model.optimizer.variables]:
        assert np.all(np.isfinite(to_numpy(variable))), variable.path
    steps = int(model.step_counter)
    assert predict(model).shape == (6, 3)
    fit(model)
    assert int(model.step_counter) == steps + 4


class StopError(Exception):
    """What a callback of a test raises."""


def failing_in(hook):
    """A callback that raises in one hook, the second time in a batch's."""
    calls = []

    def fail(self, *args, **kwargs):
        calls.append(None)
        if len(calls) == (2 if "batch" in hook else 1):
            raise StopError

    return type("Failing", (keras.callbacks.Callback,), {hook: fail})()


# An exception ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "hook"), [(call, hook) for call in HOOKS for hook in HOOKS[call]]
)
def test_a_callback_that_raises_in_any_hook_costs_nothing(model, call, hook):
    before = models.state(model)
    with pytest.raises(StopError):
        CALLS[call](model, [failing_in(hook)])
    if call != "fit":
        models.assert_same(models.state(model), before)
    check_it_lives(model)


@pytest.mark.parametrize("call", ["evaluate", "predict"])
def test_what_is_loaded_after_a_failed_call_stays(model, call):
    loaded = [value + 1 for value in model.encoder.get_weights()]
    with pytest.raises(StopError):
        CALLS[call](model, [failing_in(HOOKS[call][2])])
    model.encoder.set_weights(loaded)

    class Looking(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            models.assert_same(self.model.encoder.get_weights(), loaded)

    fit(model, [Looking()])


def test_a_source_that_raises_in_the_validation_costs_nothing(model, data):
    def broken():
        yield data["objects"][0]
        raise StopError

    with pytest.raises(StopError):
        model.fit(
            models.in_turn(data),
            steps_per_epoch=4,
            validation_data=keras_imp.TaskMixture.sequential(
                {"objects": BrokenAtTheEnd(data["objects"])}
            ),
            verbose=0,
        )
    check_it_lives(model)


class BrokenAtTheEnd(keras.utils.PyDataset):
    """Batches, the last of which cannot be read."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        if index == len(self) - 1:
            raise StopError
        return self.batches[index]


# Ctrl-C ---------------------------------------------------------------------


# Only JAX takes the values out of the variables for a step. TensorFlow's own
# conversion of arrays ends the process when a signal's handler raises in it.
@pytest.mark.skipif(
    keras.config.backend() != "jax", reason="variables keep their values"
)
@pytest.mark.parametrize("call", CALLS)
def test_ctrl_c_at_any_moment_costs_nothing(model, call):
    interrupted = 0
    for was in interrupted_calls(lambda: CALLS[call](model), longest=0.05):
        interrupted += was
        step = int(model.step_counter)
        assert step == int(model.optimizer.iterations)
        for value in models.state(model):
            assert np.all(np.isfinite(value))
    assert interrupted > 5
    check_it_lives(model)


# Calls within calls ---------------------------------------------------------


def test_a_prediction_between_two_steps_has_the_weights_of_then():
    model = models.make_model(one_task, **models.few_steps())
    data = models.data_of("objects")
    seen = []

    def look(batch, logs):
        # Not `self.model`, which lets Keras write the weights back first.
        seen.append((predict(model), int(model.step_counter.numpy())))

    def train(steps, callbacks=()):
        model.fit(
            models.in_turn(data),
            steps_per_epoch=steps,
            callbacks=list(callbacks),
            verbose=0,
        )

    train(3, [keras.callbacks.LambdaCallback(on_train_batch_end=look)])
    assert [step for _, step in seen] == [1, 2, 3]
    again = models.make_model(one_task, **models.few_steps())
    again.fit(models.in_turn(data), steps_per_epoch=3, verbose=0)
    # It changes nothing in the run.
    models.assert_same(models.state(model), models.state(again))
    np.testing.assert_array_equal(seen[-1][0], predict(model))
    assert np.abs(seen[0][0] - seen[-1][0]).max() > 1e-4


def test_a_call_that_fails_in_a_callback_does_not_end_the_run(model):
    steps = int(model.step_counter)

    def look(batch, logs):
        for call in ("predict", "evaluate"):
            with pytest.raises(StopError):
                CALLS[call](model, [failing_in(HOOKS[call][2])])

    fit(model, [keras.callbacks.LambdaCallback(on_train_batch_end=look)])
    assert int(model.step_counter) == steps + 4
    check_it_lives(model)


@pytest.mark.parametrize("hook", ["on_test_begin", "on_test_end"])
def test_an_evaluation_in_a_callback_leaves_the_outer_one_as_it_is(hook):
    data = models.data_of("objects", "sounds")

    def look(logs):
        other = models.all_once({"objects": data["objects"][:1]})
        found.append(trained.evaluate(other, verbose=0))

    found, histories = [], []
    look_at = keras.callbacks.LambdaCallback(**{hook: look})
    for callbacks in ([], [look_at]):
        trained = models.make_model(two_tasks, **models.few_steps())
        history = trained.fit(
            models.in_turn(data),
            steps_per_epoch=4,
            epochs=2,
            validation_data=models.all_once(data),
            callbacks=callbacks,
            verbose=0,
        )
        histories.append(history.history)
    assert [sorted(each) for each in found] == [
        ["loss", "objects/accuracy", "objects/loss"]
    ] * 2
    assert histories[0] == histories[1]


@pytest.mark.parametrize(
    ("call", "hook"),
    [
        ("evaluate", "on_test_batch_begin"),
        ("evaluate", "on_test_batch_end"),
        ("fit", "on_test_batch_end"),
        ("fit", "on_train_batch_end"),
    ],
)
def test_an_evaluation_between_batches_leaves_the_outer_figures(call, hook):
    data = models.data_of("objects", "sounds")

    def look(batch, logs):
        other = models.all_once({"objects": data["objects"][:1]})
        trained.evaluate(other, verbose=0)

    look_at = keras.callbacks.LambdaCallback(**{hook: look})
    results = []
    for callbacks in ([], [look_at]):
        trained = models.make_model(two_tasks, **models.few_steps())
        if call == "evaluate":
            results.append(evaluate(trained, callbacks))
        else:
            recorded = keras.callbacks.History()
            fit(trained, [*callbacks, recorded])
            results.append(recorded.history)
    assert results[0] == results[1]


# Threads --------------------------------------------------------------------


def in_threads(function, count=4):
    """What `function` returns or raises in each of several threads."""
    results = []

    def call():
        try:
            results.append(function())
        except BaseException as error:
            results.append(error)

    threads = [threading.Thread(target=call) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_predictions_in_four_threads_are_all_right(model):
    expected = predict(model)
    for _ in range(5):
        for found in in_threads(lambda: predict(model)):
            np.testing.assert_array_equal(found, expected)
    check_it_lives(model)


def test_evaluations_in_four_threads_cost_nothing(model):
    before = models.state(model)
    expected = evaluate(model)
    found = in_threads(lambda: evaluate(model))
    if ON_JAX:  # Elsewhere, as in Keras, they share the metrics.
        assert found == [expected] * 4
    models.assert_same(models.state(model), before)
    check_it_lives(model)


@pytest.mark.skipif(not ON_JAX, reason="the weights stay in the model")
@pytest.mark.parametrize("call", CALLS)
def test_a_call_while_another_thread_trains_is_refused(model, call):
    found = []

    def look(batch, logs):
        found.extend(in_threads(lambda: CALLS[call](model), count=1))

    fit(model, [keras.callbacks.LambdaCallback(on_train_batch_end=look)])
    assert [str(error) for error in found] == [
        "A model cannot be used while another thread is in its `fit`, which "
        "has its weights. Call `evaluate` or `predict` in a callback, or when "
        "`fit` has returned."
    ] * 4
    assert all(isinstance(error, RuntimeError) for error in found)
    check_it_lives(model)


@pytest.mark.skipif(not ON_JAX, reason="nothing waits elsewhere")
def test_ctrl_c_at_any_line_leaves_other_threads_their_turn(model):
    lines = lines_of(lambda: predict(model))
    assert len(lines) > 8
    for line in lines:
        with pytest.raises(KeyboardInterrupt):
            interrupted_at(line, lambda: predict(model))
        thread = threading.Thread(target=predict, args=(model,), daemon=True)
        thread.start()
        thread.join(60)
        assert not thread.is_alive(), f"It waits for ever: line {line}."


def lines_of(call):
    """Numbers of the lines of the file of `HeldState` at which a call is."""
    lines = set()
    traced(call, lines.add)
    source = Path(inspect.getsourcefile(HeldState)).read_text().splitlines()
    # Python looks for a Ctrl-C after calls and jumps, so never at a `try:`.
    return sorted(n for n in lines if source[n - 1].strip() != "try:")


def interrupted_at(line, call):
    """Call, with a Ctrl-C before a line of that file."""

    def interrupt(at):
        if at == line:
            sys.settrace(None)
            raise KeyboardInterrupt

    traced(call, interrupt)


def traced(call, at_line):
    file = inspect.getsourcefile(HeldState)

    def trace(frame, event, argument):
        if frame.f_code.co_filename != file:
            return None
        if event == "line":
            at_line(frame.f_lineno)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
