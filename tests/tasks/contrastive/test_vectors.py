"""What a contrastive task returns, measures and refuses."""

import re

import keras
import numpy as np
import pytest
from keras import ops

from keras_imp.tasks import Contrastive
from tests.helpers.weights import to_numpy
from tests.tasks.contrastive.test_task import (
    SPACE,
    WIDTH,
    built,
    different_captions,
)


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


# Arguments -----------------------------------------------------------------


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
            {"temperature": 0.001},
            "`temperature` must not be below `min_temperature`, which it would "
            "be clipped to. Received: temperature=0.001, min_temperature=0.01.",
        ),
        (
            {"pairs": [("image", "text"), ("text", "image")]},
            "`pairs` must have each pair once: both directions are in its loss."
            " Received: pair=('text', 'image'). Give it a larger weight "
            "instead.",
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
        "nothing to contrast. Received: batch_size=1. Use another batch size, "
        "or leave out a smaller last batch: keras_imp.data.Arrays(..., "
        "drop_last=True)."
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
