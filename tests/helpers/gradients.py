"""Gradients on whatever backend runs the tests."""

import keras
import numpy as np


def gradients(function, variables, mode="eager"):
    """d function() / d variables, as NumPy arrays.

    Args:
        function: Takes nothing, reads `variables`, returns a scalar tensor.
        variables: Keras variables.
        mode: `"eager"`, `"graph"` or `"xla"`. JAX compiles in every mode (one
            operation at a time would be slower), torch in none.

    Returns:
        One array for each variable, zeros where the function does not reach.
    """
    backends = {"jax": _jax, "tensorflow": _tensorflow, "torch": _torch}
    found = backends[keras.config.backend()](function, variables, mode)
    return [
        np.zeros(v.shape) if g is None else keras.ops.convert_to_numpy(g)
        for g, v in zip(found, variables, strict=True)
    ]


def sum_gradients(function, variables, mode="eager"):
    """d sum(function()) / d variables, as NumPy arrays."""
    return gradients(lambda: keras.ops.sum(function()), variables, mode=mode)


def _jax(function, variables, mode):
    import jax

    def stateless(values):
        mapping = list(zip(variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return function()

    del mode
    return jax.jit(jax.grad(stateless))([v.value for v in variables])


def _tensorflow(function, variables, mode):
    import tensorflow as tf

    def taped():
        with tf.GradientTape() as tape:
            result = function()
        found = tape.gradient(result, [v.value for v in variables])
        # A gather's gradient is sparse.
        return [None if g is None else tf.convert_to_tensor(g) for g in found]

    if mode == "eager":
        return taped()
    return tf.function(taped, jit_compile=mode == "xla")()


def _torch(function, variables, mode):
    del mode
    import torch

    return torch.autograd.grad(
        function(), [v.value for v in variables], allow_unused=True
    )
