"""Gradients of weights of unlike dtypes, for the norm of all of them."""

from typing import Any

import keras
from keras import ops

from keras_imp import _keras_private as keras_private
from keras_imp.typing import Tensor


def in_one_dtype(gradients: list[Tensor | None]) -> list[Tensor | None]:
    """Gradients in the dtype in which their squares can be added up.

    An encoder in half precision has heads in float32. TensorFlow adds up no
    two dtypes, and the square of 256 is infinite in float16.

    Args:
        gradients: Gradients; None where there is none.

    Returns:
        The gradients in float32; in float64 if one of them is.

    Example:
        >>> import keras
        >>> from keras_imp.training.optimizers.gradient_dtypes import (
        ...     in_one_dtype)
        >>> dtypes = ("float16", "float32")
        >>> ones = [keras.ops.ones(2, dtype) for dtype in dtypes]
        >>> [keras.backend.standardize_dtype(g.dtype)
        ...  for g in in_one_dtype(ones)]
        ['float32', 'float32']
    """
    dtypes = {
        keras.backend.standardize_dtype(gradient.dtype)
        for gradient in gradients
        if gradient is not None
    }
    dtype = "float64" if "float64" in dtypes else "float32"
    return [
        None if gradient is None else ops.cast(gradient, dtype)
        for gradient in gradients
    ]


def for_clipping(
    gradients: list[Tensor | None], optimizer: Any
) -> list[Tensor | None]:
    """Gradients as `optimizer.apply` can clip them.

    Args:
        gradients: Gradients; None where there is none.
        optimizer: A Keras optimizer, or one that scales the loss of another.

    Returns:
        The gradients in one dtype, where the optimizer clips by a norm. One
        that accumulates them adds them up in the dtype of each weight.
    """
    applied = keras_private.applied_optimizer(optimizer)
    clips = applied.global_clipnorm is not None or applied.clipnorm is not None
    if not clips or applied.gradient_accumulation_steps:
        return gradients
    return in_one_dtype(gradients)
