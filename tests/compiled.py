"""A function as its backend compiles it."""

import keras


def compiled(function):
    """`function`, compiled on JAX and TensorFlow.

    Args:
        function: Takes arrays, returns tensors, and changes no variable.
    """
    if keras.config.backend() == "jax":
        import jax

        return jax.jit(function)
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True)
    return function
