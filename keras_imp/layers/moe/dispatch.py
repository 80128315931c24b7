"""Carry tokens to the experts' slots and the results back.

Two forms with the same results. By index: gather, then scatter-add. By product
with one-hot matrices: quadratic in the size of a group, but nothing except
matrix products, which is what a TPU is fast at. `benchmarks/moe.py` measures
both and counts their work.
"""

import keras
from keras import ops

from keras_imp.layers._runtime.backend_ops import (
    add_rows,
    take_rows,
)
from keras_imp.layers.moe.routing import Assignment
from keras_imp.typing import Tensor

# Largest group for the one-hot form on a TPU: there both forms need about the
# same time by their operations and bytes (`benchmarks/moe.py` counts them), and
# a TPU gathers more slowly than its bytes say. Not measured.
TPU_ONE_HOT_GROUP = 512


def chooses_one_hot(dispatch: str, group_size: int, on_tpu: bool) -> bool:
    """Whether tokens travel by one-hot products.

    Args:
        dispatch: `"auto"`, `"gather"` or `"one_hot"`.
        group_size: Tokens of a group.
        on_tpu: Whether the model runs on a TPU.

    Returns:
        The choice; `"auto"` takes products on a TPU up to 512 tokens.
    """
    if dispatch == "auto":
        return on_tpu and group_size <= TPU_ONE_HOT_GROUP
    return dispatch == "one_hot"


def to_slots(tokens: Tensor, assignment: Assignment, one_hot: bool) -> Tensor:
    """The tokens in the slots of each expert.

    Args:
        tokens: Shape `(g, s, d)`.
        assignment: Which token is in which slot.
        one_hot: Whether to use products instead of indices.

    Returns:
        Shape `(e, g * c, d)`.
    """
    num_experts, capacity = assignment.tokens.shape[1:]
    width = tokens.shape[-1]
    if one_hot:
        slots = ops.einsum(
            "gecs,gsd->egcd", _one_hot(tokens, assignment), tokens
        )
    elif _maps_groups():
        indices = ops.reshape(assignment.tokens, (-1, num_experts * capacity))
        slots = ops.vectorized_map(
            lambda pair: ops.take(pair[0], pair[1], axis=0), (tokens, indices)
        )
        slots = ops.reshape(slots, (-1, num_experts, capacity, width))
        slots = ops.transpose(slots, (1, 0, 2, 3))
    else:
        rows = ops.reshape(rows_by_expert(tokens, assignment), (-1,))
        slots = take_rows(_flat(tokens), rows)
    return ops.reshape(slots, (num_experts, -1, width))


def from_slots(
    slots: Tensor, tokens: Tensor, assignment: Assignment, one_hot: bool
) -> Tensor:
    """Sum over the slots that a token is in, weighted by its gates.

    Args:
        slots: Experts' outputs, shape `(e, g * c, d)`.
        tokens: What `to_slots` was given.
        assignment: Which token is in which slot.
        one_hot: Whether to use products instead of indices.

    Returns:
        Shape `(g, s, d)`; 0 for a token that is in no slot.
    """
    num_experts, capacity = assignment.tokens.shape[1:]
    width = slots.shape[-1]
    gates = ops.cast(assignment.gates, slots.dtype)
    slots = ops.reshape(slots, (num_experts, -1, capacity, width))
    if one_hot:
        combine = _one_hot(tokens, assignment) * gates[..., None]
        return ops.einsum("gecs,egcd->gsd", combine, slots)
    if _maps_groups():
        slots = ops.transpose(slots, (1, 0, 2, 3)) * gates[..., None]
        indices = ops.reshape(assignment.tokens, (-1, num_experts * capacity))
        slots = ops.reshape(slots, (-1, num_experts * capacity, width))
        return _add_in_groups(slots, indices, tokens.shape[1])
    slots = slots * ops.transpose(gates, (1, 0, 2))[..., None]
    sums = add_rows(
        _flat(slots),
        ops.reshape(rows_by_expert(tokens, assignment), (-1,)),
        ops.shape(tokens)[0] * tokens.shape[1],
    )
    return ops.reshape(sums, (-1, tokens.shape[1], width))


def rows_by_expert(tokens: Tensor, assignment: Assignment) -> Tensor:
    """Row of each slot's token among the tokens of all groups.

    The experts' products want their slots in this order: rows that are
    gathered in it need not be moved once more.

    Args:
        tokens: Shape `(g, s, d)`.
        assignment: Which token is in which slot.

    Returns:
        int32, shape `(e, g * c)`.
    """
    groups = ops.arange(ops.shape(tokens)[0], dtype="int32")[None, :, None]
    rows = ops.transpose(assignment.tokens, (1, 0, 2))
    rows = rows + groups * tokens.shape[1]
    return ops.reshape(rows, (rows.shape[0], -1))


def slot_gates(assignment: Assignment) -> Tensor:
    """Gate of each slot in the order of `rows_by_expert`.

    Args:
        assignment: Which token is in which slot.

    Returns:
        float32, shape `(e, g * c)`; 0 for an empty slot.
    """
    gates = ops.transpose(assignment.gates, (1, 0, 2))
    return ops.reshape(gates, (gates.shape[0], -1))


def token_gates(assignment: Assignment, num_tokens: int) -> Tensor:
    """The assignment seen from the tokens.

    Args:
        assignment: Which token is in which slot.
        num_tokens: Tokens of a group.

    Returns:
        Gate of each token and expert, 0 where they do not meet, float32,
        shape `(g, s, e)`.
    """
    num_experts, capacity = assignment.tokens.shape[1:]
    experts = ops.arange(num_experts, dtype="int32")[:, None]
    places = assignment.tokens + experts * num_tokens
    gates = _add_in_groups(
        ops.reshape(assignment.gates, (-1, num_experts * capacity, 1)),
        ops.reshape(places, (-1, num_experts * capacity)),
        num_experts * num_tokens,
    )
    gates = ops.reshape(gates, (-1, num_experts, num_tokens))
    return ops.transpose(gates, (0, 2, 1))


def _one_hot(tokens: Tensor, assignment: Assignment) -> Tensor:
    """1 where a filled slot holds a token: (g, e, c, s)."""
    hits = assignment.tokens[..., None] == ops.arange(
        tokens.shape[1], dtype="int32"
    )
    hits = ops.logical_and(hits, assignment.filled[..., None])
    return ops.cast(hits, tokens.dtype)


def _maps_groups() -> bool:
    # A map over groups where a partitioner is to keep each group on its
    # device. Flat rows cost less, and XLA on TensorFlow takes half a second
    # per expert to compile the gradient of a mapped take.
    return (
        keras.config.backend() == "jax"
        and keras.distribution.distribution() is not None
    )


def _add_in_groups(values: Tensor, indices: Tensor, num_tokens: int) -> Tensor:
    """Sum values at their tokens: (g, n, d) and (g, n) to (g, s, d)."""
    if _maps_groups():
        return ops.vectorized_map(
            lambda pair: ops.segment_sum(
                pair[0], pair[1], num_segments=num_tokens
            ),
            (values, indices),
        )
    groups = ops.arange(ops.shape(indices)[0], dtype="int32")
    rows = ops.reshape(indices + groups[:, None] * num_tokens, (-1,))
    sums = add_rows(_flat(values), rows, ops.shape(indices)[0] * num_tokens)
    return ops.reshape(sums, (-1, num_tokens, values.shape[-1]))


def _flat(x: Tensor) -> Tensor:
    return ops.reshape(x, (-1, x.shape[-1]))
