import math
import re

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_imp.tasks import Contrastive, contrastive_loss
from tests.gradients import gradients
from tests.tasks import oracles
from tests.weights import assert_near, to_numpy

TAU = 0.2
WIDTH = 3  # of the pooled vectors
SPACE = 5

# imp.md 7.1: similarities [[0.9, 0.1], [0.2, 0.6]], one instance each.
PUBLISHED = [
    (1.0, 0.4421, 0.4386, 0.4403),
    (0.2, 0.0725, 0.0543, 0.0634),
    (0.07, 0.0017, 0.0004, 0.0010),
]


def four_axes(matrix):
    return ops.array(np.asarray(matrix, "float32")[:, None, :, None])


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


# The function --------------------------------------------------------------


@pytest.mark.parametrize(("tau", "ab", "ba", "mean"), PUBLISHED)
def test_published_test_vector(tau, ab, ba, mean):
    found = contrastive_loss(four_axes([[0.9, 0.1], [0.2, 0.6]]) / tau)
    a_to_b, b_to_a = (to_numpy(part).mean() for part in found)
    assert round(float(a_to_b), 4) == ab
    assert round(float(b_to_a), 4) == ba
    # The published mean is of the unrounded values.
    assert float(a_to_b + b_to_a) / 2 == pytest.approx(mean, abs=6e-5)


def test_a_uniform_batch_is_at_chance():
    found = contrastive_loss(ops.zeros((7, 1, 7, 1)))
    assert_near(found.a_to_b, np.full(7, math.log(7)), oracles.TOLERANCE)


@pytest.mark.parametrize("margin", [0.0, 0.3])
@pytest.mark.parametrize("bags", [(1, 1), (1, 3), (2, 3)])
def test_several_instances_equal_the_oracle(rng, bags, margin):
    m, n = bags
    s = 2 * rng.normal(size=(5, m, 5, n))
    found = contrastive_loss(ops.array(s.astype("float32")), margin=margin)
    a_to_b, b_to_a = oracles.nce(s, margin=margin)
    assert_near(found.a_to_b, a_to_b, oracles.TOLERANCE)
    assert_near(found.b_to_a, b_to_a, oracles.TOLERANCE)


def test_the_margin_enters_the_numerator_only(rng):
    s = ops.array(rng.normal(size=(5, 1, 5, 1)).astype("float32"))
    plain, moved = contrastive_loss(s), contrastive_loss(s, margin=0.25)
    assert_near(moved.a_to_b, to_numpy(plain.a_to_b) + 0.25, 1e-6)


def test_excluded_pairs_equal_the_oracle_without_them(rng):
    s = 2 * rng.normal(size=(5, 2, 5, 3))
    excluded = rng.random(s.shape) < 0.3
    for i in range(5):
        excluded[i, 0, i, 0] = False  # Each example keeps a positive.
    found = contrastive_loss(
        ops.array(s.astype("float32")), ops.array(excluded)
    )
    a_to_b, b_to_a = oracles.nce(s, ~excluded)
    assert_near(found.a_to_b, a_to_b, oracles.TOLERANCE)
    assert_near(found.b_to_a, b_to_a, oracles.TOLERANCE)


batches = st.integers(2, 6).flatmap(
    lambda n: st.lists(
        st.lists(st.floats(-3, 3, width=32), min_size=n, max_size=n),
        min_size=n,
        max_size=n,
    )
)
few = settings(max_examples=20, deadline=None)


@few
@given(batches)
def test_loss_is_symmetric_in_its_modalities(matrix):
    there = contrastive_loss(four_axes(matrix))
    back = contrastive_loss(four_axes(np.transpose(matrix)))
    assert_near(there.a_to_b, to_numpy(back.b_to_a), 1e-5)
    assert_near(there.b_to_a, to_numpy(back.a_to_b), 1e-5)


@few
@given(batches, st.randoms(use_true_random=False))
def test_permuting_the_examples_permutes_the_losses(matrix, random):
    order = list(range(len(matrix)))
    random.shuffle(order)
    plain = contrastive_loss(four_axes(matrix))
    moved = contrastive_loss(four_axes(np.asarray(matrix)[order][:, order]))
    for a, b in zip(plain, moved, strict=True):
        assert_near(b, to_numpy(a)[order], 1e-5)


# The task ------------------------------------------------------------------


def test_one_caption_each_equals_the_oracle(rng):
    task = built()
    y_pred = vectors(rng, task, 7)
    x = {"text": different_captions(7, 2)}
    expected = expected_pair(y_pred, "image", "text")
    assert loss(task, x, y_pred) == pytest.approx(expected, rel=2e-5)


def test_the_order_of_a_pair_does_not_matter(rng):
    y_pred = vectors(rng, built(), 7)
    x = {"text": different_captions(7, 2)}
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
    y_pred = vectors(rng, task, 2)
    text = np.array([[3, 4], [4, 3]])
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


# Vectors and metrics -------------------------------------------------------


def identity_encoder(inputs, training=None):
    """Any input becomes WIDTH sums of it, so that shapes come out right."""
    del training
    found = {}
    for name, values in inputs.items():
        flat = ops.reshape(ops.cast(values, "float32"), (len(values), -1))
        scales = ops.arange(1, WIDTH + 1, dtype="float32")
        total = ops.sum(ops.sin(flat), axis=1, keepdims=True)
        found[name] = {"pooled_output": ops.cos(total * scales)}
    return found


@pytest.mark.parametrize(
    ("space", "heads"),
    [
        (
            "disjoint",
            ["image_to_text", "text_to_image"],
        ),
        ("joint", ["image", "text"]),
    ],
)
def test_spaces_have_a_head_for_each_pair_or_modality(space, heads):
    assert sorted(built(space=space).common_space.heads) == heads


def test_a_joint_space_has_one_vector_for_all_pairs():
    task = built(("video", "audio", "text"), space="joint")
    x = {
        "video": np.arange(10.0).reshape(5, 2),
        "audio": np.arange(15.0).reshape(5, 3),
        "text": different_captions(5, 2),
    }
    out = to_numpy(task(x, encoder=identity_encoder))
    np.testing.assert_array_equal(out["video_to_audio"], out["video_to_text"])
    assert sorted(out) == sorted(f"{a}_to_{b}" for a in x for b in x if a != b)


@pytest.mark.parametrize("captions", [None, 3])
def test_vectors_have_unit_length_and_the_announced_shape(captions):
    task = built()
    shape = (5, 2) if captions is None else (5, captions, 2)
    x = {
        "image": np.arange(20.0).reshape(5, 4),
        "text": different_captions(*shape),
    }
    spec = task.compute_output_spec(
        {k: keras.KerasTensor(v.shape) for k, v in x.items()}
    )
    out = task(x, encoder=identity_encoder)
    for key, v in to_numpy(out).items():
        assert v.shape == tuple(spec[key].shape)
        np.testing.assert_allclose(np.linalg.norm(v, axis=-1), 1.0, atol=1e-4)
    assert out["text_to_image"].shape[:-1] == shape[:-1]


def test_one_modality_gives_the_vectors_of_its_own():
    out = built()({"text": different_captions(5, 2)}, encoder=identity_encoder)
    assert list(out) == ["text_to_image"]


def test_top_1_counts_each_direction_by_itself():
    task = built()
    axes = np.eye(SPACE)
    y_pred = {
        "image_to_text": axes[[0, 1, 2, 3]],
        # Texts 0, 1 match; text 2 points at image 0, text 3 at no image.
        "text_to_image": np.stack(
            [axes[0], axes[1], 0.9 * axes[0] + 0.1 * axes[2], axes[4]]
        ),
    }
    y_pred = {k: ops.array(v.astype("float32")) for k, v in y_pred.items()}
    x = {"text": ops.array(different_captions(4, 2))}
    task.update_metrics(x, None, y_pred)
    # Images 0, 1, 2 find their text; image 3 ties at 0, the first one wins.
    top_1 = task.top_1_metrics
    assert float(top_1["image_to_text"].result()) == pytest.approx(0.75)
    # Texts 0 and 1 find their image.
    assert float(top_1["text_to_image"].result()) == pytest.approx(0.5)


def test_top_1_forgives_equal_captions_and_skips_empty_ones():
    task = built()
    axes = np.eye(SPACE)
    y_pred = {
        # Image 1 prefers text 0, which is its own caption too; image 3 has
        # no caption.
        "image_to_text": np.stack(
            [axes[0], 0.9 * axes[0] + 0.1 * axes[1], axes[2], axes[0]]
        ),
        "text_to_image": axes[[0, 1, 2, 0]],
    }
    y_pred = {k: ops.array(v.astype("float32")) for k, v in y_pred.items()}
    x = {"text": ops.array(np.array([[1, 2], [1, 2], [3, 4], [0, 0]]))}
    task.update_metrics(x, None, y_pred)
    assert float(task.top_1_metrics["image_to_text"].result()) == 1.0


def test_top_1_is_nan_until_seen():
    for metric in built().top_1_metrics.values():
        assert np.isnan(float(metric.result()))


# Arguments -----------------------------------------------------------------


def test_config_round_trip():
    task = Contrastive(
        "a",
        ("video", "audio", "text"),
        pairs=[("video", "text", 2.0), ("audio", "text")],
        projection_dim=7,
        space="joint",
        temperature=0.3,
        temperature_form="relu",
        min_temperature=0.02,
        margin=0.1,
        mask_duplicates=False,
        loss_weight=0.5,
    )
    assert task.pairs == [("video", "text", 2.0), ("audio", "text", 1.0)]
    copy = Contrastive.from_config(task.get_config())
    assert copy.get_config() == task.get_config()
    assert copy.pairs == task.pairs


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"modalities": ("image",)},
            "`modalities` must have at least two different names. "
            "Received: modalities=('image',).",
        ),
        (
            {"pairs": []},
            "`pairs` must have at least one pair. Received: pairs=[].",
        ),
        (
            {"pairs": [("image", "audio", 1.0)]},
            "A pair must name two of the task's modalities ('image', 'text'). "
            "Received: pair=('image', 'audio').",
        ),
        (
            {"pairs": [("image", "image", 1.0)]},
            "A pair must have two different modalities. "
            "Received: pair=('image', 'image').",
        ),
        (
            {"pairs": [("image", "text", 0.0)]},
            "`weight` must be greater than 0. Received: weight=0.0.",
        ),
        (
            {"temperature": 0.0},
            "`temperature` must be greater than 0. Received: temperature=0.0.",
        ),
        (
            {"temperature_form": "log"},
            "`temperature_form` must be one of ('exp', 'relu'). "
            "Received: temperature_form='log'.",
        ),
        (
            {"space": "shared"},
            "`space` must be one of ('disjoint', 'joint'). "
            "Received: space='shared'.",
        ),
    ],
)
def test_an_argument_out_of_range_is_refused(options, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Contrastive("a", **options)


def test_modalities_of_different_length_are_refused():
    text = (
        "All modalities of a batch must have equally many examples. "
        "Received: image=5, text=4."
    )
    x = {"image": np.zeros((5, 2)), "text": np.zeros((4, 2), int)}
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        built().check_batch(x, None)


def test_a_batch_of_one_is_refused():
    text = (
        "A contrastive batch must have at least 2 examples: with one there is "
        "nothing to contrast. Received: batch_size=1. Use a larger batch size."
    )
    x = {"image": np.zeros((1, 2)), "text": np.zeros((1, 2), int)}
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        built().check_batch(x, None)


def test_the_encoder_sees_captions_as_examples():
    x = {"image": np.zeros((5, 2)), "text": different_captions(5, 3, 2)}
    seen = built().encoder_inputs(x)
    np.testing.assert_array_equal(seen["text"], x["text"].reshape(15, 2))
    flat = {"text": x["text"][:, 0]}
    assert built().encoder_inputs(flat) is flat
