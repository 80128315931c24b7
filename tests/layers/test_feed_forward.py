import re

import numpy as np
import pytest

from keras_imp.layers import FeedForward
from tests.helpers import layer_oracles as oracles
from tests.helpers.weights import (
    assert_near,
    named_weights,
    randomize,
    to_numpy,
)


@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize("activation", oracles.ACTIVATIONS)
def test_agrees_with_the_oracle(rng, use_bias, activation):
    layer = FeedForward(11, use_bias=use_bias, activation=activation)
    layer.build((None, None, 7))
    randomize(layer, rng)
    x = rng.normal(size=(2, 5, 7)).astype("float32")
    expected = oracles.feed_forward(x, named_weights(layer), activation)
    assert_near(layer(x), expected, oracles.FLOAT32_TOLERANCE)


def test_uses_the_tanh_form_of_gelu_by_default(rng):
    # The exact form differs from the tanh form by up to 4.7e-4.
    layer = FeedForward(1)
    layer.build((None, None, 1))
    for weight in layer.weights:
        weight.assign([[1.0]])
    # 0.5 * 2 * (1 + tanh(0.797885 * (2 + 0.044715 * 8))) = 1.954598;
    # the exact form gives 1.954500.
    assert_near(layer(np.array([[[2.0]]], "float32")), [[[1.954598]]], 2e-6)


def test_tokens_do_not_see_each_other(rng):
    layer = FeedForward(11)
    x = rng.normal(size=(2, 5, 7)).astype("float32")
    together = to_numpy(layer(x))
    alone = np.concatenate(
        [to_numpy(layer(x[:, i : i + 1])) for i in range(5)], axis=1
    )
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_has_no_bias_by_default():
    layer = FeedForward(11)
    layer.build((None, None, 7))
    assert set(named_weights(layer)) == {"expand/kernel", "contract/kernel"}


def dropped_channels(rng, **arguments):
    """Which (example, token, channel) dropout removed between the denses."""
    layer = FeedForward(31, dropout=0.25, seed=3, **arguments)
    layer.build((None, None, 31))
    # Identity matrices: what comes out is what dropout let through.
    for weight in layer.weights:
        weight.assign(np.eye(31, dtype="float32"))
    x = np.full((13, 17, 31), 2.0, "float32")
    out = to_numpy(layer(x, training=True))
    kept = out[out != 0]
    # GELU(2) = 1.954598, over 1 - 0.25.
    np.testing.assert_allclose(kept, 2.606131, rtol=1e-5)
    return out == 0


def test_dropout_removes_its_share_and_scales_the_rest(rng):
    dropped = dropped_channels(rng)
    # 6851 draws with p = 0.25: a deviation of 0.0052.
    assert abs(dropped.mean() - 0.25) < 0.021
    assert (dropped != dropped[:, :1]).any()


def test_broadcast_dropout_removes_channels_of_all_tokens(rng):
    dropped = dropped_channels(rng, dropout_broadcast=True)
    assert (dropped == dropped[:, :1]).all()
    assert (dropped != dropped[:1]).any()


def test_dropout_is_off_without_training(rng):
    layer = FeedForward(11, dropout=0.5)
    layer.build((None, None, 7))
    x = rng.normal(size=(2, 5, 7)).astype("float32")
    expected = oracles.feed_forward(x, named_weights(layer))
    assert_near(layer(x, training=False), expected, oracles.FLOAT32_TOLERANCE)


def test_two_training_calls_drop_differently(rng):
    layer = FeedForward(11, dropout=0.5, seed=0)
    x = rng.normal(size=(2, 5, 7)).astype("float32")
    first, second = (to_numpy(layer(x, training=True)) for _ in range(2))
    assert (first != second).any()


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5])
def test_a_rate_outside_its_range_is_refused(rate):
    text = f"`dropout` must be in [0, 1). Received: dropout={rate}."
    with pytest.raises(ValueError, match=re.escape(text)):
        FeedForward(11, dropout=rate)


def test_intermediate_dim_must_be_positive():
    text = (
        "`intermediate_dim` must be greater than 0. Received: "
        "intermediate_dim=0."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        FeedForward(0)
