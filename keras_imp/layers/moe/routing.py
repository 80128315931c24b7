"""Who goes where: pure functions from router logits to experts' slots.

No weights, no experts: `experts.py` has those. What comes of it is in
`statistics.py`. Every function works on groups: tokens compete for an expert's
slots inside their group only.

Shape legend: g groups, s tokens of a group, e experts, c slots of an expert.
"""

import math
from typing import NamedTuple

import numpy as np
from keras import ops

from keras_imp.layers._runtime.backend_ops import top_k
from keras_imp.typing import Tensor


class Assignment(NamedTuple):
    """The tokens in the slots of each expert.

    Attributes:
        tokens: Index of a token in its group, int32, shape `(g, e, c)`.
        gates: Weight of the expert's output for that token, float32, shape
            `(g, e, c)`; 0 in an empty slot.
        filled: Whether a slot holds a token, bool, shape `(g, e, c)`. An empty
            slot's `tokens` is any valid index.
    """

    tokens: Tensor
    gates: Tensor
    filled: Tensor


def expert_capacity(
    num_tokens: int,
    num_experts: int,
    capacity_factor: float,
    variant: str = "fixed",
) -> int:
    """Slots that each expert has for a group of tokens.

    Args:
        num_tokens: Tokens of the group.
        num_experts: Number of experts.
        capacity_factor: Expert capacity factor: slots of all experts
            together, per token.
        variant: `"fixed"`: `max(1, ceil(capacity_factor * tokens / experts))`,
            and never more than the tokens; `"imp"`: `round` instead, where 0
            means that the layer passes nothing.

    Returns:
        The number of slots.

    Example:
        >>> from keras_imp.layers.moe.routing import expert_capacity
        >>> expert_capacity(5, 4, 1.0), expert_capacity(8, 16, 1.0, "imp")
        (2, 0)

    Reference:
        docs/method.md, Mixture of experts.
    """
    # 1.1 * 10 / 11 is a little above 1 in floating point: not two slots.
    exact = round(capacity_factor * num_tokens / num_experts, 9)
    slots = round(exact) if variant == "imp" else max(1, math.ceil(exact))
    return min(slots, num_tokens)


def live_slots(
    padding_mask: Tensor, num_experts: int, capacity_factor: float
) -> Tensor:
    """Slots in use of each group: the capacity of its real tokens alone.

    Without it, padding would enlarge the capacity, and an example's output
    would depend on how far it was padded.

    Args:
        padding_mask: True where a token is real, shape `(g, s)`.
        num_experts: Number of experts.
        capacity_factor: Expert capacity factor: slots of all experts
            together, per token.

    Returns:
        int32, shape `(g,)`.

    Example:
        >>> import keras, numpy as np
        >>> from keras_imp.layers.moe.routing import live_slots
        >>> mask = keras.ops.array([[True] * 4, [True] + [False] * 3])
        >>> np.asarray(live_slots(mask, 2, 1.0)).tolist()
        [2, 1]
    """
    # A table instead of arithmetic on the device, where 1.1 * 10 / 11 would
    # round in another way on every backend.
    table = [
        expert_capacity(n, num_experts, capacity_factor)
        for n in range(padding_mask.shape[-1] + 1)
    ]
    real = ops.sum(ops.cast(padding_mask, "int32"), axis=-1)
    return ops.take(np.array(table, "int32"), real)


def expert_choice(
    probabilities: Tensor,
    capacity: int,
    padding_mask: Tensor | None = None,
    slots: Tensor | None = None,
) -> Assignment:
    """Let each expert take the tokens that want it most.

    Args:
        probabilities: Softmax over experts, float32, shape `(g, s, e)`.
        capacity: Slots of each expert.
        padding_mask: True where a token is real, shape `(g, s)`.
        slots: Slots in use of each group, shape `(g,)`; see `live_slots`.

    Returns:
        The assignment; gates are the probabilities, not renormalized. Equal
        probabilities go to the lower token index.

    Example:
        >>> import keras, numpy as np
        >>> from keras_imp.layers.moe.routing import expert_choice
        >>> p = keras.ops.array([[[0.6, 0.4], [0.7, 0.3], [0.2, 0.8]]])
        >>> np.asarray(expert_choice(p, capacity=2).tokens).tolist()
        [[[1, 0], [2, 0]]]

    Reference:
        docs/method.md, Mixture of experts;
        [Zhou et al., 2022](https://arxiv.org/abs/2202.09368).
    """
    scores = ops.transpose(probabilities, (0, 2, 1))
    if padding_mask is not None:
        real = ops.cast(padding_mask, "bool")[:, None, :]
        scores = ops.where(real, scores, -1.0)
    gates, tokens = top_k(scores, capacity)
    # Below 0 is padding; a NaN is not above it either.
    filled = _in_use(gates >= 0.0, slots)
    return Assignment(tokens, ops.where(filled, gates, 0.0), filled)


def choose_experts(
    probabilities: Tensor,
    num_selected: int,
    padding_mask: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """Let each token rank the experts that it wants.

    Args:
        probabilities: Softmax over experts, float32, shape `(g, s, e)`.
        num_selected: Experts that a token chooses.
        padding_mask: True where a token is real, shape `(g, s)`.
        bias: Added to the probabilities for this choice only, shape `(e,)`;
            see `balanced_bias`.

    Returns:
        Rank of the expert among the token's choices, 0 for the first, -1 if
        not chosen or padding; int32, shape `(g, s, e)`. Equal probabilities
        go to the lower expert index.

    Example:
        >>> import keras, numpy as np
        >>> from keras_imp.layers.moe.routing import choose_experts
        >>> p = keras.ops.array([[[0.2, 0.5, 0.3]]])
        >>> np.asarray(choose_experts(p, num_selected=2)).tolist()
        [[[-1, 0, 1]]]
    """
    scores = probabilities if bias is None else probabilities + bias
    _, chosen = top_k(ops.stop_gradient(scores), num_selected)
    experts = ops.arange(probabilities.shape[-1], dtype="int32")
    ranks = ops.arange(1, num_selected + 1, dtype="int32")
    hits = ops.cast(chosen[..., None] == experts, "int32")  # g s k e
    choices = ops.sum(hits * ranks[:, None], axis=-2) - 1
    if padding_mask is not None:
        choices = ops.where(
            ops.cast(padding_mask, "bool")[..., None], choices, -1
        )
    return choices


def token_choice(
    probabilities: Tensor,
    choices: Tensor,
    capacity: int,
    batch_priority: bool = False,
    slots: Tensor | None = None,
) -> Assignment:
    """Give out slots in turn; a choice that finds its expert full is dropped.

    First all first choices in token order, then all second choices, and so on.

    Args:
        probabilities: Softmax over experts, float32, shape `(g, s, e)`.
        choices: From `choose_experts`.
        capacity: Slots of each expert.
        batch_priority: Whether tokens come in descending order of their
            highest probability instead of their position.
        slots: Slots in use of each group, shape `(g,)`; see `live_slots`.

    Returns:
        The assignment; gates are the probabilities, not renormalized.

    Example:
        >>> import keras, numpy as np
        >>> from keras_imp.layers.moe import routing
        >>> p = keras.ops.array([[[0.6, 0.4], [0.9, 0.1], [0.2, 0.8]]])
        >>> chosen = routing.choose_experts(p, 1)
        >>> assignment = routing.token_choice(p, chosen, capacity=1)
        >>> np.asarray(assignment.tokens).tolist()
        [[[0], [2]]]

    Reference:
        docs/method.md, Mixture of experts;
        [Switch Transformer](https://arxiv.org/abs/2101.03961);
        batch priority: [Riquelme et al., 2021](https://arxiv.org/abs/2106.05974).
    """
    num_tokens = probabilities.shape[1]
    num_ranks = probabilities.shape[2]
    if batch_priority:
        turn = _turn_by_priority(probabilities)
    else:
        turn = ops.arange(num_tokens)[None, :, None]
    # One number per (token, expert) that says when its turn is: the slots of
    # an expert go to its lowest numbers. Exact in float32 up to 16M.
    last = num_ranks * num_tokens
    turns = ops.where(choices >= 0, choices * num_tokens + turn, last)
    turns = ops.cast(ops.transpose(turns, (0, 2, 1)), "float32")
    negative, tokens = top_k(-turns, capacity)
    filled = _in_use(negative > -last, slots)
    gates = ops.take_along_axis(
        ops.transpose(probabilities, (0, 2, 1)), tokens, axis=-1
    )
    return Assignment(tokens, ops.where(filled, gates, 0.0), filled)


def soft_routing(
    logits: Tensor, padding_mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Mix all tokens into each slot, and all slots into each token.

    Args:
        logits: float32, shape `(g, s, n)`, n slots of all experts.
        padding_mask: True where a token is real, shape `(g, s)`.

    Returns:
        Dispatch weights (softmax over tokens) and combine weights (softmax
        over slots), float32, shape `(g, s, n)`; 0 for padding.

    Example:
        >>> import keras
        >>> from keras_imp.layers.moe.routing import soft_routing
        >>> dispatch, combine = soft_routing(keras.ops.zeros((1, 4, 2)))
        >>> float(dispatch[0, 0, 0]), float(combine[0, 0, 0])
        (0.25, 0.5)

    Reference:
        docs/method.md, Mixture of experts;
        [Puigcerver et al., 2023](https://arxiv.org/abs/2308.00951).
    """
    if padding_mask is None:
        return ops.softmax(logits, axis=1), ops.softmax(logits, axis=2)
    real = ops.cast(padding_mask, "bool")[..., None]
    # Finite, so that a group of only padding has no NaN.
    dispatch = ops.softmax(ops.where(real, logits, -1e10), axis=1)
    combine = ops.softmax(logits, axis=2)
    return ops.where(real, dispatch, 0.0), ops.where(real, combine, 0.0)


def balanced_bias(bias: Tensor, load: Tensor, rate: float) -> Tensor:
    """Nudge each expert's bias towards an equal load, without a loss.

    Args:
        bias: Bias of each expert, float32, shape `(e,)`.
        load: Choices of each expert in this step, float32, shape `(e,)`.
        rate: Size of the nudge.

    Returns:
        The new bias: up for an expert with less than the mean load.

    Example:
        >>> import keras, numpy as np
        >>> from keras_imp.layers.moe.routing import balanced_bias
        >>> bias = keras.ops.zeros((2,))
        >>> np.asarray(balanced_bias(
        ...     bias, keras.ops.array([3.0, 1.0]), 0.5)).tolist()
        [-0.5, 0.5]

    Reference:
        [Wang et al., 2024](https://arxiv.org/abs/2408.15664), algorithm 1.
    """
    return bias + rate * ops.sign(ops.mean(load) - load)


def _in_use(filled: Tensor, slots: Tensor | None) -> Tensor:
    """Empty the slots past those in use: (g, e, c)."""
    if slots is None:
        return filled
    places = ops.arange(filled.shape[-1])
    return ops.logical_and(filled, places < slots[:, None, None])


def _turn_by_priority(probabilities: Tensor) -> Tensor:
    """Place of each token when sorted by its highest probability: (g, s, 1)."""
    highest = ops.max(ops.stop_gradient(probabilities), axis=-1)
    order = top_k(highest, highest.shape[-1])[1]
    return ops.argsort(order, axis=-1)[..., None]
