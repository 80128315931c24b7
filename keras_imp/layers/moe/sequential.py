"""Large experts on a CPU, run one after the other.

One product of all experts writes the slots and the hidden values of all of
them, and each of their gradients, to memory that must be fetched back. Here
what an expert computes is used up before the next one starts, and so stays in
the cache. The results are those of the products; `benchmarks/moe.py` measures
the layers.
"""

import functools
from collections.abc import Callable

import keras
from keras import ops

from keras_imp.layers._runtime.activations import activate_and_slope
from keras_imp.typing import Tensor

# Hidden values of all experts together from which the loop pays: in float32
# 16 MiB, where they do not fit into a cache.
LOOP_VALUES = 2**22
# On TensorFlow the loop is unrolled. Groups of experts were no faster than all
# at once, and each expert takes 0.1 s to compile.
MAX_UNROLLED = 16

Arrays = dict[str, Tensor]
Parts = dict[str, Tensor | list[Tensor]]


def sequential_is_faster(num_experts: int, num_slots: int, inner: int) -> bool:
    """Whether the loop is the faster form on a CPU.

    Args:
        num_experts: Number of experts.
        num_slots: Slots of each.
        inner: Width inside each.

    Returns:
        Not for what fits a cache, nor where a partitioner has the experts on
        several devices, nor on torch, which gains nothing.
    """
    backend = keras.config.backend()
    if backend == "torch" or keras.distribution.distribution() is not None:
        return False
    if backend == "tensorflow" and num_experts > MAX_UNROLLED:
        return False
    return num_experts * num_slots * inner >= LOOP_VALUES


def run_experts_sequentially(
    tokens: Tensor, arrays: Arrays, activation: str = "gelu_tanh"
) -> Tensor:
    """Sum over the slots of each token of what the experts make of it.

    Args:
        tokens: Shape `(n, d)`.
        arrays: With the experts first: `rows`, the token in each slot, int32,
            `(e, c)`; `gates`, the factors of the outputs, float32,
            `(e, c, 1)`; the weights, `expand` `(e, d, h)`, `contract`
            `(e, h, d)` and, if there are any, `expand_bias` `(e, 1, h)` and
            `contract_bias` `(e, 1, d)`; for a dropout after the activation
            its factors, `keep` `(e, c, h)`.
        activation: One of `ACTIVATIONS`.

    Returns:
        Shape and dtype of `tokens`.
    """
    names = list(arrays)
    forward = functools.partial(_forward, activation=activation)
    backward = functools.partial(_backward, activation=activation)

    @ops.custom_gradient
    def run(tokens, *stacked):
        parts = dict(zip(names, map(_split, stacked)))
        sums, kept = _each(forward, {"slots": tokens}, parts)

        def gradient(upstream):
            sums, found = _each(
                backward,
                {"slots": tokens, "upstream": upstream},
                {**parts, **kept},
            )
            # None for what is drawn or chosen, not learned.
            stacked = (
                _join(found[name]) if name in found else None for name in names
            )
            return (sums, *stacked)

        return sums, gradient

    return run(tokens, *arrays.values())


def _forward(expert: Arrays, activation: str) -> tuple[Tensor, Arrays]:
    """One expert's outputs times their gates, and what its gradients need."""
    hidden = ops.matmul(expert["slots"], expert["expand"])
    if "expand_bias" in expert:
        hidden = hidden + expert["expand_bias"]
    active, _ = _activate(hidden, expert, activation)
    plain = ops.matmul(active, expert["contract"])
    if "contract_bias" in expert:
        plain = plain + expert["contract_bias"]
    outputs = plain * ops.cast(expert["gates"], plain.dtype)
    return outputs, {"hidden": hidden, "plain": plain}


def _backward(expert: Arrays, activation: str) -> tuple[Tensor, Arrays]:
    """Gradients of one expert's slots, and of its arrays."""
    upstream = expert["upstream"]
    # In float32: a gate is a float32 number.
    products = ops.cast(upstream * expert["plain"], "float32")
    gates = ops.sum(products, axis=-1, keepdims=True)
    upstream = upstream * ops.cast(expert["gates"], upstream.dtype)
    active, slope = _activate(expert["hidden"], expert, activation)
    down = ops.matmul(upstream, _transpose(expert["contract"])) * slope
    gradients = {
        "gates": gates,
        "expand": ops.matmul(_transpose(expert["slots"]), down),
        "contract": ops.matmul(_transpose(active), upstream),
    }
    if "expand_bias" in expert:
        gradients["expand_bias"] = ops.sum(down, axis=0, keepdims=True)
        gradients["contract_bias"] = ops.sum(upstream, axis=0, keepdims=True)
    return ops.matmul(down, _transpose(expert["expand"])), gradients


def _activate(
    hidden: Tensor, expert: Arrays, activation: str
) -> tuple[Tensor, Tensor]:
    """Values after activation and dropout, and the slopes of both."""
    active, slope = activate_and_slope(hidden, activation)
    if "keep" in expert:
        return active * expert["keep"], slope * expert["keep"]
    return active, slope


def _each(
    function: Callable[[Arrays], tuple[Tensor, Arrays]],
    tables: Arrays,
    parts: Parts,
) -> tuple[Tensor, Parts]:
    """Call the function for each expert and sum what it returns, by token.

    Args:
        function: From an expert's arrays to the values of its slots, which are
            summed, and others, which are kept by expert.
        tables: Arrays by token, of which an expert gets its rows.
        parts: Arrays by expert, as `_split` returns them.

    Returns:
        The sums, as large as a table; what is kept.
    """
    table = tables["slots"]
    if keras.config.backend() == "jax":

        def add(sums, expert):
            rows = expert["rows"]
            values, kept = function(expert | _fetch(tables, rows))
            return ops.scatter_update(sums, rows[:, None], values, "add"), kept

        return ops.scan(add, ops.zeros_like(table), parts)
    # At once, since to fetch and add in turn is not faster on TensorFlow.
    rows = ops.stack(parts["rows"])
    fetched = {k: ops.unstack(v) for k, v in _fetch(tables, rows).items()}
    arrays = {**parts, **fetched}
    values, kept = zip(
        *(function(dict(zip(arrays, x))) for x in zip(*arrays.values()))
    )
    indices = ops.reshape(rows, (-1, 1))
    sums = ops.scatter(indices, ops.concatenate(values), ops.shape(table))
    return sums, {name: [x[name] for x in kept] for name in kept[0]}


def _fetch(tables: Arrays, rows: Tensor) -> Arrays:
    return {k: ops.take(table, rows, axis=0) for k, table in tables.items()}


def _split(array: Tensor) -> Tensor | list[Tensor]:
    """By expert; the loop of JAX takes an array as it is."""
    return array if keras.config.backend() == "jax" else ops.unstack(array)


def _join(parts: Tensor | list[Tensor]) -> Tensor:
    return parts if keras.config.backend() == "jax" else ops.stack(parts)


def _transpose(x: Tensor) -> Tensor:
    return ops.swapaxes(x, -1, -2)
