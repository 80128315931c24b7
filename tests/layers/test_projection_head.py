import re

import numpy as np
import pytest

from keras_imp.layers import CommonSpace, ProjectionHead
from tests.helpers import layer_oracles as oracles
from tests.helpers.gradients import sum_gradients
from tests.helpers.weights import (
    assert_near,
    named_weights,
    randomize,
    to_numpy,
)

WIDTHS = {"image": (None, 5), "text": (None, 7), "audio": (None, 11)}
PAIRS = [("image", "text"), ("text", "audio")]


def common_space(rng, space="disjoint"):
    layer = CommonSpace(PAIRS, 13, space=space)
    layer.build(WIDTHS)
    return randomize(layer, rng)


def pooled(rng):
    return {
        name: rng.normal(size=(3, width)).astype("float32")
        for name, (_, width) in WIDTHS.items()
    }


@pytest.mark.parametrize("hidden_dim", [None, 23])
def test_head_agrees_with_the_oracle(rng, hidden_dim):
    layer = ProjectionHead(13, hidden_dim=hidden_dim)
    layer.build((None, 7))
    randomize(layer, rng)
    x = rng.normal(size=(3, 7)).astype("float32")
    expected = oracles.projection_head(x, named_weights(layer))
    assert expected.shape == (3, 13)
    assert_near(layer(x), expected, oracles.FLOAT32_TOLERANCE)


def test_head_has_the_parameters_of_two_biased_denses_and_a_norm():
    layer = ProjectionHead(13)
    layer.build((None, 7))
    assert layer.count_params() == (7 * 13 + 13) + (13 * 13 + 13) + 2 * 13


def test_disjoint_space_has_one_head_per_ordered_pair(rng):
    layer = common_space(rng)
    x = pooled(rng)
    out = layer(x)
    directions = [
        "image_to_text",
        "text_to_image",
        "text_to_audio",
        "audio_to_text",
    ]
    assert list(out) == directions
    assert list(layer.heads) == directions
    for name, vectors in out.items():
        head = named_weights(layer.heads[name])
        raw = oracles.projection_head(x[name.split("_to_")[0]], head)
        assert_near(
            vectors, oracles.unit_length(raw), oracles.FLOAT32_TOLERANCE
        )


def test_joint_space_has_one_head_per_modality(rng):
    layer = common_space(rng, "joint")
    out = to_numpy(layer(pooled(rng)))
    assert list(layer.heads) == ["image", "text", "audio"]
    np.testing.assert_array_equal(out["text_to_image"], out["text_to_audio"])


def test_vectors_have_unit_length(rng):
    for vectors in to_numpy(common_space(rng)(pooled(rng))).values():
        lengths = np.linalg.norm(vectors, axis=-1)
        np.testing.assert_allclose(lengths, 1, atol=1e-5)


def test_only_sources_at_hand_are_projected(rng):
    layer = common_space(rng)
    out = layer({"text": pooled(rng)["text"]})
    assert list(out) == ["text_to_image", "text_to_audio"]


def test_directions_are_both_directions_of_each_pair(rng):
    assert common_space(rng).directions() == [
        ("image", "text"),
        ("text", "image"),
        ("text", "audio"),
        ("audio", "text"),
    ]


def test_a_vector_of_zeros_has_a_finite_gradient(rng):
    layer = common_space(rng)
    for weight in layer.weights:
        weight.assign(np.zeros(weight.shape, "float32"))
    found = sum_gradients(
        lambda: layer(pooled(rng))["image_to_text"],
        layer.heads["image_to_text"].trainable_variables,
    )
    assert all(np.isfinite(g).all() for g in found)


def test_a_pair_of_one_modality_is_refused():
    text = (
        "A pair must have two different modalities. Received: "
        "pair=('image', 'image')."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        CommonSpace([("image", "image")], 13)


def test_an_unknown_space_is_refused():
    text = (
        "`space` must be one of ('disjoint', 'joint'). Received: "
        "space='fine_and_coarse'."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        CommonSpace(PAIRS, 13, space="fine_and_coarse")


def test_output_dim_must_be_positive():
    text = "`output_dim` must be greater than 0. Received: output_dim=0."
    with pytest.raises(ValueError, match=re.escape(text)):
        ProjectionHead(0)
