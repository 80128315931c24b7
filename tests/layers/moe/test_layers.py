"""The routed layers: their mathematics, their borders and their errors."""

import re

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_imp.layers import ExpertChoiceMoE, SoftMoE, TokenChoiceMoE
from tests.helpers import layer_oracles as oracles
from tests.helpers import routing_oracle
from tests.helpers.compiled import in_one
from tests.helpers.gradients import gradients
from tests.helpers.weights import (
    assert_near,
    copy_weights,
    named_weights,
    randomize,
    to_numpy,
)

WIDTH, INNER, EXPERTS, TOKENS = 6, 11, 3, 7
LENGTHS = np.array([[7], [4], [1]])
MASK = np.arange(TOKENS) < LENGTHS

ALL = pytest.mark.parametrize(
    "layer", [ExpertChoiceMoE, TokenChoiceMoE, SoftMoE]
)
CHOICES = pytest.mark.parametrize("layer", [ExpertChoiceMoE, TokenChoiceMoE])


def make(layer=ExpertChoiceMoE, rng=None, **options):
    if layer is SoftMoE:
        options.setdefault("slots_per_expert", 2)
    built = layer(EXPERTS, INNER, **options)
    built.build((None, TOKENS, WIDTH))
    return randomize(built, rng or np.random.default_rng(0))


def tokens(rng, batch=3, length=TOKENS):
    return rng.normal(size=(batch, length, WIDTH)).astype("float32")


def probabilities(layer, x):
    return oracles.softmax(
        x.astype("float64") @ named_weights(layer)["router_kernel"]
    )


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dispatch", ["gather", "one_hot"])
@pytest.mark.parametrize("factor", [0.5, 1.0, 2.3])
def test_expert_choice_agrees_with_the_oracle(rng, factor, dispatch, masked):
    layer = make(capacity_factor=factor, dispatch=dispatch, rng=rng)
    x = tokens(rng)
    mask = MASK if masked else np.ones_like(MASK)
    gates = routing_oracle.expert_choice(probabilities(layer, x), mask, factor)
    expected = routing_oracle.mixture(
        x.astype("float64"), gates, named_weights(layer)
    )
    outputs, report = layer(
        x, padding_mask=mask if masked else None, return_report=True
    )
    assert_near(outputs, expected, oracles.FLOAT32_TOLERANCE)
    assert_near(report.weights, gates, oracles.FLOAT32_TOLERANCE)


@pytest.mark.parametrize("selected", [1, 2])
@pytest.mark.parametrize("priority", [False, True])
def test_token_choice_agrees_with_the_oracle(rng, selected, priority):
    layer = make(
        TokenChoiceMoE,
        num_selected=selected,
        batch_priority=priority,
        capacity_factor=1.5,
        router_z_loss=0.0,
        load_loss_weight=0.5,
        rng=rng,
    )
    x = tokens(rng)
    gates, loss = routing_oracle.token_choice(
        probabilities(layer, x), MASK, selected, priority, 1.5
    )
    expected = routing_oracle.mixture(
        x.astype("float64"), gates, named_weights(layer)
    )
    outputs, report = layer(x, padding_mask=MASK, return_report=True)
    assert_near(outputs, expected, oracles.FLOAT32_TOLERANCE)
    assert_near(report.loss, 0.5 * loss, oracles.FLOAT32_TOLERANCE)


def test_soft_routing_agrees_with_the_oracle(rng):
    layer = make(SoftMoE, rng=rng)
    x = tokens(rng)
    expected = routing_oracle.soft(
        x.astype("float64"), named_weights(layer), 2, MASK
    )
    assert_near(
        layer(x, padding_mask=MASK), expected, oracles.FLOAT32_TOLERANCE
    )


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 8), st.integers(1, 5), st.floats(0.4, 2.5), st.booleans())
def test_gradients_agree_with_differences(length, experts, factor, ties):
    rng = np.random.default_rng(length + 10 * experts)
    layer = ExpertChoiceMoE(experts, 5, capacity_factor=factor)
    layer.build((None, length, WIDTH))
    randomize(layer, rng)
    if ties:
        layer.router.assign(ops.zeros(layer.router.shape))
    x = tokens(rng, 2, length)
    target = rng.normal(size=x.shape)
    found = gradients(
        lambda: ops.sum(
            layer(x) * ops.convert_to_tensor(target.astype("float32"))
        ),
        layer.trainable_variables,
    )
    # Selection fixed, the output is smooth: differences of the float64 oracle.
    # The layer's own selection, since TensorFlow's softmax of a single expert
    # is not exactly 1: where all tie, rounding decides there.
    weights = named_weights(layer)
    taken = to_numpy(layer(x, return_report=True)[1].weights)
    for variable, gradient in zip(
        layer.trainable_variables, found, strict=True
    ):
        name = "router_kernel"
        if variable is not layer.router:
            name = f"experts/{variable.name}"
        index = tuple(rng.integers(n) for n in variable.shape)
        step = np.zeros(variable.shape)
        step[index] = 1e-4
        sides = []
        for sign in (1, -1):
            moved = {**weights, name: weights[name] + sign * step}
            gates = oracles.softmax(x @ moved["router_kernel"]) * (taken > 0)
            y = routing_oracle.mixture(x.astype("float64"), gates, moved)
            sides.append((y * target).sum())
        expected = (sides[0] - sides[1]) / 2e-4
        np.testing.assert_allclose(
            gradient[index], expected, rtol=2e-3, atol=2e-3
        )


@ALL
def test_an_example_is_the_same_alone_and_with_padding(rng, layer):
    layer = in_one(make(layer, rng=rng))
    x = tokens(rng, 8)
    mask = np.ones((8, TOKENS), bool)
    together = to_numpy(layer(x, padding_mask=mask))
    longer = np.concatenate([x, 100 * tokens(rng, 8, 16)], axis=1)
    longer_mask = np.arange(TOKENS + 16) < np.full((8, 1), TOKENS)
    padded = to_numpy(layer(longer, padding_mask=longer_mask))
    for i in range(8):
        alone = to_numpy(layer(x[i : i + 1]))[0]
        np.testing.assert_allclose(alone, together[i], atol=1e-6, rtol=1e-6)
        np.testing.assert_allclose(
            alone, padded[i, :TOKENS], atol=1e-6, rtol=1e-6
        )
    assert not padded[:, TOKENS:].any()


@ALL
def test_only_padding_gives_zeros_and_finite_gradients(rng, layer):
    layer = make(layer, rng=rng, router_z_loss=0.1)
    x, mask = tokens(rng, 2), np.zeros((2, TOKENS), bool)
    assert not to_numpy(in_one(layer)(x, padding_mask=mask)).any()

    def loss():
        outputs, report = layer(x, padding_mask=mask, return_report=True)
        return ops.sum(outputs) + report.loss

    for gradient in gradients(loss, layer.trainable_variables):
        np.testing.assert_array_equal(gradient, np.zeros_like(gradient))


@ALL
def test_a_nan_stays_in_its_example(rng, layer):
    layer = make(layer, rng=rng)
    x = tokens(rng)
    good = to_numpy(layer(x))
    x[1, 2] = np.nan
    outputs = to_numpy(layer(x))
    np.testing.assert_array_equal(outputs[[0, 2]], good[[0, 2]])


@CHOICES
def test_groups_over_examples_are_filled_up_and_agree(rng, layer):
    # One group of all tokens is one long example.
    layer_of_all = in_one(make(layer, group_size="batch"))
    alone = in_one(make(layer))
    x = tokens(rng)
    expected = to_numpy(alone(x.reshape(1, -1, WIDTH)))
    assert_near(
        layer_of_all(x), expected.reshape(x.shape), oracles.SAME_MATH_TOLERANCE
    )
    # 21 tokens in groups of 8: the last is filled up with 3 that take no slot.
    layer_of_8 = in_one(make(layer, group_size=8))
    grouped = to_numpy(layer_of_8(x)).reshape(-1, WIDTH)
    flat = x.reshape(-1, WIDTH)
    for start in (0, 8, 16):
        part = to_numpy(alone(flat[None, start : start + 8]))[0]
        np.testing.assert_allclose(
            grouped[start : start + 8], part, atol=1e-5, rtol=1e-5
        )


def test_imp_groups_round_the_capacity_and_let_padding_compete(rng):
    layer = in_one(make(variant="imp", rng=rng))
    x = tokens(rng, 1, 3)
    # 3 tokens, 3 experts: groups of one token, round(1/3) = 0 slots.
    assert not to_numpy(layer(x)).any()
    long = tokens(rng, 1, 12)
    mask = np.arange(12)[None] < 6
    np.testing.assert_array_equal(
        to_numpy(layer(long, padding_mask=mask)), to_numpy(layer(long))
    )


@CHOICES
def test_a_shared_expert_takes_what_the_gates_leave(rng, layer):
    with_it = make(layer, shared_expert=True, rng=rng)
    plain = make(layer)
    copy_weights_by_name(with_it, plain)
    x = tokens(rng)
    routed, report = plain(x, return_report=True)
    rest = 1 - to_numpy(report.weights).sum(-1, keepdims=True)
    expected = to_numpy(routed) + rest * to_numpy(with_it.shared(x))
    assert_near(with_it(x), expected, oracles.SAME_MATH_TOLERANCE)


def copy_weights_by_name(source, target):
    target.router.assign(source.router)
    copy_weights(source.experts, target.experts)


def test_the_bias_follows_the_load_in_training_only(rng):
    layer = make(TokenChoiceMoE, balance_rate=0.1, rng=rng)
    layer.balance_bias.assign(ops.zeros((EXPERTS,)))
    x = tokens(rng)
    layer(x)
    assert not to_numpy(layer.balance_bias).any()
    layer(x, training=True)
    choices = probabilities(layer, x).argmax(-1)
    load = np.bincount(choices.ravel(), minlength=EXPERTS)
    expected = 0.1 * np.sign(load.mean() - load)
    assert_near(layer.balance_bias, expected, 1e-6)


def test_the_bias_stays_with_a_frozen_router(rng):
    layer = make(TokenChoiceMoE, balance_rate=0.1, rng=rng)
    before = to_numpy(layer.balance_bias)
    layer.trainable = False
    layer(tokens(rng), training=True)
    np.testing.assert_array_equal(to_numpy(layer.balance_bias), before)


@ALL
def test_losses_are_added_in_training_only(rng, layer):
    layer = make(layer, router_z_loss=0.5, rng=rng)
    x = tokens(rng)
    layer(x)
    assert layer.losses == []
    layer(x, training=True)
    (loss,) = layer.losses
    _, report = layer(x, return_report=True)
    assert_near(loss, to_numpy(report.loss), 1e-6)


def test_jitter_and_dropout_are_for_training_and_follow_the_seed(rng):
    x = tokens(rng)
    options = {"router_jitter": 0.9, "dropout": 0.5, "seed": 5}
    first, second = make(**options), make(**options)
    np.testing.assert_array_equal(to_numpy(first(x)), to_numpy(make()(x)))
    trained = to_numpy(first(x, training=True))
    np.testing.assert_array_equal(trained, to_numpy(second(x, training=True)))
    assert np.abs(trained - to_numpy(first(x, training=True))).max() > 1e-3


def test_the_router_stays_in_float32_under_mixed_precision(rng):
    layer = make(dtype="mixed_bfloat16", rng=rng)
    x = tokens(rng)
    outputs, report = layer(x, return_report=True)
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    # The input is bfloat16; the router's product is not.
    rounded = to_numpy(ops.cast(ops.cast(x, "bfloat16"), "float32"))
    gates = routing_oracle.expert_choice(
        probabilities(layer, rounded), np.ones_like(MASK), 1.0
    )
    assert_near(report.weights, gates, oracles.FLOAT32_TOLERANCE)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"num_experts": 0},
            "`num_experts` must be greater than 0. Received: num_experts=0.",
        ),
        (
            {"num_experts": -1},
            "`num_experts` must be greater than 0. Received: num_experts=-1.",
        ),
        (
            {"capacity_factor": 0.0},
            "`capacity_factor` must be greater than 0. Received: "
            "capacity_factor=0.0.",
        ),
        (
            {"group_size": 0},
            "`group_size` must be None (each example alone), a number of "
            'tokens, or "batch". Received: group_size=0.',
        ),
        (
            {"router_z_loss": -1.0},
            "`router_z_loss` must not be negative. Received: "
            "router_z_loss=-1.0.",
        ),
    ],
)
def test_bad_arguments(arguments, text):
    options = {"num_experts": 2, "intermediate_dim": 4, **arguments}
    with pytest.raises(ValueError, match=re.escape(text)):
        ExpertChoiceMoE(**options)


def test_num_selected_must_fit():
    text = (
        "`num_selected` must be in [1, num_experts]. Received: "
        "num_selected=3, num_experts=2."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        TokenChoiceMoE(2, 4, num_selected=3)


def test_soft_refuses_what_has_no_effect():
    text = (
        "`capacity_factor` must not be given to SoftMoE: it has no effect "
        "there. Received: capacity_factor=2.0. Set `slots_per_expert`."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        SoftMoE(2, 4, capacity_factor=2.0)


@pytest.mark.parametrize(
    ("layer", "options"),
    [
        (ExpertChoiceMoE, {}),
        (SoftMoE, {}),
        (TokenChoiceMoE, {"batch_priority": True}),
    ],
)
def test_a_causal_mask_is_refused_where_the_future_is_seen(rng, layer, options):
    text = (
        f"{layer.__name__} must not be used under a causal mask: which tokens "
        "it serves depends on later tokens. Received: use_causal_mask=True. "
        "Use TokenChoiceMoE without `batch_priority`."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        make(layer, **options)(tokens(rng), use_causal_mask=True)


def test_token_choice_does_not_see_the_future(rng):
    layer = make(TokenChoiceMoE, capacity_factor=1.0, rng=rng)
    x = tokens(rng)
    before = to_numpy(layer(x, use_causal_mask=True))
    x[:, 4:] = tokens(rng)[:, 4:]
    after = to_numpy(layer(x, use_causal_mask=True))
    np.testing.assert_allclose(before[:, :4], after[:, :4], atol=1e-6)


def test_a_mask_of_pairs_is_refused(rng):
    text = "`padding_mask` must have the shape (batch, tokens)."
    with pytest.raises(ValueError, match=re.escape(text)):
        make()(tokens(rng), padding_mask=np.ones((3, TOKENS, TOKENS), bool))


def test_a_group_of_unknown_size_is_refused():
    text = "The size of a group must be known when the model is built"
    layer = make()
    with pytest.raises(ValueError, match=re.escape(text)):
        layer._group_size(keras.KerasTensor((2, None, WIDTH)))
