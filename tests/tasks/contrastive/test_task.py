import math

import numpy as np
import pytest
from keras import ops

from keras_imp.tasks import Contrastive
from tests.helpers import task_oracles as oracles
from tests.helpers.gradients import gradients
from tests.helpers.weights import assert_near, to_numpy

TAU = 0.2
WIDTH = 3  # of the pooled vectors
SPACE = 5


def built(modalities=("image", "text"), **options):
    task = Contrastive("a", modalities, projection_dim=SPACE, **options)
    task.build(dict.fromkeys(modalities, (None, WIDTH)))
    return task


def vectors(rng, task, batch, captions=None):
    """Unit vectors by direction, as `call` returns them."""
    found = {}
    for a, b, _ in task.pairs:
        for source, target in ((a, b), (b, a)):
            several = source == "text" and captions
            shape = (batch, captions) if several else (batch,)
            found[f"{source}_to_{target}"] = oracles.unit_vectors(
                rng, *shape, SPACE
            ).astype("float32")
    return found


def loss(task, x, y_pred, sample_weight=None):
    y_pred = {k: ops.array(v.astype("float32")) for k, v in y_pred.items()}
    x = {k: ops.array(v) for k, v in x.items()}
    return float(to_numpy(task.compute_loss(x, None, y_pred, sample_weight)))


def different_captions(*shape):
    """Token ids, all captions different, none empty."""
    return np.arange(1, 1 + math.prod(shape)).reshape(shape)


def expected_pair(y_pred, a, b, counts=None, weights=None, margin=0.0):
    s = oracles.similarities(
        y_pred[f"{a}_to_{b}"].astype("float64"), y_pred[f"{b}_to_{a}"]
    )
    a_to_b, b_to_a = oracles.nce(s / TAU, counts, margin)
    return oracles.weighted_mean((a_to_b + b_to_a) / 2, weights)


# The task ------------------------------------------------------------------


def test_one_caption_each_equals_the_oracle(rng):
    task = built()
    y_pred = vectors(rng, task, 5)
    x = {"text": different_captions(5, 2)}
    expected = expected_pair(y_pred, "image", "text")
    assert loss(task, x, y_pred) == pytest.approx(expected, rel=2e-5)


def test_the_order_of_a_pair_does_not_matter(rng):
    y_pred = vectors(rng, built(), 5)
    x = {"text": different_captions(5, 2)}
    there = loss(built(), x, y_pred)
    back = loss(built(("text", "image")), x, y_pred)
    assert there == pytest.approx(back, rel=1e-6)


@pytest.mark.parametrize("modalities", [("image", "text"), ("text", "image")])
def test_several_captions_equal_the_oracle(rng, modalities):
    task = built(modalities, margin=0.1)
    y_pred = vectors(rng, task, 5, captions=3)
    x = {"text": different_captions(5, 3, 2)}
    expected = expected_pair(y_pred, *modalities, margin=0.1)
    assert loss(task, x, y_pred) == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize("modalities", [("image", "text"), ("text", "image")])
def test_empty_captions_do_not_count(rng, modalities):
    task = built(modalities)
    y_pred = vectors(rng, task, 5, captions=3)
    text = different_captions(5, 3, 2)
    text[1, 2] = text[3, 0] = text[3, 1] = 0
    real = text.any(-1)  # (example, caption)
    counts = np.broadcast_to(real, (5, 1, 5, 3))
    if modalities[0] == "text":
        counts = np.broadcast_to(real[:, :, None, None], (5, 3, 5, 1))
    expected = expected_pair(y_pred, *modalities, counts)
    assert loss(task, {"text": text}, y_pred) == pytest.approx(
        expected, rel=2e-5
    )


def test_captions_that_are_all_empty_in_one_column_change_nothing(rng):
    task = built()
    y_pred = vectors(rng, task, 5, captions=3)
    text = different_captions(5, 3, 2)
    text[:, 2] = 0
    without = {**y_pred, "text_to_image": y_pred["text_to_image"][:, :2]}
    assert loss(task, {"text": text}, y_pred) == pytest.approx(
        loss(task, {"text": text[:, :2]}, without), rel=1e-6
    )


def test_an_example_without_captions_has_no_weight(rng):
    task = built()
    y_pred = vectors(rng, task, 5)
    text = different_captions(5, 2)
    text[3] = 0
    counts = np.ones((5, 1, 5, 1), bool)
    counts[:, :, 3] = False  # Its caption is no negative.
    counts[3, 0, 3, 0] = True  # Keeps the oracle finite; its weight is 0.
    expected = expected_pair(
        y_pred, "image", "text", counts, weights=[1, 1, 1, 0, 1]
    )
    assert loss(task, {"text": text}, y_pred) == pytest.approx(
        expected, rel=2e-5
    )


def test_an_example_without_captions_counts_in_pairs_without_text(rng):
    task = built(("video", "audio", "text"), pairs=[("video", "audio")])
    y_pred = vectors(rng, task, 5)
    text = different_captions(5, 2)
    text[3] = 0
    expected = expected_pair(y_pred, "video", "audio")
    assert loss(task, {"text": text}, y_pred) == pytest.approx(
        expected, rel=2e-5
    )


def test_no_caption_at_all_gives_a_loss_of_zero(rng):
    task = built()
    text = np.zeros((5, 2), int)
    assert loss(task, {"text": text}, vectors(rng, task, 5)) == 0.0


@pytest.mark.parametrize("modalities", [("image", "text"), ("text", "image")])
@pytest.mark.parametrize("masked", [True, False])
def test_equal_captions_are_no_negatives_of_each_other(rng, modalities, masked):
    task = built(modalities, mask_duplicates=masked)
    y_pred = vectors(rng, task, 5)
    text = different_captions(5, 2)
    text[4] = text[1]
    counts = np.ones((5, 1, 5, 1), bool)
    if masked:
        counts[1, 0, 4, 0] = counts[4, 0, 1, 0] = False
    expected = expected_pair(y_pred, *modalities, counts)
    assert loss(task, {"text": text}, y_pred) == pytest.approx(
        expected, rel=2e-5
    )


def test_equal_captions_within_bags_are_masked_one_by_one(rng):
    task = built()
    y_pred = vectors(rng, task, 5, captions=3)
    text = different_captions(5, 3, 2)
    text[4, 2] = text[1, 0]
    counts = np.ones((5, 1, 5, 3), bool)
    counts[1, 0, 4, 2] = False  # Caption 2 of 4 is no negative for image 1,
    counts[4, 0, 1, 0] = False  # nor caption 0 of 1 for image 4.
    expected = expected_pair(y_pred, "image", "text", counts)
    assert loss(task, {"text": text}, y_pred) == pytest.approx(
        expected, rel=2e-5
    )


def test_captions_with_equal_tokens_in_another_order_differ(rng):
    task = built()
    y_pred = vectors(rng, task, 5)
    text = different_captions(5, 2)
    text[4] = text[1, ::-1]
    expected = expected_pair(y_pred, "image", "text")
    assert loss(task, {"text": text}, y_pred) == pytest.approx(
        expected, rel=2e-5
    )


def test_equal_captions_mask_the_other_modalities_of_their_examples(rng):
    task = built(("video", "audio", "text"), pairs=[("video", "audio", 1.0)])
    y_pred = vectors(rng, task, 5)
    text = different_captions(5, 2)
    text[4] = text[1]
    counts = np.ones((5, 1, 5, 1), bool)
    counts[1, 0, 4, 0] = counts[4, 0, 1, 0] = False
    expected = expected_pair(y_pred, "video", "audio", counts)
    assert loss(task, {"text": text}, y_pred) == pytest.approx(
        expected, rel=2e-5
    )


def test_pairs_of_three_modalities_are_weighted(rng):
    pairs = [
        ("video", "text", 1.0),
        ("video", "audio", 2.0),
        ("audio", "text", 0.5),
    ]
    task = built(("video", "audio", "text"), pairs=pairs)
    y_pred = vectors(rng, task, 5)
    parts = [w * expected_pair(y_pred, a, b) for a, b, w in pairs]
    x = {"text": different_captions(5, 2)}
    assert loss(task, x, y_pred) == pytest.approx(sum(parts) / 3, rel=2e-5)


def test_sample_weights_weigh_the_examples(rng):
    task = built()
    y_pred = vectors(rng, task, 5)
    weights = rng.uniform(0, 2, 5)
    x = {"text": different_captions(5, 2)}
    expected = expected_pair(y_pred, "image", "text", weights=weights)
    assert loss(task, x, y_pred, weights) == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize(
    ("form", "initial"), [("exp", math.log(1 / 0.07)), ("relu", 0.07)]
)
def test_both_temperature_forms_start_at_the_same_temperature(form, initial):
    task = built(temperature=0.07, temperature_form=form)
    (variable,) = task.temperatures.values()
    assert variable.name == "temperature_image_text"
    assert float(ops.convert_to_numpy(variable)) == pytest.approx(initial)
    inverse = float(
        ops.convert_to_numpy(task._inverse_temperature("image", "text"))
    )
    assert inverse == pytest.approx(1 / 0.07, rel=1e-4)


def test_there_is_one_temperature_for_each_pair():
    task = built(("video", "audio", "text"))
    assert sorted(v.name for v in task.temperatures.values()) == [
        "temperature_audio_text",
        "temperature_audio_video",
        "temperature_text_video",
    ]


def test_the_clip_keeps_the_temperature_and_passes_the_gradient():
    task = built(min_temperature=0.01)
    (variable,) = task.temperatures.values()
    for value in (math.log(100.0) + 2.0, math.log(50.0)):
        variable.assign(value)
        (slope,) = gradients(
            lambda: task._inverse_temperature("image", "text"), [variable]
        )
        clipped = min(math.exp(value), 100.0)
        inverse = task._inverse_temperature("image", "text")
        assert_near(inverse, clipped, 1e-5)
        # d exp(v) / d v is exp(v), also where the value is clipped.
        assert float(slope) == pytest.approx(clipped, rel=1e-5)


def test_the_relu_form_is_dead_below_zero():
    task = built(temperature_form="relu")
    (variable,) = task.temperatures.values()
    variable.assign(-0.5)
    inverse = task._inverse_temperature("image", "text")
    assert_near(inverse, 1e6, 1e-5)
