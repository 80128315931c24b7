"""Many experts' networks: all at once, or one after the other on a CPU.

One product of all experts writes the hidden values of all of them, and each of
their gradients, to memory that must be fetched back. In the loop an expert's
stay in the cache until they are used up. The numbers are the same;
`benchmarks/moe.py` measures the layers.
"""

from collections.abc import Callable

import keras
from keras import ops

from keras_imp.layers._own_gradients import gelu, gelu_and_slope
from keras_imp.typing import Tensor

# Hidden values of all experts together from which the loop pays: in float32
# 16 MiB, where they no longer stay in a cache.
LOOP_VALUES = 2**22
# On TensorFlow the loop is unrolled. Groups of experts were no faster than all
# at once, and each expert takes 0.1 s to compile.
MAX_UNROLLED = 16


def takes_turns(slots_shape: tuple, intermediate_dim: int) -> bool:
    """Whether the loop is the faster form on a CPU.

    Args:
        slots_shape: `(experts, rows, hidden_dim)`.
        intermediate_dim: Width inside each expert.

    Returns:
        Not for what fits a cache, nor where a partitioner has the experts on
        several devices, nor on torch, which gains nothing.
    """
    num_experts, rows = slots_shape[:2]
    backend = keras.config.backend()
    if backend == "torch" or keras.distribution.distribution() is not None:
        return False
    if backend == "tensorflow" and num_experts > MAX_UNROLLED:
        return False
    # Unknown, or a symbol of JAX, where only shapes are computed.
    if not isinstance(rows, int):
        return False
    return num_experts * rows * intermediate_dim >= LOOP_VALUES


def all_at_once(arrays: dict[str, Tensor]) -> Tensor:
    """Dense, tanh-GELU, Dense of each expert on its own slots.

    Args:
        arrays: With the experts first: `slots` `(e, n, d)`, `expand`
            `(e, d, h)`, `contract` `(e, h, d)`; and, if there are any,
            `expand_bias` `(e, 1, h)`, `contract_bias` `(e, 1, d)`, `keep`,
            the factors of a dropout after the activation, `(e, n, h)`, and
            `gates`, the factors of the outputs, float32, `(e, n, 1)`.

    Returns:
        Shape and dtype of `slots`.
    """
    outputs, *_ = _feed_forward(arrays, gelu)
    return outputs


def one_by_one(arrays: dict[str, Tensor]) -> Tensor:
    """What `all_at_once` returns, one expert after the other.

    Args:
        arrays: As there.

    Returns:
        Shape and dtype of `slots`.
    """
    names = list(arrays)

    @ops.custom_gradient
    def run(*stacked):
        parts = [_split(array) for array in stacked]
        outputs, *kept = _each(
            lambda *part: _feed_forward(
                dict(zip(names, part)), lambda x: gelu_and_slope(x)[0]
            ),
            *parts,
        )

        def gradient(upstream):
            found = _each(
                lambda upstream, hidden, plain, *part: _gradients(
                    upstream, hidden, plain, dict(zip(names, part))
                ),
                _split(upstream),
                *kept,
                *parts,
            )
            return tuple(_join(parts) for parts in found)

        return _join(outputs), gradient

    return run(*arrays.values())


def _feed_forward(
    arrays: dict[str, Tensor], activation: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs; values before the activation; outputs before the gates."""
    hidden = ops.matmul(arrays["slots"], arrays["expand"])
    if "expand_bias" in arrays:
        hidden = hidden + arrays["expand_bias"]
    active = activation(hidden)
    if "keep" in arrays:
        active = active * arrays["keep"]
    plain = ops.matmul(active, arrays["contract"])
    if "contract_bias" in arrays:
        plain = plain + arrays["contract_bias"]
    if "gates" not in arrays:
        return plain, hidden, plain
    return plain * ops.cast(arrays["gates"], plain.dtype), hidden, plain


def _gradients(
    upstream: Tensor,
    hidden: Tensor,
    plain: Tensor,
    arrays: dict[str, Tensor],
) -> tuple[Tensor, ...]:
    """Gradients of what is in `arrays`, in its order."""
    gradients = {}
    if "gates" in arrays:
        products = ops.cast(upstream * plain, "float32")
        gradients["gates"] = ops.cast(
            ops.sum(products, axis=-1, keepdims=True), arrays["gates"].dtype
        )
        upstream = upstream * ops.cast(arrays["gates"], upstream.dtype)
    active, slope = gelu_and_slope(hidden)
    if "keep" in arrays:
        active, slope = active * arrays["keep"], slope * arrays["keep"]
        # Drawn, not learned: nobody asks for it.
        gradients["keep"] = ops.zeros_like(hidden)
    down = ops.matmul(upstream, _transpose(arrays["contract"])) * slope
    gradients["slots"] = ops.matmul(down, _transpose(arrays["expand"]))
    gradients["expand"] = ops.matmul(_transpose(arrays["slots"]), down)
    gradients["contract"] = ops.matmul(_transpose(active), upstream)
    if "expand_bias" in arrays:
        gradients["expand_bias"] = ops.sum(down, axis=-2, keepdims=True)
        gradients["contract_bias"] = ops.sum(upstream, axis=-2, keepdims=True)
    return tuple(gradients[name] for name in arrays)


def _each(function: Callable, *arrays) -> tuple:
    """What the function returns, for each expert's part of the arrays."""
    if keras.config.backend() == "jax":
        return ops.map(lambda parts: function(*parts), arrays)
    return tuple(zip(*map(function, *arrays)))


def _split(array: Tensor) -> Tensor | list[Tensor]:
    """Parts for `_each`; the loop of JAX takes an array as it is."""
    if keras.config.backend() == "jax":
        return array
    return ops.unstack(array, axis=0)


def _join(parts: Tensor | tuple[Tensor, ...]) -> Tensor:
    if keras.config.backend() == "jax":
        return parts
    return ops.stack(parts, axis=0)


def _transpose(x: Tensor) -> Tensor:
    return ops.swapaxes(x, -1, -2)
