import re

import numpy as np
import pytest

from keras_imp.layers import (
    AttentionPooling,
    FirstTokenPooling,
    MaskedMeanPooling,
)
from tests.helpers import layer_oracles as oracles
from tests.helpers.gradients import sum_gradients
from tests.helpers.weights import (
    assert_near,
    named_weights,
    randomize,
    to_numpy,
)

WIDTH = 10


def tokens_and_mask(rng):
    tokens = rng.normal(size=(3, 7, WIDTH)).astype("float32")
    mask = np.arange(7) < np.array([[5], [1], [7]])
    return tokens, mask


def attention_pooling(rng):
    layer = AttentionPooling(2, intermediate_dim=23)
    layer.build((None, None, WIDTH))
    return randomize(layer, rng)


def test_mean_agrees_with_the_oracle(rng):
    tokens, mask = tokens_and_mask(rng)
    assert_near(
        MaskedMeanPooling()(tokens, padding_mask=mask),
        oracles.mean_pooling(tokens, mask),
        oracles.FLOAT32_TOLERANCE,
    )


def test_mean_without_a_mask_takes_all_tokens(rng):
    tokens, _ = tokens_and_mask(rng)
    assert_near(
        MaskedMeanPooling()(tokens),
        tokens.mean(1),
        oracles.FLOAT32_TOLERANCE,
    )


def test_mean_of_padding_only_is_zero(rng):
    tokens, mask = tokens_and_mask(rng)
    out = MaskedMeanPooling()(tokens, padding_mask=0 * mask)
    np.testing.assert_array_equal(to_numpy(out), np.zeros((3, WIDTH)))


def test_mean_is_summed_in_float32():
    # In bfloat16, 256 + 1 is 256: the ones would get lost one by one.
    tokens = np.ones((1, 256, 1), "float32")
    tokens[0, 0] = 256
    layer = MaskedMeanPooling(dtype="bfloat16")
    out = to_numpy(layer(tokens, padding_mask=np.ones((1, 256), bool)))
    # 511 / 256 = 1.996, in 8 bits 2.0.
    assert out.tolist() == [[2.0]]


def test_first_token_is_taken_as_it_is(rng):
    tokens, mask = tokens_and_mask(rng)
    for given in (None, mask):
        out = FirstTokenPooling()(tokens, padding_mask=given)
        np.testing.assert_array_equal(to_numpy(out), tokens[:, 0])


@pytest.mark.parametrize("masked", [False, True], ids=["", "mask"])
def test_attention_agrees_with_the_oracle(rng, masked):
    layer = attention_pooling(rng)
    tokens, mask = tokens_and_mask(rng)
    mask = mask if masked else None
    expected = oracles.attention_pooling(tokens, named_weights(layer), 2, mask)
    assert_near(
        layer(tokens, padding_mask=mask), expected, oracles.FLOAT32_TOLERANCE
    )


@pytest.mark.parametrize(
    "make", [lambda rng: MaskedMeanPooling(), attention_pooling]
)
def test_padding_tokens_change_nothing(rng, make):
    layer = make(rng)
    tokens, mask = tokens_and_mask(rng)
    other = np.where(mask[..., None], tokens, 100 - tokens)
    np.testing.assert_array_equal(
        to_numpy(layer(tokens, padding_mask=mask)),
        to_numpy(layer(other.astype("float32"), padding_mask=mask)),
    )


def test_attention_does_not_depend_on_the_order_of_tokens(rng):
    layer = attention_pooling(rng)
    tokens, _ = tokens_and_mask(rng)
    order = rng.permutation(7)
    assert_near(
        layer(tokens[:, order]),
        to_numpy(layer(tokens)),
        oracles.SAME_MATH_TOLERANCE,
    )


@pytest.mark.parametrize(
    "make", [lambda rng: MaskedMeanPooling(), attention_pooling]
)
def test_padding_only_gives_finite_values_and_gradients(rng, make):
    layer = make(rng)
    tokens, mask = tokens_and_mask(rng)
    mask = np.zeros_like(mask)
    assert np.isfinite(to_numpy(layer(tokens, padding_mask=mask))).all()
    if layer.trainable_variables:
        found = sum_gradients(
            lambda: layer(tokens, padding_mask=mask),
            layer.trainable_variables,
        )
        assert all(np.isfinite(g).all() for g in found)


def test_a_width_that_heads_do_not_divide_is_refused():
    text = (
        "The width of the tokens must be a multiple of `num_heads`. Received: "
        "hidden_dim=16, num_heads=3."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        AttentionPooling(3, intermediate_dim=8).build((None, None, 16))


def test_num_heads_must_be_positive():
    text = "`num_heads` must be greater than 0. Received: num_heads=0."
    with pytest.raises(ValueError, match=re.escape(text)):
        AttentionPooling(0, intermediate_dim=8)
