"""Several examples of a batch that match each other: group ids."""

import re

import numpy as np
import pytest
from keras import ops

from keras_imp.tasks import contrastive_loss
from tests.helpers import models
from tests.helpers import task_oracles as oracles
from tests.helpers.gradients import gradients
from tests.helpers.weights import assert_near, to_numpy
from tests.tasks.contrastive.test_task import (
    SPACE,
    TAU,
    built,
    different_captions,
    vectors,
)

GROUPS = np.array([3, 7, 3, 1, 3])


def same(groups):
    return ops.array(groups[:, None] == groups[None])


def loss(task, x, y, y_pred, weights=None):
    y_pred = {k: ops.array(v.astype("float32")) for k, v in y_pred.items()}
    x = {k: ops.array(v) for k, v in x.items()}
    return float(to_numpy(task.compute_loss(x, y, y_pred, weights)))


def expected_pair(y_pred, a, b, groups, counts=None, weights=None):
    s = oracles.similarities(
        y_pred[f"{a}_to_{b}"].astype("float64"), y_pred[f"{b}_to_{a}"]
    )
    a_to_b, b_to_a = oracles.nce(s / TAU, counts, groups=groups)
    return oracles.weighted_mean((a_to_b + b_to_a) / 2, weights)


# The pure function ----------------------------------------------------------


def test_two_positives_by_hand():
    # Examples 0 and 1 match each other, 2 only itself; exp(logits):
    odds = np.array([[2.0, 3, 5], [1, 4, 2], [6, 1, 3]])
    found = contrastive_loss(
        ops.array(np.log(odds).astype("float32")[:, None, :, None]),
        same=same(np.array([0, 0, 1])),
    )
    assert_near(found.a_to_b, np.log([10 / 5, 7 / 5, 10 / 3]), 1e-5)
    assert_near(found.b_to_a, np.log([9 / 3, 8 / 7, 10 / 3]), 1e-5)


@pytest.mark.parametrize("margin", [0.0, 0.3])
@pytest.mark.parametrize("bags", [(1, 1), (2, 3)])
def test_groups_equal_the_oracle(rng, bags, margin):
    m, n = bags
    s = 2 * rng.normal(size=(5, m, 5, n))
    excluded = rng.random(s.shape) < 0.2
    for i in range(5):
        excluded[i, 0, i, 0] = False  # Each example keeps a positive.
    found = contrastive_loss(
        ops.array(s.astype("float32")),
        ops.array(excluded),
        margin,
        same(GROUPS),
    )
    expected = oracles.nce(s, ~excluded, margin, GROUPS)
    for actual, direction in zip(found, expected, strict=True):
        assert_near(actual, direction, oracles.TOLERANCE)


def test_groups_of_one_change_nothing(rng):
    s = ops.array(rng.normal(size=(5, 2, 5, 3)).astype("float32"))
    plain = contrastive_loss(s, margin=0.1)
    alone = contrastive_loss(
        s, margin=0.1, same=same(np.array([4, 0, 9, 2, 1]))
    )
    for a, b in zip(plain, alone, strict=True):
        np.testing.assert_array_equal(to_numpy(a), to_numpy(b))


def test_the_gradient_pulls_the_group_and_pushes_the_others(rng):
    import keras

    s = keras.Variable(rng.normal(size=(5, 1, 5, 1)).astype("float32"))

    def total():
        both = contrastive_loss(s.value, same=same(GROUPS))
        return ops.sum(both.a_to_b + both.b_to_a)

    (slope,) = gradients(total, [s])
    matches = GROUPS[:, None] == GROUPS[None]
    assert (slope[:, 0, :, 0][matches] < 0).all()
    assert (slope[:, 0, :, 0][~matches] > 0).all()


# The task -------------------------------------------------------------------


@pytest.mark.parametrize("modalities", [("image", "text"), ("text", "image")])
@pytest.mark.parametrize("captions", [None, 3])
def test_the_task_equals_the_oracle(rng, modalities, captions):
    task = built(modalities)
    y_pred = vectors(rng, task, 5, captions)
    x = {"text": different_captions(5, captions or 1, 2)}
    weights = rng.uniform(0, 2, 5)
    expected = expected_pair(y_pred, *modalities, GROUPS, weights=weights)
    found = loss(task, x, ops.array(GROUPS), y_pred, weights)
    assert found == pytest.approx(expected, rel=2e-5)


def test_every_pair_of_modalities_has_the_groups(rng):
    task = built(("video", "audio"))
    y_pred = vectors(rng, task, 5)
    expected = expected_pair(y_pred, "video", "audio", GROUPS)
    found = loss(task, {}, ops.array(GROUPS), y_pred)
    assert found == pytest.approx(expected, rel=2e-5)


def test_equal_captions_are_positives_in_a_group_and_nothing_outside(rng):
    task = built()
    y_pred = vectors(rng, task, 5)
    text = different_captions(5, 2)
    text[2] = text[0]  # One group.
    text[4] = text[1]  # Two groups: neither positive nor negative.
    counts = np.ones((5, 1, 5, 1), bool)
    counts[1, 0, 4, 0] = counts[4, 0, 1, 0] = False
    expected = expected_pair(y_pred, "image", "text", GROUPS, counts)
    found = loss(task, {"text": text}, ops.array(GROUPS), y_pred)
    assert found == pytest.approx(expected, rel=2e-5)


def test_empty_captions_do_not_count(rng):
    task = built()
    y_pred = vectors(rng, task, 5, captions=3)
    text = different_captions(5, 3, 2)
    text[0] = 0  # The example has no weight; captions of its group count.
    text[1, 2] = 0
    real = text.any(-1)
    counts = np.broadcast_to(real, (5, 1, 5, 3))
    with np.errstate(
        divide="ignore", invalid="ignore"
    ):  # Nothing ranks the images of text 0.
        s = oracles.similarities(
            y_pred["image_to_text"].astype("float64"), y_pred["text_to_image"]
        )
        a_to_b, b_to_a = oracles.nce(s / TAU, counts, groups=GROUPS)
    losses = ((a_to_b + b_to_a) / 2)[1:]
    found = loss(task, {"text": text}, ops.array(GROUPS), y_pred)
    assert found == pytest.approx(losses.mean(), rel=2e-5)


def test_top_1_takes_any_of_the_group():
    task = built()
    axes = np.eye(SPACE, dtype="float32")
    y_pred = {
        # Image 0 prefers text 1, of its group; image 2 prefers text 0.
        "image_to_text": ops.array(axes[[1, 1, 0]]),
        "text_to_image": ops.array(axes[[0, 1, 2]]),
    }
    x = {"text": ops.array(different_captions(3, 2))}
    task.update_metrics(x, ops.array([5, 5, 6]), y_pred)
    top_1 = task.top_1_metrics
    assert float(top_1["image_to_text"].result()) == pytest.approx(2 / 3)
    # Text 0 prefers image 2; text 1 ties between 0 and 1, both of its group;
    # text 2 is at right angles to all, and the first image wins.
    assert float(top_1["text_to_image"].result()) == pytest.approx(1 / 3)


def test_it_trains_in_fit():
    task = models.tasks()[1]
    model = models.make_model([task])
    batches = [
        (*batch, np.array([0, 0, 1, 1, 2]))
        for batch in models.make_data()["captions"]
    ]
    history = model.fit(
        models.in_turn({"captions": batches}),
        steps_per_epoch=8,
        epochs=4,
        verbose=0,
    ).history
    assert history["loss"][-1] < history["loss"][0]


X = {"image": np.zeros((4, 2)), "text": np.ones((4, 2), int)}
SHAPE = (
    "`y` must be integer group ids of shape (4,): examples of one id match. "
    "Received: shape={}, dtype='{}'. Leave `y` out if no two examples match."
)


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (np.zeros(3, int), SHAPE.format("(3,)", "int64")),
        (np.zeros((4, 1), "int32"), SHAPE.format("(4, 1)", "int32")),
        (np.zeros(4), SHAPE.format("(4,)", "float64")),
        (
            np.array([0, 1, 2**31, 0]),
            "Group ids must fit into 32 bits. Received: id=2147483648, row=2. "
            "Number the groups: np.unique(ids, return_inverse=True)[1].",
        ),
    ],
    ids=["too few", "a column", "no integers", "too large"],
)
def test_groups_that_do_not_fit_are_refused(y, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        built().check_batch(X, y)


def test_groups_that_fit_are_accepted():
    built().check_batch(X, np.array([-1, -1, 2, 2], "int16"))
    built().check_batch(X, None)
