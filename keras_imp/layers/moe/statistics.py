"""What a routing came to: auxiliary losses and figures.

Shape legend: g groups, s tokens of a group, e experts.
"""

from typing import NamedTuple

from keras import ops

from keras_imp.typing import Tensor


def router_z_loss(logits: Tensor, padding_mask: Tensor | None = None) -> Tensor:
    """Mean of logsumexp(logits)^2 over the real tokens.

    Args:
        logits: float32, shape `(g, s, e)`.
        padding_mask: True where a token is real, shape `(g, s)`.

    Returns:
        A float32 scalar.

    Example:
        >>> import keras, math
        >>> from keras_imp.layers.moe.statistics import router_z_loss
        >>> loss = router_z_loss(keras.ops.zeros((1, 2, 16)))
        >>> round(float(loss), 4) == round(math.log(16) ** 2, 4)
        True

    Reference:
        docs/method.md, Mixture of experts;
        [ST-MoE](https://arxiv.org/abs/2202.08906), equation 5.
    """
    return mean_over_tokens(
        ops.square(ops.logsumexp(logits, axis=-1)), padding_mask
    )


def load_loss(
    probabilities: Tensor, choices: Tensor, padding_mask: Tensor | None = None
) -> Tensor:
    """e^2 times the mean of (fraction of choices) * (mean probability).

    1 for uniform probabilities and choices of one expert per token.

    Args:
        probabilities: Softmax over experts, float32, shape `(g, s, e)`.
        choices: From `choose_experts`.
        padding_mask: True where a token is real, shape `(g, s)`.

    Returns:
        A float32 scalar: the mean over the groups that have a real token.

    Example:
        >>> import keras
        >>> from keras_imp.layers.moe.routing import choose_experts
        >>> from keras_imp.layers.moe.statistics import load_loss
        >>> p = keras.ops.array([[[0.5, 0.5], [0.1, 0.9]]])
        >>> round(float(load_loss(p, choose_experts(p, 1))), 6)
        1.0

    Reference:
        docs/method.md, Mixture of experts;
        [Switch Transformer](https://arxiv.org/abs/2101.03961),
        equation 4.
    """
    num_experts = probabilities.shape[-1]
    chosen = ops.cast(choices >= 0, "float32")
    if padding_mask is None:
        share, mean = ops.mean(chosen, axis=1), ops.mean(probabilities, axis=1)
        return num_experts * ops.mean(ops.sum(share * mean, axis=-1))
    real = ops.cast(padding_mask, "float32")
    tokens = ops.sum(real, axis=-1, keepdims=True)
    share = ops.sum(chosen, axis=1) / ops.maximum(tokens, 1.0)
    mean = ops.sum(probabilities * real[..., None], axis=1) / ops.maximum(
        tokens, 1.0
    )
    groups = ops.sum(ops.cast(tokens > 0, "float32"))
    products = ops.sum(share * mean) / ops.maximum(groups, 1.0)
    return num_experts * products


class RoutingStatistics(NamedTuple):
    """Figures of one routed layer and batch; see `routing_statistics`."""

    load: Tensor
    importance: Tensor
    left_behind: Tensor
    confidence: Tensor


def routing_statistics(
    gates: Tensor, padding_mask: Tensor | None = None
) -> RoutingStatistics:
    """How the experts share the work.

    Args:
        gates: Gate of each token and expert, 0 where they do not meet,
            float32, shape `(batch, tokens, e)`.
        padding_mask: True where a token is real, shape `(batch, tokens)`.

    Returns:
        `load`, each expert's fraction of the (token, expert) pairs, and
        `importance`, its fraction of the gates, shape `(e,)`; `left_behind`,
        the fraction of the real tokens with no expert, and `confidence`, the
        mean gate of a pair, scalars.

    Example:
        >>> import keras
        >>> from keras_imp.layers.moe.statistics import routing_statistics
        >>> gates = keras.ops.array([[[0.6, 0.0], [0.0, 0.0]]])
        >>> result = routing_statistics(gates)
        >>> float(result.left_behind), round(float(result.confidence), 1)
        (0.5, 0.6)

    Reference:
        docs/method.md, Mixture of experts.
    """
    pairs = ops.cast(gates > 0.0, "float32")
    counts, sums = ops.sum(pairs, axis=(0, 1)), ops.sum(gates, axis=(0, 1))
    count, total = ops.sum(counts), ops.sum(sums)
    alone = ops.cast(ops.sum(pairs, axis=-1) == 0.0, "float32")
    return RoutingStatistics(
        counts / ops.maximum(count, 1.0),
        sums / ops.maximum(total, 1e-9),
        mean_over_tokens(alone, padding_mask),
        total / ops.maximum(count, 1.0),
    )


def statistics_by_layer(
    gates: Tensor, padding_mask: Tensor | None = None
) -> RoutingStatistics:
    """`routing_statistics` of each layer.

    Args:
        gates: As in `routing_statistics`, with a leading axis of layers.
        padding_mask: The same for all layers, shape `(batch, tokens)`.

    Returns:
        The figures, with a leading axis of layers.

    Example:
        >>> import keras
        >>> from keras_imp.layers.moe.statistics import statistics_by_layer
        >>> gates = keras.ops.array([[[[0.5, 0.5]]], [[[0.0, 1.0]]]])
        >>> keras.ops.convert_to_numpy(statistics_by_layer(gates).load).tolist()
        [[0.5, 0.5], [0.0, 1.0]]
    """
    layers = [
        routing_statistics(gates[layer], padding_mask)
        for layer in range(gates.shape[0])
    ]
    return RoutingStatistics(*(ops.stack(values) for values in zip(*layers)))


def mean_over_tokens(values: Tensor, padding_mask: Tensor | None) -> Tensor:
    """Mean over the real tokens of all groups.

    Args:
        values: Shape `(g, s)`.
        padding_mask: True where a token is real, shape `(g, s)`.

    Returns:
        A scalar; 0 if no token is real.

    Example:
        >>> import keras
        >>> from keras_imp.layers.moe.statistics import mean_over_tokens
        >>> mask = keras.ops.array([[True, False]])
        >>> float(mean_over_tokens(keras.ops.array([[3.0, 9.0]]), mask))
        3.0
    """
    if padding_mask is None:
        return ops.mean(values)
    real = ops.cast(padding_mask, "bool")
    count = ops.sum(ops.cast(real, values.dtype))
    return ops.sum(ops.where(real, values, 0.0)) / ops.maximum(count, 1.0)
