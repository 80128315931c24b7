"""Experts in turn compute what products of all of them compute."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_imp.layers import (
    EncoderStack,
    ExpertChoiceMoE,
    SoftMoE,
    TokenChoiceMoE,
)
from keras_imp.layers.moe import sequential
from keras_imp.layers.moe.experts import Experts
from tests.helpers.gradients import gradients
from tests.helpers.weights import randomize, to_numpy

EXPERTS, WIDTH, INNER = 3, 4, 6

unlooped = pytest.mark.skipif(
    keras.config.backend() == "torch", reason="torch has no loop"
)

# JAX compiles in every mode.
MODES = pytest.mark.parametrize(
    "mode", ["xla"] if keras.config.backend() == "jax" else ["eager", "xla"]
)


@pytest.fixture
def loops(monkeypatch):
    """Switch the loop on for the smallest array, or off for all."""

    def switch(on):
        limit = 0 if on else float("inf")
        monkeypatch.setattr(sequential, "LOOP_VALUES", limit)

    return switch


def make(rng, cls=ExpertChoiceMoE, **options):
    layer = cls(EXPERTS, INNER, **options)
    layer.build((None, 7, WIDTH))
    # Where the device is a GPU the loop is not taken.
    layer.experts._on_cpu = True
    return randomize(layer, rng)


@pytest.fixture
def both(rng, loops):
    """Outputs and gradients as products and in turn, pair by pair."""
    values = rng.normal(size=(3, 7, WIDTH))

    def compute(layer, mode="xla", **arguments):
        found = []
        for on in (False, True):
            loops(on)
            found.append(
                outputs_and_gradients(layer, values, mode, **arguments)
            )
        return zip(*found)

    return compute


def outputs_and_gradients(layer, values, mode, **arguments):
    """Of the outputs, the tokens and all weights."""
    tokens = keras.Variable(values, dtype=layer.compute_dtype)
    upstream = np.linspace(-1, 1, values.size).reshape(values.shape)

    def run():
        # Times 1: a layer is given tensors, not variables.
        return layer(tokens * 1.0, **arguments)

    def loss():
        return ops.sum(ops.cast(run(), "float32") * upstream)

    variables = [tokens, *layer.trainable_variables]
    found = [to_numpy(run()), *gradients(loss, variables, mode)]
    return [np.asarray(x, "float32") for x in found]


@unlooped
@MODES
@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("cls", [ExpertChoiceMoE, TokenChoiceMoE, SoftMoE])
def test_loop_agrees_with_products(rng, both, mode, use_bias, dropout, cls):
    layer = make(rng, cls, use_bias=use_bias, dropout=dropout)
    arguments = {"training": True, "dropout_seed": np.array([3, 4], "uint32")}
    for products, in_turn in both(layer, mode, **arguments):
        np.testing.assert_allclose(in_turn, products, rtol=1e-5, atol=1e-5)


@unlooped
@pytest.mark.parametrize("activation", ["gelu", "quick_gelu"])
def test_loop_has_the_activation_of_the_products(rng, both, activation):
    layer = make(rng, use_bias=True, activation=activation)
    for products, in_turn in both(layer, training=True):
        np.testing.assert_allclose(in_turn, products, rtol=1e-5, atol=1e-5)


@unlooped
def test_loop_agrees_in_half_precision(rng, both):
    layer = make(rng, use_bias=True, dtype="mixed_bfloat16")
    for products, in_turn in both(layer):
        limit = 0.02 * np.abs(products).max()
        np.testing.assert_allclose(in_turn, products, atol=limit)


@unlooped
def test_loop_agrees_with_padding(rng, both):
    layer = make(rng)
    mask = np.arange(7) < [[7], [4], [0]]
    for products, in_turn in both(layer, padding_mask=mask):
        assert np.isfinite(in_turn).all()
        np.testing.assert_allclose(in_turn, products, rtol=1e-5, atol=1e-5)


@unlooped
def test_broken_example_stays_alone(rng, loops):
    loops(True)
    layer = make(rng)
    tokens = rng.normal(size=(3, 7, WIDTH)).astype("float32")
    whole = to_numpy(layer(tokens))
    tokens[1] = np.nan
    broken = to_numpy(layer(tokens))
    np.testing.assert_array_equal(broken[[0, 2]], whole[[0, 2]])
    assert np.isnan(broken[1]).any()


@unlooped
@pytest.mark.parametrize("scan", [False, True])
def test_stack_agrees_with_remat(rng, loops, scan):
    stack = EncoderStack(
        num_layers=2,
        num_heads=2,
        feed_forward=ExpertChoiceMoE(EXPERTS, INNER),
        scan_layers=scan,
        remat=True,
    )
    stack.build((None, 7, WIDTH))
    randomize(stack, rng)
    tokens = rng.normal(size=(2, 7, WIDTH)).astype("float32")

    def loss():
        return ops.sum(ops.square(stack(tokens, training=True)))

    loops(False)
    at_once = gradients(loss, stack.trainable_variables, "xla")
    loops(True)
    in_turn = gradients(loss, stack.trainable_variables, "xla")
    for a, b in zip(at_once, in_turn):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("num_experts", "groups", "expected"),
    [
        (16, 32, {"jax": True, "tensorflow": True}),
        (64, 8, {"jax": True, "tensorflow": False}),
        (16, 8, {}),
        (16, None, {}),
    ],
    ids=["large", "many experts", "in the cache", "unknown batch"],
)
def test_loop_is_for_large_arrays(num_experts, groups, expected):
    experts = Experts(num_experts, 1536)
    experts._on_cpu = True
    found = experts.use_sequential_experts(groups, 13)
    assert found == expected.get(keras.config.backend(), False)


def test_layer_of_experts_fits_in_a_model_of_any_batch():
    inputs = keras.Input((7, WIDTH))
    outputs = ExpertChoiceMoE(EXPERTS, INNER)(inputs)
    assert tuple(outputs.shape) == (None, 7, WIDTH)
    stack = EncoderStack(
        2, 2, feed_forward=ExpertChoiceMoE(EXPERTS, INNER), scan_layers=True
    )
    outputs, report = stack(inputs, return_report=True)
    assert tuple(report.weights.shape[2:]) == (7, EXPERTS)
