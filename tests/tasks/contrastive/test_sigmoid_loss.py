"""The pairwise sigmoid loss, and the task that uses it."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_imp.tasks import Contrastive, sigmoid_contrastive_loss
from tests.helpers import task_oracles as oracles
from tests.helpers.gradients import gradients
from tests.helpers.weights import assert_near, to_numpy
from tests.tasks.contrastive.test_task import (
    built,
    different_captions,
    vectors,
)

GROUPS = np.array([3, 7, 3, 1, 3])


def same(groups):
    return ops.array(groups[:, None] == groups[None])


def test_one_instance_each_is_the_loss_of_the_paper(rng):
    logits = 3 * rng.normal(size=(5, 5))
    found = sigmoid_contrastive_loss(
        ops.array(logits.astype("float32")[:, None, :, None])
    )
    # Algorithm 1 of the paper: -sum(log_sigmoid(labels * logits)) / n.
    labels = 2 * np.eye(5) - 1
    expected = -np.log(1 / (1 + np.exp(-labels * logits))).sum() / 5
    for direction in found:
        assert to_numpy(direction).mean() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("margin", [0.0, 0.3])
@pytest.mark.parametrize("bags", [(1, 1), (1, 3), (2, 3)])
def test_it_equals_the_oracle(rng, bags, margin, grouped):
    m, n = bags
    logits = 3 * rng.normal(size=(5, m, 5, n))
    excluded = rng.random(logits.shape) < 0.3
    groups = GROUPS if grouped else None
    found = sigmoid_contrastive_loss(
        ops.array(logits.astype("float32")),
        ops.array(excluded),
        margin,
        same(GROUPS) if grouped else None,
    )
    expected = oracles.sigmoid_pairs(logits, ~excluded, margin, groups)
    for actual, direction in zip(found, expected, strict=True):
        assert_near(actual, direction, oracles.TOLERANCE)


def test_a_caption_given_twice_changes_nothing(rng):
    logits = rng.normal(size=(5, 1, 5, 2)).astype("float32")
    once = sigmoid_contrastive_loss(ops.array(logits))
    twice = sigmoid_contrastive_loss(ops.array(np.tile(logits, 2)))
    for a, b in zip(once, twice, strict=True):
        assert_near(a, to_numpy(b), 1e-5)


def test_very_large_logits_keep_loss_and_gradient_finite():
    s = keras.Variable(np.full((2, 1, 2, 1), 1e4, "float32"))

    def total():
        return ops.sum(sigmoid_contrastive_loss(s.value).a_to_b)

    # Right on the diagonal, wrong by 1e4 beside it.
    assert float(total()) == pytest.approx(2e4)
    (slope,) = gradients(total, [s])
    np.testing.assert_allclose(slope[:, 0, :, 0], [[0, 1], [1, 0]], atol=1e-6)


# The task -------------------------------------------------------------------


def sigmoid_task(modalities=("image", "text"), **options):
    return built(modalities, loss="sigmoid", **options)


@pytest.mark.parametrize("modalities", [("image", "text"), ("text", "image")])
def test_the_task_equals_the_oracle(rng, modalities):
    task = sigmoid_task(modalities, bias=-1.5, temperature=0.3)
    y_pred = vectors(rng, task, 5, captions=3)
    text = different_captions(5, 3, 2)
    text[1, 2] = text[3] = 0  # A missing caption; an example without any.
    text[4, 2] = text[1, 0]
    a, b = modalities
    s = oracles.similarities(
        y_pred[f"{a}_to_{b}"].astype("float64"), y_pred[f"{b}_to_{a}"]
    )
    counts = np.broadcast_to(text.any(-1), (5, 1, 5, 3)).copy()
    counts[1, 0, 4, 2] = counts[4, 0, 1, 0] = False
    if a == "text":
        counts = counts.transpose(2, 3, 0, 1)
    both = oracles.sigmoid_pairs(s / 0.3 - 1.5, counts)
    weights = np.array([1, 2, 1, 1, 3.0])
    expected = oracles.weighted_mean(sum(both) / 2, weights * text.any((1, 2)))
    y_pred = {k: ops.array(v) for k, v in y_pred.items()}
    found = task.compute_loss({"text": ops.array(text)}, None, y_pred, weights)
    assert float(to_numpy(found)) == pytest.approx(expected, rel=2e-5)


def test_temperature_and_bias_start_as_in_the_paper():
    task = sigmoid_task(("video", "audio", "text"))
    assert sorted(v.name for v in task.biases.values()) == [
        "bias_audio_text",
        "bias_audio_video",
        "bias_text_video",
    ]
    for variable in task.biases.values():
        assert float(ops.convert_to_numpy(variable)) == -10.0
    for variable in task.temperatures.values():
        value = float(ops.convert_to_numpy(variable))
        assert value == pytest.approx(math.log(10))
    assert not hasattr(built(), "biases")


def test_an_unknown_loss_is_refused():
    text = (
        r"^`loss` must be one of \('softmax', 'sigmoid'\)\. "
        r"Received: loss='hinge'\.$"
    )
    with pytest.raises(ValueError, match=text):
        Contrastive("a", loss="hinge")
