import numpy as np
import pytest

from keras_imp.layers import EncoderBlock
from tests.helpers import layer_oracles as oracles
from tests.helpers.weights import (
    assert_near,
    named_weights,
    randomize,
    to_numpy,
)

WIDTH, HEADS, INNER = 10, 2, 23


def block(rng, **arguments):
    layer = EncoderBlock(HEADS, INNER, **arguments)
    layer.build((None, None, WIDTH))
    return randomize(layer, rng)


def tokens_and_mask(rng):
    tokens = rng.normal(size=(3, 7, WIDTH)).astype("float32")
    mask = np.arange(7) < np.array([[7], [5], [1]])
    return tokens, mask


@pytest.mark.parametrize("use_bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize("qk_layer_norm", [False, True], ids=["", "qk norm"])
@pytest.mark.parametrize("masked", [False, True], ids=["", "mask"])
def test_agrees_with_the_oracle(rng, use_bias, qk_layer_norm, masked):
    layer = block(rng, use_bias=use_bias, qk_layer_norm=qk_layer_norm)
    tokens, mask = tokens_and_mask(rng)
    mask = mask if masked else None
    expected = oracles.encoder_block(tokens, named_weights(layer), HEADS, mask)
    assert_near(
        layer(tokens, padding_mask=mask), expected, oracles.FLOAT32_TOLERANCE
    )


def test_padding_tokens_change_nothing(rng):
    layer = block(rng)
    tokens, mask = tokens_and_mask(rng)
    other = np.where(mask[..., None], tokens, 100 - tokens)
    first = to_numpy(layer(tokens, padding_mask=mask))
    second = to_numpy(layer(other.astype("float32"), padding_mask=mask))
    np.testing.assert_array_equal(first[mask], second[mask])


def test_zero_output_kernels_leave_the_residual(rng):
    layer = block(rng)
    for dense in (
        layer.attention.output_projection,
        layer.feed_forward.contract,
    ):
        dense.kernel.assign(np.zeros(dense.kernel.shape, "float32"))
    tokens, _ = tokens_and_mask(rng)
    np.testing.assert_array_equal(to_numpy(layer(tokens)), tokens)


def test_parameter_count_follows_the_formula(rng):
    # 4 D^2 + 2 D F + 2 D: four kernels, two kernels, two scales.
    assert block(rng).count_params() == 4 * 100 + 2 * 10 * 23 + 2 * 10
    # and two scales as long as a head is wide.
    assert block(rng, qk_layer_norm=True).count_params() == 880 + 2 * 5


def residual_dropout(rng, **arguments):
    """What dropout removed of a feed-forward branch that is all ones."""
    layer = EncoderBlock(1, 2, dropout=0.25, use_bias=True, seed=5, **arguments)
    layer.build((None, None, 29))
    for weight in layer.weights:
        weight.assign(np.zeros(weight.shape, "float32"))
    layer.feed_forward.contract.bias.assign(np.ones(29, "float32"))
    tokens = np.zeros((7, 19, 29), "float32")
    out = to_numpy(layer(tokens, training=True))
    np.testing.assert_allclose(out[out != 0], 1 / 0.75, rtol=1e-5)
    return out == 0


def test_residual_dropout_removes_its_share(rng):
    dropped = residual_dropout(rng)
    # 3857 draws with p = 0.25: a deviation of 0.007.
    assert abs(dropped.mean() - 0.25) < 0.028
    assert (dropped != dropped[:, :1]).any()


def test_broadcast_residual_dropout_removes_channels_of_all_tokens(rng):
    dropped = residual_dropout(rng, dropout_broadcast=True)
    assert (dropped == dropped[:, :1]).all()
    assert (dropped != dropped[:1]).any()


def test_given_seeds_decide_the_dropout(rng):
    layer = block(rng, dropout=0.5)
    tokens, _ = tokens_and_mask(rng)
    seeds = np.arange(8).reshape(4, 2).astype("uint32")
    first, again, other = (
        to_numpy(layer(tokens, dropout_seeds=s, training=True))
        for s in (seeds, seeds, seeds + 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_all_four_places_of_dropout_use_their_own_seed(rng):
    layer = block(rng, dropout=0.5)
    tokens, _ = tokens_and_mask(rng)
    seeds = np.arange(8).reshape(4, 2).astype("uint32")
    base = to_numpy(layer(tokens, dropout_seeds=seeds, training=True))
    for place in range(4):
        changed = seeds.copy()
        changed[place] += 100
        out = to_numpy(layer(tokens, dropout_seeds=changed, training=True))
        assert (out != base).any(), place
