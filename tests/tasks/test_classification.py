import re

import keras
import numpy as np
import pytest

from keras_imp.tasks import Classification
from tests.helpers import task_oracles as oracles
from tests.helpers.weights import assert_near

CLASSES = 5
BATCH = 7


@pytest.fixture
def logits(rng):
    return 3 * rng.normal(size=(BATCH, CLASSES))


@pytest.fixture
def labels(rng):
    return rng.integers(0, CLASSES, BATCH)


def loss(task, y, logits, sample_weight=None):
    y_pred = keras.ops.array(logits.astype("float32"))
    return task.compute_loss({}, y, y_pred, sample_weight)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_softmax_loss_equals_the_oracle(
    logits, labels, rng, smoothing, weighted
):
    weights = rng.uniform(0, 2, BATCH) if weighted else None
    task = Classification("a", "image", CLASSES, label_smoothing=smoothing)
    expected = oracles.weighted_mean(
        oracles.softmax_cross_entropy(
            logits, np.eye(CLASSES)[labels], smoothing
        ),
        weights,
    )
    assert_near(
        loss(task, labels, logits, weights), expected, oracles.TOLERANCE
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_sigmoid_loss_equals_the_oracle(logits, rng, smoothing, weighted):
    weights = rng.uniform(0, 2, BATCH) if weighted else None
    targets = rng.integers(0, 2, (BATCH, CLASSES))
    task = Classification(
        "a", "image", CLASSES, multi_label=True, label_smoothing=smoothing
    )
    expected = oracles.weighted_mean(
        oracles.sigmoid_cross_entropy(logits, targets, smoothing), weights
    )
    assert_near(
        loss(task, targets, logits, weights), expected, oracles.TOLERANCE
    )


def test_soft_targets_are_used_as_given(logits, rng):
    targets = rng.dirichlet(np.ones(CLASSES), BATCH)
    expected = oracles.softmax_cross_entropy(logits, targets).mean()
    actual = loss(Classification("a", "image", CLASSES), targets, logits)
    assert_near(actual, expected, oracles.TOLERANCE)


def test_a_column_of_labels_equals_a_vector_of_them(logits, labels):
    task = Classification("a", "image", CLASSES)
    column = loss(task, labels[:, None], logits)
    assert float(column) == float(loss(task, labels, logits))


def test_very_large_logits_keep_the_loss_finite():
    task = Classification("a", "image", 2)
    # The wrong class leads by 2000: the loss is that lead.
    value = loss(task, np.array([0]), np.array([[-1000.0, 1000.0]]))
    assert float(value) == pytest.approx(2000.0)


def test_accuracy_is_the_share_of_right_answers():
    task = Classification("a", "image", 3)
    y_pred = keras.ops.array([[9.0, 0, 0], [0, 9, 0], [0, 0, 9], [9, 0, 0]])
    task.update_metrics({}, np.array([0, 1, 0, 1]), y_pred)
    assert float(task.score_metric.result()) == pytest.approx(0.5)
    # Right are the two of weight 1, wrong the two of weight 3: 2 / 8.
    task.score_metric.reset_state()
    task.update_metrics(
        {}, np.array([0, 1, 0, 1]), y_pred, np.array([1.0, 1, 3, 3])
    )
    assert float(task.score_metric.result()) == pytest.approx(0.25)


def test_pr_auc_of_a_perfect_and_of_a_wrong_ranking():
    task = Classification("a", "image", 2, multi_label=True)
    targets = np.array([[1, 0], [0, 1], [1, 1], [0, 0]])
    right = keras.ops.array((8.0 * targets - 4).astype("float32"))
    task.update_metrics({}, targets, right)
    assert float(task.score_metric.result()) == pytest.approx(1.0, abs=1e-3)
    task.score_metric.reset_state()
    task.update_metrics({}, targets, -right)
    assert float(task.score_metric.result()) < 0.5


def test_pr_auc_takes_example_weights():
    task = Classification("a", "image", 2, multi_label=True)
    targets = np.array([[1, 0], [0, 1], [1, 1], [0, 0]])
    logits = (8.0 * targets - 4).astype("float32")
    logits[2:] *= -1
    task.update_metrics(
        {}, targets, keras.ops.array(logits), np.array([1.0, 1, 0, 0])
    )
    assert float(task.score_metric.result()) == pytest.approx(1.0, abs=1e-3)


def test_the_head_is_linear_and_in_float32(rng):
    task = Classification("a", "image", CLASSES, dtype="mixed_bfloat16")
    task.build({"image": (None, 3)})
    pooled = rng.normal(size=(BATCH, 3)).astype("float32")
    encoder = lambda x, training: {"image": {"pooled_output": x["image"]}}
    out = task.call({"image": pooled}, encoder=encoder)
    kernel, bias = (keras.ops.convert_to_numpy(v) for v in task.head.weights)
    assert_near(out, pooled @ kernel + bias, oracles.TOLERANCE)
    assert keras.backend.standardize_dtype(out.dtype) == "float32"
    assert task.compute_output_shape({"image": (7, 9)}) == (7, CLASSES)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"num_classes": 0},
            "`num_classes` must be greater than 0. Received: num_classes=0.",
        ),
        (
            {"label_smoothing": 1.0},
            "`label_smoothing` must be in [0, 1). "
            "Received: label_smoothing=1.0.",
        ),
    ],
)
def test_an_argument_out_of_range_is_refused(options, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Classification("a", "image", **{"num_classes": 3, **options})


X = {"image": np.zeros((4, 2))}


@pytest.mark.parametrize(
    ("multi_label", "y", "text"),
    [
        (
            False,
            None,
            "A batch must be (x, y) or (x, y, sample_weight), with labels `y`. "
            "Received: y=None.",
        ),
        (
            False,
            np.zeros(3, int),
            "`y` must have shape (4, 5) or (4,). Received: shape=(3,).",
        ),
        (
            True,
            np.zeros(4, int),
            "`y` must have shape (4, 5). Received: shape=(4,).",
        ),
        (
            False,
            np.array([0, 4, 5, 9]),
            "Labels must be integers in [0, 5), the number of classes. "
            "Received: label=5, row=2.",
        ),
        (
            False,
            np.array([[0], [-1], [0], [0]]),
            "Labels must be integers in [0, 5), the number of classes. "
            "Received: label=-1, row=1.",
        ),
    ],
    ids=["missing", "too few", "narrow", "too large", "negative"],
)
def test_labels_that_do_not_fit_are_refused(multi_label, y, text):
    task = Classification("a", "image", CLASSES, multi_label=multi_label)
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        task.check_batch(X, y)


@pytest.mark.parametrize(
    "y",
    [
        np.zeros(4, int),
        np.zeros((4, 1), int),
        np.eye(5)[:4],
        np.full((4, 5), 0.2, "float16"),
    ],
    ids=["ids", "a column of ids", "one-hot", "half precision"],
)
def test_labels_that_fit_are_accepted(y):
    Classification("a", "image", CLASSES).check_batch(X, y)
