import re

import keras
import numpy as np
import pytest

from keras_imp.tasks import Regression
from tests.helpers import task_oracles as oracles
from tests.helpers.weights import assert_near, to_numpy

BATCH = 7
LOSSES = {
    "mse": lambda error: error**2,
    "mae": abs,
    "huber": lambda error: np.where(
        abs(error) <= 1, error**2 / 2, abs(error) - 0.5
    ),
}


def loss(task, y, y_pred, sample_weight=None):
    y_pred = keras.ops.array(y_pred.astype("float32"))
    return task.compute_loss({}, y, y_pred, sample_weight)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", LOSSES)
def test_each_loss_equals_the_oracle(rng, name, weighted, outputs):
    y, y_pred = 2 * rng.normal(size=(2, BATCH, outputs))
    weights = rng.uniform(0, 2, BATCH) if weighted else None
    task = Regression("a", "image", outputs, loss=name)
    expected = oracles.weighted_mean(LOSSES[name](y_pred - y).mean(-1), weights)
    assert_near(loss(task, y, y_pred, weights), expected, oracles.TOLERANCE)


def test_a_vector_of_targets_equals_a_column(rng):
    y, y_pred = rng.normal(size=(2, BATCH, 1))
    task = Regression("a", "image")
    column = loss(task, y, y_pred)
    assert float(loss(task, y[:, 0], y_pred)) == float(column)


def test_integers_are_targets_too():
    task = Regression("a", "image")
    found = loss(task, np.array([1, 3]), np.array([[2.0], [1.0]]))
    assert float(found) == pytest.approx(2.5)


@pytest.mark.parametrize("name", LOSSES)
def test_the_metric_is_the_mean_absolute_error(name):
    task = Regression("a", "image", 2, loss=name)
    y_pred = keras.ops.array([[1.0, 2.0], [0.0, 0.0]])
    y = np.array([[0.0, 5.0], [1.0, -1.0]])
    task.update_metrics({}, y, y_pred)
    assert float(task.error_metric.result()) == pytest.approx(1.5)
    task.error_metric.reset_state()
    task.update_metrics({}, y, y_pred, np.array([3.0, 1.0]))
    assert float(task.error_metric.result()) == pytest.approx(1.75)
    assert task.error_metric.name == "a/mae"


def test_the_head_is_linear_and_in_float32(rng):
    task = Regression("a", "image", 2, dtype="mixed_bfloat16")
    task.build({"image": (None, 3)})
    pooled = rng.normal(size=(BATCH, 3)).astype("float32")
    encoder = lambda x, training: {"image": {"pooled_output": x["image"]}}
    out = task.call({"image": pooled}, encoder=encoder)
    kernel, bias = (to_numpy(v) for v in task.head.weights)
    assert_near(out, pooled @ kernel + bias, oracles.TOLERANCE)
    assert keras.backend.standardize_dtype(out.dtype) == "float32"
    assert task.compute_output_shape({"image": (7, 9)}) == (7, 2)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"num_outputs": 0},
            "`num_outputs` must be greater than 0. Received: num_outputs=0.",
        ),
        (
            {"loss": "l2"},
            "`loss` must be one of ('mse', 'huber', 'mae'). Received: "
            "loss='l2'.",
        ),
    ],
)
def test_an_argument_out_of_range_is_refused(options, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Regression("a", "image", **options)


X = {"image": np.zeros((4, 2))}


@pytest.mark.parametrize(
    ("outputs", "y", "text"),
    [
        (
            1,
            None,
            "A batch must be (x, y) or (x, y, sample_weight), with targets "
            "`y`. Received: y=None.",
        ),
        (
            1,
            np.zeros(3),
            "`y` must have shape (4, 1) or (4,). Received: shape=(3,).",
        ),
        (2, np.zeros(4), "`y` must have shape (4, 2). Received: shape=(4,)."),
        (
            1,
            np.array(["a"] * 4),
            "`y` must be numbers. Received: dtype='<U1'.",
        ),
        (
            2,
            np.array([[0, 1], [2, np.nan], [0, 1], [0, np.inf]]),
            "Targets must be finite numbers. Received: target=nan, row=1. "
            "Leave the example out, or give it a target of 0 and a "
            "`sample_weight` of 0.",
        ),
    ],
    ids=["missing", "too few", "narrow", "words", "not a number"],
)
def test_targets_that_do_not_fit_are_refused(outputs, y, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Regression("a", "image", outputs).check_batch(X, y)


@pytest.mark.parametrize(
    ("outputs", "shape"), [(1, (4,)), (1, (4, 1)), (3, (4, 3))]
)
def test_targets_that_fit_are_accepted(outputs, shape):
    Regression("a", "image", outputs).check_batch(X, np.zeros(shape))
