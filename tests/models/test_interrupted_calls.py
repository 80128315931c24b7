"""No call of an encoder that fails, is interrupted or meets another loses it.

On JAX, Keras takes the values out of the variables for a prediction.
"""

import threading

import keras
import numpy as np
import pytest

import keras_imp
from tests.helpers.ctrl_c import interrupted_calls
from tests.helpers.encoders import BATCH, small_encoder
from tests.helpers.weights import to_numpy

ON_JAX = keras.config.backend() == "jax"


@pytest.fixture(scope="module")
def encoder():
    """A sparse encoder that predicts. Tests leave it able to."""
    encoder = small_encoder(("image", "text"), num_experts=2, num_moe_layers=1)
    encoder.compile("sgd", loss="mse")
    encoder.predict(images(), verbose=0)
    return encoder


@pytest.fixture(autouse=True)
def it_lives(encoder):
    """Whatever a test did: equal weights, equal predictions."""
    weights, predicted = to_numpy(encoder.weights), predict(encoder)
    yield
    for before, after in zip(weights, to_numpy(encoder.weights)):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(predict(encoder), predicted)
    fresh = encoder({"text": np.array([[1, 2, 3]])})
    assert np.isfinite(to_numpy([fresh["text"]["pooled_output"]])[0]).all()


def images(batches=1):
    return {"image": np.zeros((batches * BATCH, 6, 10, 3), "float32")}


def predict(encoder, **arguments):
    found = encoder.predict(images(2), batch_size=BATCH, verbose=0, **arguments)
    return found["image"]["pooled_output"]


class StopError(Exception):
    """What a callback of a test raises."""


@pytest.mark.parametrize(
    "inputs",
    [
        {"touch": np.zeros((2, 3))},
        {"image": np.zeros((2, 7, 10, 3))},
        {"image": np.zeros((2, 6, 10))},
    ],
    ids=["an unknown modality", "a bad size", "a bad rank"],
)
@pytest.mark.parametrize("how", ["predict", "predict_on_batch", "evaluate"])
def test_inputs_that_do_not_fit_cost_nothing(encoder, how, inputs):
    quietly = {} if how == "predict_on_batch" else {"verbose": 0}
    with pytest.raises(ValueError, match=r"modality|shape|multiple"):
        getattr(encoder, how)(inputs, **quietly)


@pytest.mark.parametrize(
    "inputs", [{"touch": np.zeros((2, 3))}, {"image": np.zeros((2, 7, 10, 3))}]
)
def test_a_routing_that_cannot_be_inspected_costs_nothing(encoder, inputs):
    with pytest.raises(ValueError, match=r"modality|multiple"):
        keras_imp.inspect_routing(encoder, inputs)


@pytest.mark.parametrize("hook", ["batch_begin", "batch_end", "end"])
def test_a_callback_that_raises_costs_nothing(encoder, hook):
    def fail(*args, **kwargs):
        raise StopError

    callback = keras.callbacks.LambdaCallback()
    setattr(callback, f"on_predict_{hook}", fail)
    with pytest.raises(StopError):
        predict(encoder, callbacks=[callback])


# As in the tests of `AlternatingModel`: TensorFlow ends the process.
@pytest.mark.skipif(not ON_JAX, reason="variables keep their values")
def test_ctrl_c_at_any_moment_costs_nothing(encoder):
    calls = interrupted_calls(lambda: predict(encoder), longest=0.02)
    assert sum(calls) > 5


def test_predictions_in_four_threads_are_all_right(encoder):
    expected = predict(encoder)
    found = []

    def call():
        try:
            found.append(predict(encoder))
        except BaseException as error:
            found.append(error)

    for _ in range(3):
        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 12
    for one in found:
        np.testing.assert_array_equal(one, expected)


def test_a_prediction_in_a_prediction_costs_nothing(encoder):
    expected = predict(encoder)
    seen = []
    look = keras.callbacks.LambdaCallback()
    look.on_predict_batch_end = lambda *args, **kwargs: seen.append(
        predict(encoder)
    )
    found = predict(encoder, callbacks=[look])
    for one in (found, *seen):
        np.testing.assert_array_equal(one, expected)
    assert len(seen) == 2


def test_what_is_loaded_after_a_failed_call_stays(encoder):
    kept = encoder.get_weights()
    with pytest.raises(ValueError, match="modality"):
        encoder.predict({"touch": np.zeros((2, 3))}, verbose=0)
    doubled = [2 * weight for weight in kept]
    encoder.set_weights(doubled)
    predict(encoder)
    for found, weight in zip(encoder.get_weights(), doubled, strict=True):
        np.testing.assert_array_equal(found, weight)
    encoder.set_weights(kept)
