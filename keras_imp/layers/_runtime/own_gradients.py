"""GELU and softmax whose backward pass keeps one array.

Differentiated by itself, a scan over layers on JAX keeps what each operation
asks for: four arrays for a GELU, two for a softmax. Kept once, a step of
`benchmarks/alternatives.py` takes a sixth less time there and memory with it.
The other backends fuse them or have kernels of their own. Forward-mode
differentiation (`jax.jvp`) does not pass.
"""

import math

import keras
from keras import ops

from keras_imp.typing import Tensor


def gelu(x: Tensor) -> Tensor:
    """GELU in its tanh form.

    Args:
        x: Any float tensor.

    Returns:
        Shape and dtype of `x`.
    """
    if keras.config.backend() != "jax":
        return ops.gelu(x, approximate=True)

    @ops.custom_gradient
    def run(x):
        return gelu_and_slope(x)[0], lambda up: up * gelu_and_slope(x)[1]

    return run(x)


def gelu_and_slope(x: Tensor) -> tuple[Tensor, Tensor]:
    """GELU in its tanh form, and its derivative.

    0.5 (1 + tanh(z)) is sigmoid(2 z), which takes fewer operations.

    Args:
        x: Any float tensor.

    Returns:
        Two tensors with the shape and dtype of `x`.
    """
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


def softmax(x: Tensor) -> Tensor:
    """Softmax over the last axis.

    Args:
        x: Any float tensor.

    Returns:
        Shape and dtype of `x`.
    """
    if keras.config.backend() != "jax":
        return ops.softmax(x, axis=-1)

    @ops.custom_gradient
    def run(x):
        shares = ops.softmax(x, axis=-1)

        def gradient(up):
            mean = ops.sum(up * shares, axis=-1, keepdims=True)
            return shares * (up - mean)

        return shares, gradient

    return run(x)
