"""What an optimizer of Keras does to weights that hold a stack of layers.

An `EncoderStack` keeps each kernel of all its layers in one variable. An
optimizer that looks at a weight as a whole, at its rank or its norm, then
treats all layers as one, silently. This finds those that do.
"""

import warnings
from collections.abc import Iterable
from typing import Any

import keras

from keras_imp._errors import message
from keras_imp._keras_private import optimizer_of
from keras_imp.layers.encoder_stack import EncoderStack

# Optimizers that scale a step by norms of the weight and of its update.
BY_NORM = (keras.optimizers.Lamb, keras.optimizers.Adafactor)


def check_stacked_weights(optimizer: Any, layers: Iterable[Any]) -> None:
    """Refuse an optimizer that leaves stacked kernels to another one.

    Warns if it only takes one norm for all layers of a stack.

    Args:
        optimizer: A Keras optimizer; one that wraps others is looked into.
        layers: Layers of the model.

    Raises:
        ValueError: If it is Keras' Muon, which trains 2-D weights only.

    Example:
        >>> import keras
        >>> from keras_imp.training.optimizers.stacked_weights import (
        ...     check_stacked_weights)
        >>> check_stacked_weights(keras.optimizers.AdamW(), [])
    """
    stacks = [layer for layer in layers if isinstance(layer, EncoderStack)]
    by_norm: dict[str, None] = {}
    for stack in stacks:
        for weight in stack.trainable_variables:
            chosen = optimizer_of(optimizer, weight)
            # A subclass may do better: this is said of Keras' own.
            if type(chosen) is keras.optimizers.Muon and _is_kernel(weight):
                raise ValueError(_no_muon(weight))
            if stack.num_layers > 1:
                by_norm |= dict.fromkeys(_norms_of(chosen))
    if by_norm:
        warnings.warn(
            message(
                "An encoder keeps all layers of a stack in one weight: what "
                "an optimizer does by the norm of a weight, it does by one "
                "norm for all of these layers.",
                "Use keras_imp.optimizers.AdamW, or clip by `global_clipnorm`.",
                optimizer=list(by_norm),
            ),
            stacklevel=3,
        )


def _is_kernel(weight: Any) -> bool:
    """Whether each of its layers has a matrix of it, or one per expert."""
    return len(weight.shape) > 2


def _norms_of(optimizer: Any) -> list[str]:
    """What of an optimizer works by the norm of each weight."""
    found = []
    if isinstance(optimizer, BY_NORM):
        found.append(type(optimizer).__name__)
    if getattr(optimizer, "clipnorm", None):
        found.append(f"clipnorm={optimizer.clipnorm}")
    return found


def _no_muon(weight: Any) -> str:
    return message(
        "keras.optimizers.Muon trains 2-D weights only, and all others by "
        "Adam: the kernels of an encoder, which are stacked over its layers, "
        "would be Adam's, and its tables Muon's.",
        "Use keras_imp.optimizers.Muon, for which each layer is a matrix.",
        weight=weight.path,
        shape=tuple(weight.shape),
    )
