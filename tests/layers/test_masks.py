"""Keras' own masks: our layers pass them on and use them."""

import re
import warnings

import keras
import numpy as np
import pytest

from keras_imp import layers
from keras_imp.layers.moe.reporting import routing_totals
from tests.helpers.weights import to_numpy

VOCABULARY, WIDTH, LENGTH = 11, 8, 7
IDS = np.random.default_rng(0).integers(1, VOCABULARY, (4, LENGTH))
IDS[np.arange(LENGTH) >= np.array([[7], [5], [2], [1]])] = 0
MASK = IDS != 0

MIXTURE = {"num_experts": 3, "intermediate_dim": 13}
KEEPING = {
    "attention": lambda: layers.MultiHeadAttention(2),
    "feed forward": lambda: layers.FeedForward(13),
    "block": lambda: layers.EncoderBlock(2, 13),
    "stack": lambda: layers.EncoderStack(2, 2, 13),
    "sparse block": lambda: layers.EncoderBlock(
        2, feed_forward=layers.ExpertChoiceMoE(**MIXTURE)
    ),
    "sparse stack": lambda: layers.EncoderStack(
        2, 2, feed_forward=layers.ExpertChoiceMoE(**MIXTURE)
    ),
    "expert choice": lambda: layers.ExpertChoiceMoE(**MIXTURE),
    "token choice": lambda: layers.TokenChoiceMoE(**MIXTURE),
    "soft": lambda: layers.SoftMoE(**MIXTURE, slots_per_expert=2),
    "dense": lambda: layers.TokenDense(WIDTH),
}
POOLING = {
    "mean": layers.MaskedMeanPooling,
    "first": layers.FirstTokenPooling,
    "attention": lambda: layers.AttentionPooling(2, 13),
}


def embedding():
    return keras.layers.Embedding(VOCABULARY, WIDTH, mask_zero=True)


def with_masks(*chain):
    """A functional model of layers in a row; no warning may be given."""
    inputs = keras.Input((LENGTH,), dtype="int32")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Layer .* was passed an input with")
        x = inputs
        for layer in chain:
            x = layer(x)
        return keras.Model(inputs, x)


def explicit(layer, x):
    """The layer with the mask as its argument."""
    if isinstance(layer, (layers.FeedForward, layers.TokenDense)):
        return to_numpy(layer(x))
    return to_numpy(layer(x, padding_mask=MASK))


@pytest.mark.parametrize("make", KEEPING.values(), ids=KEEPING.keys())
def test_a_mask_is_used_as_padding_and_passed_on(make):
    embed, layer = embedding(), make()
    model = with_masks(embed, layer)
    tokens = to_numpy(embed(IDS))
    np.testing.assert_allclose(
        to_numpy(model(IDS)), explicit(layer, tokens), atol=1e-6
    )
    # What comes next gets it.
    pooled = with_masks(embed, layer, layers.MaskedMeanPooling())
    expected = layers.MaskedMeanPooling()(explicit(layer, tokens), MASK)
    np.testing.assert_allclose(
        to_numpy(pooled(IDS)), to_numpy(expected), atol=1e-5
    )


@pytest.mark.parametrize("make", POOLING.values(), ids=POOLING.keys())
def test_a_pooling_uses_the_mask_up(make):
    embed, layer = embedding(), make()
    model = with_masks(embed, layer, keras.layers.Dense(3))
    pooled = layer(to_numpy(embed(IDS)), padding_mask=MASK)
    np.testing.assert_allclose(
        to_numpy(with_masks(embed, layer)(IDS)), to_numpy(pooled), atol=1e-6
    )
    assert tuple(model(IDS).shape) == (4, 3)


def test_an_explicit_padding_mask_wins():
    embed, layer = embedding(), layers.ExpertChoiceMoE(**MIXTURE)
    inputs = keras.Input((LENGTH,), dtype="int32")
    given = keras.Input((LENGTH,), dtype="bool")
    model = keras.Model(
        [inputs, given], layer(embed(inputs), padding_mask=given)
    )
    all_real = np.ones_like(MASK)
    np.testing.assert_allclose(
        to_numpy(model([IDS, all_real])),
        to_numpy(layer(to_numpy(embed(IDS)), padding_mask=all_real)),
        atol=1e-6,
    )


def test_a_masked_model_of_routed_layers_trains():
    model = with_masks(
        layers.TokenEmbedding(VOCABULARY, WIDTH, mask_zero=True),
        layers.EncoderBlock(2, feed_forward=layers.ExpertChoiceMoE(**MIXTURE)),
        layers.TokenChoiceMoE(**MIXTURE, name="experts"),
        layers.MaskedMeanPooling(),
    )
    model.compile("sgd", "mse", jit_compile="auto")
    history = model.fit(IDS, np.zeros((4, WIDTH)), verbose=0).history
    assert np.isfinite(history["loss"]).all()
    totals = routing_totals(model)["experts"].result()
    # 15 real tokens: padding neither takes a slot nor counts as left behind.
    assert 0.0 <= totals["left_behind"] < 1.0


def test_a_token_embedding_marks_its_padding_where_asked_to():
    embed = layers.TokenEmbedding(VOCABULARY, WIDTH, mask_zero=True)
    pooled = with_masks(embed, layers.MaskedMeanPooling())
    tokens = to_numpy(layers.TokenEmbedding.call(embed, IDS))
    expected = layers.MaskedMeanPooling()(tokens, padding_mask=MASK)
    np.testing.assert_allclose(
        to_numpy(pooled(IDS)), to_numpy(expected), atol=1e-6
    )
    text = (
        "`kept` must not be given to a TokenEmbedding whose tokens carry a "
        "mask of all ids. Received: mask_zero=True. Give the ids that are "
        "kept, or set mask_zero=False."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        embed(IDS, kept=np.zeros((4, 2), "int32"))


def test_dropped_tokens_take_their_mask_along():
    embed, drop = embedding(), layers.DropToken(0.5, seed=1)
    inputs = keras.Input((LENGTH,), dtype="int32")
    model = keras.Model(inputs, drop(embed(inputs)))
    kept = model(IDS, training=True)
    assert tuple(kept["tokens"].shape) == (4, 3, WIDTH)
    zero = to_numpy(embed(np.zeros((1, 1), "int32")))[0, 0]
    is_padding = (to_numpy(kept["tokens"]) == zero).all(-1)
    np.testing.assert_array_equal(to_numpy(kept["padding_mask"]), ~is_padding)
