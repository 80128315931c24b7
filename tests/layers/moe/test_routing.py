"""Who goes where, against the worked examples and slow loops."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_imp.layers._runtime.backend_ops import top_k
from keras_imp.layers.moe import routing
from keras_imp.layers.moe.statistics import (
    load_loss,
    router_z_loss,
    routing_statistics,
)
from tests.helpers import routing_oracle as oracle
from tests.helpers.weights import assert_near, to_numpy

EXAMPLE_A = np.array([[[2, 0], [1, 0], [0.5, 0], [0, 1]]], "float32")
VALUES_A = np.array([1.0, 2.0, 3.0, 4.0])
EXAMPLE_B = np.array(
    [[[0.6, 0.3, 0.1], [0.5, 0.2, 0.3], [0.4, 0.1, 0.5]]], "float32"
)


def softmax(logits):
    return ops.softmax(ops.convert_to_tensor(logits), axis=-1)


def outputs_a(assignment):
    """Y of example A: experts 2x and -x on scalars."""
    result = np.zeros(4)
    tokens, gates = to_numpy(assignment.tokens), to_numpy(assignment.gates)
    for expert, slope in enumerate((2.0, -1.0)):
        for token, gate in zip(tokens[0, expert], gates[0, expert]):
            result[token] += gate * slope * VALUES_A[token]
    return result


@pytest.mark.parametrize(
    ("capacity", "chosen", "expected", "left_behind", "confidence"),
    [
        (2, [[0, 1], [3, 2]], [1.7616, 2.9242, -1.1326, -2.9242], 0.0, 0.6801),
        (1, [[0], [3]], [1.7616, 0.0, 0.0, -2.9242], 0.5, 0.8059),
        (
            3,
            [[0, 1, 2], [3, 2, 1]],
            [1.7616, 2.3864, 2.6021, -2.9242],
            0.0,
            0.6020,
        ),
    ],
)
def test_worked_example_a(capacity, chosen, expected, left_behind, confidence):
    assignment = routing.expert_choice(softmax(EXAMPLE_A), capacity)
    assert to_numpy(assignment.tokens)[0].tolist() == chosen
    np.testing.assert_allclose(outputs_a(assignment), expected, atol=1e-4)
    gates = oracle.token_gates(assignment, 4)
    figures = routing_statistics(ops.convert_to_tensor(gates))
    assert_near(figures.left_behind, left_behind, 1e-6)
    assert_near(figures.confidence, confidence, 1e-4)


def test_z_loss_of_example_a():
    assert_near(router_z_loss(ops.convert_to_tensor(EXAMPLE_A)), 2.2305, 1e-4)


def test_worked_example_b_serves_one_token_twice_and_one_not_at_all():
    assignment = routing.expert_choice(ops.convert_to_tensor(EXAMPLE_B), 1)
    assert to_numpy(assignment.tokens)[0].tolist() == [[0], [0], [2]]
    assert_near(assignment.gates[0, :, 0], [0.6, 0.3, 0.5], 1e-6)


def test_tokens_choose_numbers_of_example_a():
    p = softmax(EXAMPLE_A)
    choices = routing.choose_experts(p, 1)
    assert to_numpy(choices)[0, :, 0].tolist() == [0, 0, 0, -1]
    assert_near(load_loss(p, choices), 1.1258, 1e-4)
    assignment = routing.token_choice(p, choices, capacity=2)
    # e0 is full after t0 and t1; e1 has one free slot.
    assert to_numpy(assignment.tokens)[0, 0].tolist() == [0, 1]
    assert to_numpy(assignment.filled)[0].tolist() == [
        [True, True],
        [True, False],
    ]


def test_uniform_routing_has_a_load_loss_of_one():
    p = ops.full((1, 4, 4), 0.25)
    choices = ops.convert_to_tensor(np.eye(4, dtype="int32")[None] - 1)
    assert_near(load_loss(p, choices), 1.0, 1e-6)


def test_batch_priority_serves_the_surest_token_first():
    p = ops.convert_to_tensor(
        np.array([[[0.6, 0.4], [0.9, 0.1], [0.7, 0.3]]], "float32")
    )
    choices = routing.choose_experts(p, 1)
    in_order = routing.token_choice(p, choices, 1)
    by_priority = routing.token_choice(p, choices, 1, batch_priority=True)
    assert to_numpy(in_order.tokens)[0, 0].tolist() == [0]
    assert to_numpy(by_priority.tokens)[0, 0].tolist() == [1]


def test_first_choices_come_before_second_ones():
    p = np.array([[[0.6, 0.4], [0.4, 0.6], [0.3, 0.7]]], "float32")
    p = ops.convert_to_tensor(p)
    choices = routing.choose_experts(p, 2)
    assignment = routing.token_choice(p, choices, 2)
    # e0: t0 by first choice, then t1 by second; e1: t1, t2 by first choice.
    assert to_numpy(assignment.tokens)[0].tolist() == [[0, 1], [1, 2]]


@pytest.mark.parametrize(
    ("tokens", "experts", "factor", "variant", "expected"),
    [
        (196, 16, 1.0, "fixed", 13),
        (16, 16, 1.0, "fixed", 1),
        (1, 16, 1.0, "fixed", 1),
        (10, 11, 1.1, "fixed", 1),
        (4, 2, 8.0, "fixed", 4),
        (2048, 16, 1.0, "imp", 128),
        (8, 16, 1.0, "imp", 0),
        (24, 16, 1.0, "imp", 2),
        (1, 16, 1.0, "imp", 0),
    ],
)
def test_capacity(tokens, experts, factor, variant, expected):
    assert routing.expert_capacity(tokens, experts, factor, variant) == expected


# Groups, tokens and experts, and slots per token: one of each edge, and few, as
# JAX compiles each operation for each shape. The capacity is a shape, too.
SHAPES = ((1, 1, 1), (1, 1, 4), (2, 9, 5), (3, 7, 2), (1, 4, 4))
FACTORS = st.sampled_from((0.3, 1.0, 1.9, 3.0))
PROBLEMS = st.tuples(
    st.sampled_from(SHAPES),
    st.integers(0, 2**31),  # seed
    st.booleans(),  # ties
)


def problem(sizes):
    (groups, tokens, experts), seed, ties = sizes
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(groups, tokens, experts))
    if ties:
        logits = np.round(logits)
    mask = np.arange(tokens) < rng.integers(0, tokens + 1, (groups, 1))
    e = np.exp(logits)
    p = (e / e.sum(-1, keepdims=True)).astype("float32")
    return p, mask, rng


@settings(max_examples=40, deadline=None)
@given(PROBLEMS, FACTORS)
def test_expert_choice_agrees_with_a_loop(sizes, factor):
    p, mask, _ = problem(sizes)
    capacity = routing.expert_capacity(p.shape[1], p.shape[2], factor)
    real = ops.convert_to_tensor(mask)
    slots = routing.live_slots(real, p.shape[2], factor)
    found = routing.expert_choice(
        ops.convert_to_tensor(p), capacity, real, slots
    )
    np.testing.assert_array_equal(
        oracle.token_gates(found, p.shape[1]),
        oracle.expert_choice(p, mask, factor),
    )


@settings(max_examples=40, deadline=None)
@given(PROBLEMS, st.integers(1, 3), st.booleans(), FACTORS)
def test_token_choice_agrees_with_a_loop(sizes, selected, priority, factor):
    p, mask, _ = problem(sizes)
    selected = min(selected, p.shape[2])
    capacity = routing.expert_capacity(p.shape[1], p.shape[2], factor)
    tensor, real = ops.convert_to_tensor(p), ops.convert_to_tensor(mask)
    slots = routing.live_slots(real, p.shape[2], factor)
    choices = routing.choose_experts(tensor, selected, real)
    found = routing.token_choice(tensor, choices, capacity, priority, slots)
    gates, loss = oracle.token_choice(p, mask, selected, priority, factor)
    np.testing.assert_array_equal(oracle.token_gates(found, p.shape[1]), gates)
    assert_near(load_loss(tensor, choices, real), loss, 1e-5)


def test_ties_go_to_the_lower_index():
    p = ops.full((1, 5, 3), 1 / 3)
    assignment = routing.expert_choice(p, 2)
    assert to_numpy(assignment.tokens)[0].tolist() == [[0, 1]] * 3
    choices = to_numpy(routing.choose_experts(p, 2))
    assert choices[0].tolist() == [[0, 1, -1]] * 5


def test_a_group_of_only_padding_fills_no_slot():
    mask = ops.zeros((1, 3), dtype="bool")
    slots = routing.live_slots(mask, 2, 1.0)
    assignment = routing.expert_choice(ops.full((1, 3, 2), 0.5), 2, mask, slots)
    assert not to_numpy(assignment.filled).any()
    assert not to_numpy(assignment.gates).any()
    dispatch, combine = routing.soft_routing(ops.zeros((1, 3, 4)), mask)
    assert not to_numpy(dispatch).any()
    assert not to_numpy(combine).any()


def test_the_bias_moves_towards_an_equal_load():
    bias = routing.balanced_bias(
        ops.zeros((3,)), ops.convert_to_tensor([4.0, 2.0, 0.0]), 0.1
    )
    assert_near(bias, [-0.1, 0.0, 0.1], 1e-6)


def test_the_choice_uses_the_bias_and_the_gate_does_not():
    p = ops.convert_to_tensor(np.array([[[0.6, 0.4]]], "float32"))
    bias = ops.convert_to_tensor([0.0, 0.5])
    choices = routing.choose_experts(p, 1, bias=bias)
    assignment = routing.token_choice(p, choices, 1)
    assert to_numpy(choices)[0, 0].tolist() == [-1, 0]
    assert_near(assignment.gates[0, :, 0], [0.0, 0.4], 1e-6)


def test_top_k_keeps_the_order_of_equal_values_compiled():
    layer = keras.layers.Lambda(lambda x: top_k(x, 3)[1])
    model = keras.Sequential([keras.Input((6,)), layer])
    x = np.array([[1.0, 2.0, 2.0, 0.0, 2.0, 2.0]], "float32")
    assert model.predict(x, verbose=0).tolist() == [[1, 2, 4]]
