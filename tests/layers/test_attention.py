import re

import numpy as np
import pytest

from keras_imp.layers import MultiHeadAttention
from tests.helpers import layer_oracles as oracles
from tests.helpers.gradients import sum_gradients
from tests.helpers.weights import (
    assert_near,
    named_weights,
    randomize,
    to_numpy,
)

WIDTH, HEADS = 15, 3


def attention_layer(rng, **arguments):
    layer = MultiHeadAttention(HEADS, **arguments)
    layer.build((None, None, WIDTH))
    return randomize(layer, rng)


def tokens_and_mask(rng):
    tokens = rng.normal(size=(2, 7, WIDTH)).astype("float32")
    mask = np.arange(7) < np.array([[5], [3]])
    return tokens, mask


@pytest.mark.parametrize("use_bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize("qk_layer_norm", [False, True], ids=["", "qk norm"])
@pytest.mark.parametrize("masked", [False, True], ids=["", "mask"])
@pytest.mark.parametrize("flash", [False, True], ids=["", "flash"])
def test_agrees_with_the_oracle(rng, use_bias, qk_layer_norm, masked, flash):
    layer = attention_layer(rng, use_bias=use_bias, qk_layer_norm=qk_layer_norm)
    # Only a GPU takes this path by itself; it runs anywhere.
    layer._use_flash = flash
    tokens, mask = tokens_and_mask(rng)
    mask = mask if masked else None
    expected = oracles.attention(tokens, named_weights(layer), HEADS, mask)
    assert_near(
        layer(tokens, padding_mask=mask), expected, oracles.FLOAT32_TOLERANCE
    )


@pytest.mark.parametrize("masked", [False, True], ids=["", "mask"])
@pytest.mark.parametrize("flash", [False, True], ids=["", "flash"])
def test_causal_attention_agrees_with_the_oracle(rng, masked, flash):
    layer = attention_layer(rng, use_bias=True)
    layer._use_flash = flash
    tokens, mask = tokens_and_mask(rng)
    allowed = np.broadcast_to(np.tri(7, dtype=bool), (2, 7, 7))
    if masked:
        allowed = allowed & mask[:, None]
    expected = oracles.attention(tokens, named_weights(layer), HEADS, allowed)
    found = layer(
        tokens, padding_mask=mask if masked else None, use_causal_mask=True
    )
    assert_near(found, expected, oracles.FLOAT32_TOLERANCE)


@pytest.mark.parametrize("flash", [False, True], ids=["", "flash"])
def test_a_causal_mask_hides_later_tokens(rng, flash):
    layer = attention_layer(rng)
    layer._use_flash = flash
    tokens, _ = tokens_and_mask(rng)
    first = to_numpy(layer(tokens, use_causal_mask=True))
    tokens[:, 4:] = 99
    second = to_numpy(layer(tokens, use_causal_mask=True))
    np.testing.assert_array_equal(first[:, :4], second[:, :4])
    assert (first[:, 4:] != second[:, 4:]).any()


@pytest.mark.parametrize("flash", [False, True], ids=["", "flash"])
def test_padding_tokens_change_nothing(rng, flash):
    layer = attention_layer(rng)
    layer._use_flash = flash
    tokens, mask = tokens_and_mask(rng)
    other = np.where(mask[..., None], tokens, 100 * tokens + 7)
    first = to_numpy(layer(tokens, padding_mask=mask))
    second = to_numpy(layer(other.astype("float32"), padding_mask=mask))
    np.testing.assert_array_equal(first[mask], second[mask])


def test_a_longer_padding_changes_nothing(rng):
    layer = attention_layer(rng)
    tokens, _ = tokens_and_mask(rng)
    padded = np.pad(tokens, ((0, 0), (0, 4), (0, 0)), constant_values=9)
    mask = np.broadcast_to(np.arange(11) < 7, (2, 11))
    out = layer(padded, padding_mask=mask)[:, :7]
    assert_near(out, to_numpy(layer(tokens)), oracles.SAME_MATH_TOLERANCE)


def test_a_row_of_padding_only_attends_uniformly(rng):
    layer = attention_layer(rng)
    tokens, mask = tokens_and_mask(rng)
    mask[1] = False
    out = to_numpy(layer(tokens, padding_mask=mask))[1]
    weights = named_weights(layer)
    value = tokens[1].mean(0) @ weights["value/kernel"]
    expected = np.tile(value @ weights["output/kernel"], (7, 1))
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_gradients_with_a_row_of_padding_only_are_finite(rng):
    layer = attention_layer(rng, qk_layer_norm=True)
    tokens, mask = tokens_and_mask(rng)
    mask[1] = False
    found = sum_gradients(
        lambda: layer(tokens, padding_mask=mask), layer.trainable_variables
    )
    assert all(np.isfinite(g).all() for g in found)


def test_a_mask_of_integers_means_the_same(rng):
    layer = attention_layer(rng)
    tokens, mask = tokens_and_mask(rng)
    np.testing.assert_array_equal(
        to_numpy(layer(tokens, padding_mask=mask)),
        to_numpy(layer(tokens, padding_mask=mask.astype("int32"))),
    )


def test_permuted_tokens_permute_the_output(rng):
    layer = attention_layer(rng)
    tokens, _ = tokens_and_mask(rng)
    order = rng.permutation(7)
    assert_near(
        layer(tokens[:, order]),
        to_numpy(layer(tokens))[:, order],
        oracles.SAME_MATH_TOLERANCE,
    )


def test_qk_layer_norm_makes_the_scale_of_queries_and_keys_irrelevant(rng):
    layer = attention_layer(rng, qk_layer_norm=True)
    tokens, _ = tokens_and_mask(rng)
    before = to_numpy(layer(tokens))
    layer.query.kernel.assign(layer.query.kernel * 100)
    layer.key.kernel.assign(layer.key.kernel * 100)
    # The norm's epsilon of 1e-6 sees variances of about 1.
    np.testing.assert_allclose(to_numpy(layer(tokens)), before, atol=1e-4)


def test_qk_layer_norm_adds_one_scale_per_channel_of_a_head(rng):
    plain = attention_layer(rng)
    normed = attention_layer(rng, qk_layer_norm=True)
    # Two vectors as long as a head is wide: 15 / 3 = 5.
    assert normed.count_params() - plain.count_params() == 2 * 5
    assert plain.count_params() == 4 * WIDTH * WIDTH


@pytest.mark.parametrize(
    ("qkv_init", "deviation"),
    # One over the root of 64, or of 64 times 4 heads.
    [("conventional", 1 / 8), ("imp", 1 / 16)],
)
def test_deviation_of_the_first_query_key_and_value_kernels(
    qkv_init, deviation
):
    layer = MultiHeadAttention(4, qkv_init=qkv_init)
    layer.build((None, None, 64))
    weights = named_weights(layer)
    for name in ("query", "key", "value"):
        assert abs(weights[f"{name}/kernel"].std() - deviation) < 6e-3
    assert abs(weights["output/kernel"].std() - 1 / 8) < 6e-3
    assert (weights["query/kernel"] != weights["key/kernel"]).any()


def dropped_probabilities(rng, **arguments):
    """Attention to one-hot values: the output shows the probabilities."""
    layer = MultiHeadAttention(2, dropout=0.25, seed=3, **arguments)
    layer.build((None, None, 46))
    eye = np.eye(46, dtype="float32")
    for dense in (layer.query, layer.key):
        dense.kernel.assign(0 * eye)
    for dense in (layer.value, layer.output_projection):
        dense.kernel.assign(eye)
    # 23 tokens, one-hot in the 23 channels of both heads.
    tokens = np.tile(np.concatenate([np.eye(23)] * 2, axis=-1), (7, 1, 1))
    out = layer(tokens.astype("float32"), training=True)
    # Axes: example, query, head, key.
    return to_numpy(out).reshape(7, 23, 2, 23)


def test_dropout_removes_its_share_of_the_probabilities(rng):
    probabilities = dropped_probabilities(rng)
    dropped = probabilities == 0
    # 7406 draws with p = 0.25: a deviation of 0.005.
    assert abs(dropped.mean() - 0.25) < 0.02
    np.testing.assert_allclose(
        probabilities[~dropped], 1 / 23 / 0.75, rtol=1e-5
    )


def test_broadcast_dropout_removes_whole_heads(rng):
    dropped = dropped_probabilities(rng, dropout_broadcast=True) == 0
    assert (dropped == dropped[:, :1, :, :1]).all()
    assert 0 < dropped.sum() < dropped.size


def test_a_given_seed_decides_the_dropout(rng):
    layer = attention_layer(rng, dropout=0.5)
    tokens, _ = tokens_and_mask(rng)
    first, again, other = (
        to_numpy(
            layer(tokens, dropout_seed=np.array(seed, "uint32"), training=True)
        )
        for seed in ([1, 2], [1, 2], [1, 3])
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_a_width_that_heads_do_not_divide_is_refused():
    text = (
        "The width of the tokens must be a multiple of `num_heads`. Received: "
        "hidden_dim=16, num_heads=3."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        MultiHeadAttention(3).build((None, None, 16))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"num_heads": 0},
            "`num_heads` must be greater than 0. Received: num_heads=0.",
        ),
        (
            {"dropout": 1},
            "`dropout` must be in [0, 1). Received: dropout=1.",
        ),
        (
            {"qkv_init": "zeros"},
            "`qkv_init` must be one of ('conventional', 'imp'). Received: "
            "qkv_init='zeros'.",
        ),
    ],
    ids=["num_heads", "dropout", "qkv_init"],
)
def test_bad_arguments_are_refused(arguments, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        MultiHeadAttention(**{"num_heads": 2, **arguments})
