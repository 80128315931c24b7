"""The experts one by one compute what they compute all at once."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_imp.layers import EncoderStack, ExpertChoiceMoE, _expert_loop
from keras_imp.layers.experts import Experts
from tests.gradients import gradients
from tests.weights import randomize, to_numpy

EXPERTS, ROWS, WIDTH, INNER = 3, 5, 4, 6
SLOTS = (EXPERTS, ROWS, WIDTH)

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
        monkeypatch.setattr(_expert_loop, "LOOP_VALUES", limit)

    return switch


def make(rng, **options):
    experts = Experts(EXPERTS, INNER, **options)
    experts.build(SLOTS)
    # Where the device is a GPU the loop is not taken.
    experts._on_cpu = True
    return randomize(experts, rng)


def outputs_and_gradients(experts, slots, gates, mode, seed=None):
    """Of the outputs, the slots, the gates and all weights."""
    x = keras.Variable(slots, dtype=experts.compute_dtype)
    g = keras.Variable(gates)
    upstream = np.linspace(-1, 1, slots.size).reshape(slots.shape)

    def run():
        return experts(x * 1.0, gates=g * 1.0, dropout_seed=seed)

    def loss():
        return ops.sum(ops.cast(run(), "float32") * upstream)

    variables = [x, g, *experts.trainable_variables]
    # Times 1: a layer is given tensors, not variables.
    return [to_numpy(run()), *gradients(loss, variables, mode)]


@unlooped
@MODES
@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_loop_agrees_with_all_at_once(rng, loops, mode, use_bias, dropout):
    experts = make(rng, use_bias=use_bias, dropout=dropout)
    slots = rng.normal(size=SLOTS).astype("float32")
    gates = rng.uniform(size=(EXPERTS, ROWS, 1)).astype("float32")
    seed = None
    if dropout:
        seed = keras.random.SeedGenerator(3).next()
    found = {}
    for on in (False, True):
        loops(on)
        found[on] = outputs_and_gradients(experts, slots, gates, mode, seed)
    for at_once, in_turn in zip(found[False], found[True]):
        np.testing.assert_allclose(in_turn, at_once, rtol=1e-5, atol=1e-5)


@unlooped
def test_loop_agrees_in_half_precision(rng, loops):
    experts = make(rng, use_bias=True, dtype="mixed_bfloat16")
    slots = rng.normal(size=SLOTS).astype("float32")
    gates = rng.uniform(size=(EXPERTS, ROWS, 1)).astype("float32")
    loops(False)
    at_once = outputs_and_gradients(experts, slots, gates, "xla")
    loops(True)
    in_turn = outputs_and_gradients(experts, slots, gates, "xla")
    for a, b in zip(at_once, in_turn):
        a, b = (np.asarray(x, "float32") for x in (a, b))
        np.testing.assert_allclose(b, a, atol=0.02 * np.abs(a).max())


@unlooped
def test_layer_agrees_with_padding(rng, loops):
    layer = ExpertChoiceMoE(EXPERTS, INNER)
    layer.build((None, 7, WIDTH))
    layer.experts._on_cpu = True
    randomize(layer, rng)
    tokens = keras.Variable(rng.normal(size=(3, 7, WIDTH)))
    mask = np.arange(7) < [[7], [4], [0]]

    def loss():
        outputs = layer(tokens * 1.0, padding_mask=mask)
        return ops.sum(ops.square(outputs))

    variables = [tokens, *layer.trainable_variables]
    loops(False)
    at_once = gradients(loss, variables, "xla")
    loops(True)
    for a, b in zip(at_once, gradients(loss, variables, "xla")):
        assert np.isfinite(b).all()
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5)


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
    ("shape", "expected"),
    [
        ((16, 416, 384), {"jax": True, "tensorflow": True}),
        ((64, 128, 384), {"jax": True, "tensorflow": False}),
        ((16, 104, 384), {}),
        ((16, None, 384), {}),
    ],
    ids=["large", "many experts", "in the cache", "unknown batch"],
)
def test_loop_is_for_large_arrays(shape, expected):
    found = _expert_loop.takes_turns(shape, 1536)
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
