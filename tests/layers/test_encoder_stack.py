import re

import keras
import numpy as np
import pytest

from keras_imp.layers import EncoderStack
from tests.helpers import layer_oracles as oracles
from tests.helpers.compiled import compiled, in_one
from tests.helpers.gradients import gradients
from tests.helpers.weights import (
    assert_near,
    copy_weights,
    randomize,
    to_numpy,
    weight_names,
)

WIDTH, HEADS, INNER, LAYERS = 10, 2, 23, 3

WAYS = {
    "loop": {"scan_layers": False},
    "scan": {"scan_layers": True},
    "loop with remat": {"scan_layers": False, "remat": True},
    "scan with remat": {"scan_layers": True, "remat": True},
}
WAY = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())


def stack(rng=None, num_layers=LAYERS, **arguments):
    layer = EncoderStack(num_layers, HEADS, INNER, **arguments)
    layer.build((None, None, WIDTH))
    return layer if rng is None else randomize(layer, rng)


def tokens_and_mask(rng):
    tokens = rng.normal(size=(2, 5, WIDTH)).astype("float32")
    mask = np.arange(5) < np.array([[5], [3]])
    return tokens, mask


def block_weights(layer):
    """Named weights of each block."""
    block = layer.make_block()
    block.build((None, None, WIDTH))
    names = weight_names(block)
    return [
        dict(zip(names, layer.block_weights(i), strict=True))
        for i in range(LAYERS)
    ]


def training_gradients(layer, inputs, target, mode="eager"):
    def loss():
        tokens, mask = inputs
        out = layer(tokens, padding_mask=mask, training=True)
        return keras.ops.sum(keras.ops.multiply(out, target))

    return gradients(loss, layer.trainable_variables, mode)


def assert_equal_gradients(found, expected):
    """Equal up to a share of the largest gradient of each weight."""
    for ours, theirs in zip(found, expected, strict=True):
        size = np.abs(theirs).max()
        assert size > 0
        np.testing.assert_allclose(
            ours / size, theirs / size, atol=oracles.SAME_MATH_TOLERANCE
        )


@WAY
@pytest.mark.parametrize("qk_layer_norm", [False, True], ids=["", "qk norm"])
def test_agrees_with_the_oracle(rng, way, qk_layer_norm):
    layer = stack(rng, qk_layer_norm=qk_layer_norm, **way)
    tokens, mask = tokens_and_mask(rng)
    expected = oracles.encoder_stack(tokens, block_weights(layer), HEADS, mask)
    run = lambda x: layer(x, padding_mask=mask, training=True)
    for way_of_calling in (run, compiled(run)):
        # Three blocks add up their rounding, on values of up to about 30.
        assert_near(way_of_calling(tokens), expected, oracles.FLOAT32_TOLERANCE)


@WAY
def test_equals_its_blocks_called_one_after_the_other(rng, way):
    layer = stack(rng, **way)
    tokens, mask = tokens_and_mask(rng)
    x = tokens
    for i in range(LAYERS):
        block = layer.make_block()
        block.build((None, None, WIDTH))
        block.set_weights(layer.block_weights(i))
        x = block(x, padding_mask=mask)
    assert_near(
        layer(tokens, padding_mask=mask),
        to_numpy(x),
        oracles.SAME_MATH_TOLERANCE,
    )


@pytest.mark.parametrize("dropout", [0.0, 0.4], ids=["", "dropout"])
def test_gradients_equal_those_of_the_loop(rng, dropout):
    inputs = tokens_and_mask(rng)
    target = rng.normal(size=inputs[0].shape).astype("float32")
    loop = stack(rng, dropout=dropout, seed=7, **WAYS["loop"])
    expected = training_gradients(loop, inputs, target)
    for name in ("scan", "loop with remat", "scan with remat"):
        layer = stack(dropout=dropout, seed=7, **WAYS[name])
        copy_weights(loop, layer)
        assert_equal_gradients(
            training_gradients(layer, inputs, target), expected
        )


@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_compiled_gradients_of_a_scan_equal_those_of_the_loop(rng, mode):
    inputs = tokens_and_mask(rng)
    target = rng.normal(size=inputs[0].shape).astype("float32")
    common = {"num_layers": 2, "dropout": 0.4, "seed": 7}
    loop = stack(rng, **common, **WAYS["loop"])
    layer = stack(**common, **WAYS["scan with remat"])
    copy_weights(loop, layer)
    # Both compiled: XLA draws other random numbers than TensorFlow without it.
    assert_equal_gradients(
        training_gradients(layer, inputs, target, mode),
        training_gradients(loop, inputs, target, mode),
    )


def test_all_ways_drop_the_same_with_the_same_seed(rng):
    tokens, mask = tokens_and_mask(rng)
    reference = stack(rng, dropout=0.4, seed=7, **WAYS["loop"])
    expected = to_numpy(reference(tokens, mask, training=True))
    for way in WAYS.values():
        layer = stack(dropout=0.4, seed=7, **way)
        copy_weights(reference, layer)
        assert_near(
            layer(tokens, mask, training=True),
            expected,
            oracles.SAME_MATH_TOLERANCE,
        )


@WAY
def test_dropout_differs_from_call_to_call(rng, way):
    layer = stack(rng, dropout=0.4, **way)
    tokens, _ = tokens_and_mask(rng)
    first, second = (to_numpy(layer(tokens, training=True)) for _ in range(2))
    assert (first != second).any()


def test_each_layer_draws_its_own_dropout(rng):
    layer = stack(dropout=0.5, use_bias=True, seed=0)
    for weight in layer.weights:
        weight.assign(np.zeros(weight.shape, "float32"))
    # Layer i adds 10^i wherever its last dropout keeps the channel.
    bias = dict(zip(weight_names(layer), layer.weights))["contract_bias"]
    steps = np.array([[1.0], [10.0], [100.0]], "float32")
    bias.assign(np.tile(steps, (1, WIDTH)))
    call = in_one(layer, training=True)
    out = to_numpy(call(np.zeros((11, 13, WIDTH), "float32")))
    # Kept values are doubled: 0, 2, 20, 22, ... 222 all occur, about equally.
    found, counts = np.unique(np.round(out), return_counts=True)
    assert found.tolist() == [0, 2, 20, 22, 200, 202, 220, 222]
    # 1430 draws with p = 1/8: a deviation of 12.5 around 179.
    assert (abs(counts - 1430 / 8) < 50).all()


@WAY
def test_padding_tokens_change_nothing(rng, way):
    layer = stack(rng, **way)
    tokens, mask = tokens_and_mask(rng)
    other = np.where(mask[..., None], tokens, 100 - tokens)
    first = to_numpy(layer(tokens, padding_mask=mask))
    second = to_numpy(layer(other.astype("float32"), padding_mask=mask))
    np.testing.assert_array_equal(first[mask], second[mask])


def test_layers_start_with_different_weights():
    first, second, third = block_weights(stack())
    for name in ("query/kernel", "expand/kernel", "contract/kernel"):
        assert (first[name] != second[name]).any()
        assert (second[name] != third[name]).any()


def test_deviation_of_the_stacked_kernels_is_that_of_one_block():
    layer = EncoderStack(3, 4, 64, qkv_init="imp")
    layer.build((None, None, 64))
    weights = dict(zip(weight_names(layer), layer.get_weights()))
    # Fan-in 64 * 4 of the faithful queries, 64 of the rest.
    assert abs(weights["query_kernel"].std() - 1 / 16) < 4e-3
    assert abs(weights["expand_kernel"].std() - 1 / 8) < 4e-3


def test_has_one_weight_per_kind_with_a_leading_layer_axis():
    layer = stack()
    assert all(v.shape[0] == LAYERS for v in layer.weights)
    assert len(layer.weights) == 8
    # 3 * (4 D^2 + 2 D F + 2 D)
    assert layer.count_params() == 3 * (400 + 460 + 20)


def test_weights_do_not_depend_on_the_way_it_runs(rng):
    names = {tuple(weight_names(stack(**way))) for way in WAYS.values()}
    assert len(names) == 1


def test_scans_by_default_on_jax_only():
    assert stack()._scans() == (keras.config.backend() == "jax")
    assert not stack(num_layers=1)._scans()
    assert stack(scan_layers=True)._scans()
    assert not stack(scan_layers=False)._scans()


@pytest.mark.skipif(
    keras.config.backend() != "jax", reason="scans eagerly without compiling"
)
def test_an_eager_call_has_no_scan_to_compile(rng, monkeypatch):
    calls = []
    scan = keras.ops.scan
    monkeypatch.setattr(
        keras.ops, "scan", lambda *args: calls.append(args) or scan(*args)
    )
    layer = stack(rng)
    tokens, _ = tokens_and_mask(rng)
    eager = layer(tokens)
    assert not calls
    np.testing.assert_allclose(compiled(layer)(tokens), eager, atol=1e-4)
    assert len(calls) == 1


def test_one_layer_is_a_stack_too(rng):
    layer = EncoderStack(1, HEADS, INNER)
    tokens, _ = tokens_and_mask(rng)
    assert tuple(layer(tokens).shape) == (2, 5, WIDTH)


def test_num_layers_must_be_positive():
    text = "`num_layers` must be greater than 0. Received: num_layers=0."
    with pytest.raises(ValueError, match=re.escape(text)):
        EncoderStack(0, HEADS, INNER)


@WAY
def test_fits_in_a_compiled_model(rng, way):
    inputs = keras.Input((5, WIDTH))
    layer = EncoderStack(LAYERS, HEADS, INNER, dropout=0.4, seed=7, **way)
    model = keras.Model(inputs, layer(inputs))
    model.compile("sgd", "mse", jit_compile="auto")
    tokens, _ = tokens_and_mask(rng)
    before = layer.get_weights()
    history = model.fit(tokens, 0 * tokens, batch_size=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    after = layer.get_weights()
    assert all((a != b).any() for a, b in zip(before, after, strict=True))
