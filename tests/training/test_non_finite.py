import re

import keras
import numpy as np
import pytest

import keras_imp
from tests.training import parts
from tests.training.parts import two_tasks

BAD = 2  # The step, in turn: objects, sounds, objects (its second batch).
MESSAGE = (
    "The loss of task 'objects' is not finite at step 2; the last finite step "
    "is 1. The update was not applied: the weights are those before this step. "
    "Check this task's data, or lower the learning rate."
)


def make_data(bad=None, value=np.nan):
    data = {name: parts.make_data()[name] for name in ("objects", "sounds")}
    if bad is not None:
        x, y = data["objects"][bad]
        data["objects"][bad] = ({"image": np.full_like(x["image"], value)}, y)
    return data


def fit(model, data, **options):
    options.setdefault("steps_per_epoch", 8)
    return model.fit(parts.in_turn(data), verbose=0, **options)


@pytest.fixture(scope="module")
def two_good_steps():
    """The state that a model must be in after it refused the third."""
    model = parts.make_model(two_tasks)
    fit(model, make_data(), steps_per_epoch=BAD)
    return parts.state(model)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_stops_before_it_spoils(
    value, two_good_steps
):
    model = parts.make_model(two_tasks)
    with pytest.raises(keras_imp.NonFiniteLossError) as caught:
        fit(model, make_data(bad=1, value=value))
    assert str(caught.value) == MESSAGE
    error = caught.value
    assert (error.task, error.step, error.last_finite_step) == ("objects", 2, 1)
    # Nothing moved: not by the bad step, and not by the good ones after it.
    assert int(model.failed_step) == BAD
    model.failed_step.assign(-1)
    parts.assert_same(parts.state(model), two_good_steps)


def test_training_can_go_on_afterwards(two_good_steps):
    model = parts.make_model(two_tasks)
    with pytest.raises(keras_imp.NonFiniteLossError):
        fit(model, make_data(bad=1))
    history = fit(model, make_data(), steps_per_epoch=6).history
    assert np.isfinite(history["loss"]).all()
    assert int(model.step_counter) == BAD + 6
    untouched = parts.make_model(two_tasks)
    fit(untouched, make_data(), steps_per_epoch=BAD)
    fit(untouched, make_data(), steps_per_epoch=6)
    parts.assert_same(parts.state(model), parts.state(untouched))


def test_it_is_raised_before_a_validation(two_good_steps):
    model = parts.make_model(two_tasks)
    seen = []
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append("epoch")
    )
    with pytest.raises(
        keras_imp.NonFiniteLossError, match=f"^{re.escape(MESSAGE)}$"
    ):
        fit(
            model,
            make_data(bad=1),
            epochs=3,
            validation_data=parts.all_once(make_data()),
            callbacks=[note],
        )
    assert seen == []
    model.failed_step.assign(-1)
    parts.assert_same(parts.state(model), two_good_steps)


def test_a_bad_first_step_has_no_finite_step_before_it():
    model = parts.make_model(two_tasks)
    before = parts.values(model.trainable_variables)
    text = "is not finite at step 0; the last finite step is none."
    with pytest.raises(keras_imp.NonFiniteLossError, match=text) as caught:
        fit(model, make_data(bad=0))
    assert caught.value.last_finite_step is None
    for path, value in parts.values(model.trainable_variables).items():
        np.testing.assert_array_equal(value, before[path])


def test_a_model_that_is_only_evaluated_does_not_raise():
    model = parts.make_model(two_tasks)
    found = model.evaluate(parts.all_once(make_data(bad=1)), verbose=0)
    assert np.isfinite(found["sounds/loss"])
    assert not np.isfinite(found["loss"])
