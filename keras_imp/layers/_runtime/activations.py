"""The activations between the two dense layers of a feed-forward network.

Differentiated by itself, a scan over layers on JAX keeps four arrays for a
GELU. With a gradient of its own that keeps one, a step of
`benchmarks/alternatives.py` takes a sixth less time there and memory with it.
Forward-mode differentiation (`jax.jvp`) does not pass.
"""

import math

import keras
from keras import ops

from keras_imp.typing import Tensor


def activate(x: Tensor, activation: str) -> Tensor:
    """Apply an activation.

    Args:
        x: Any float tensor.
        activation: One of `ACTIVATIONS`.

    Returns:
        Shape and dtype of `x`.

    Example:
        >>> import keras
        >>> from keras_imp.layers._runtime.activations import activate
        >>> x = keras.ops.array([2.0])
        >>> [round(float(activate(x, name)[0]), 4)
        ...     for name in ("gelu_tanh", "gelu", "quick_gelu")]
        [1.9546, 1.9545, 1.9357]
    """
    if keras.config.backend() != "jax":
        return _PLAIN[activation](x)
    and_slope = _AND_SLOPE[activation]

    @ops.custom_gradient
    def run(x):
        return and_slope(x)[0], lambda up: up * and_slope(x)[1]

    return run(x)


def activate_and_slope(x: Tensor, activation: str) -> tuple[Tensor, Tensor]:
    """An activation and its derivative.

    Args:
        x: Any float tensor.
        activation: One of `ACTIVATIONS`.

    Returns:
        Two tensors with the shape and dtype of `x`.
    """
    return _AND_SLOPE[activation](x)


def _gelu_tanh_and_slope(x: Tensor) -> tuple[Tensor, Tensor]:
    # 0.5 (1 + tanh(z)) is sigmoid(2 z), which takes fewer operations.
    linear = 2.0 * math.sqrt(2.0 / math.pi)
    cubic = 0.044715 * linear
    square = x * x
    if keras.backend.standardize_dtype(x.dtype) == "float16":
        # It overflows from 256; far below, all is settled.
        square = ops.minimum(square, 144.0)
    share = ops.sigmoid(x * (linear + cubic * square))
    active = x * share
    slope = share + active * (1.0 - share) * (linear + 3.0 * cubic * square)
    return active, slope


def _gelu_and_slope(x: Tensor) -> tuple[Tensor, Tensor]:
    share = 0.5 * (1.0 + ops.erf(x * math.sqrt(0.5)))
    # An overflow of the square is infinite, and its density 0.
    density = ops.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
    return x * share, share + x * density


def _quick_gelu_and_slope(x: Tensor) -> tuple[Tensor, Tensor]:
    share = ops.sigmoid(1.702 * x)
    active = x * share
    return active, share + 1.702 * active * (1.0 - share)


_AND_SLOPE = {
    "gelu_tanh": _gelu_tanh_and_slope,
    "gelu": _gelu_and_slope,
    "quick_gelu": _quick_gelu_and_slope,
}
_PLAIN = {
    "gelu_tanh": lambda x: ops.gelu(x, approximate=True),
    "gelu": lambda x: ops.gelu(x, approximate=False),
    "quick_gelu": lambda x: x * ops.sigmoid(1.702 * x),
}
ACTIVATIONS = tuple(_AND_SLOPE)
