"""Computations in full float32, where a GPU would take fewer bits."""

import contextlib
from collections.abc import Iterator

import keras


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Let matrix products of float32 have all their bits inside.

    A GPU may compute them in TF32, whose rounding is larger than what a file
    may differ by.

    Example:
        >>> from keras_imp.exporting.full_precision import full_precision
        >>> with full_precision():
        ...     pass
    """
    backend = keras.config.backend()
    if backend == "jax":
        import jax

        with jax.default_matmul_precision("highest"):
            yield
    elif backend == "tensorflow":
        import tensorflow as tf

        before = tf.config.experimental.tensor_float_32_execution_enabled()
        tf.config.experimental.enable_tensor_float_32_execution(False)
        try:
            yield
        finally:
            tf.config.experimental.enable_tensor_float_32_execution(before)
    else:
        import torch

        precision = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(precision)
