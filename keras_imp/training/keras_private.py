"""The private names of Keras that the package uses, each with what for."""

from typing import Any

import keras

# Where Keras' JAX trainer keeps the values of variables between steps.
JAX_STATE = "_jax_state"
_GROUPS = (
    "trainable_variables",
    "non_trainable_variables",
    "optimizer_variables",
    "metrics_variables",
)


def loss_tracker(model: Any) -> keras.metrics.Mean:
    """The metric of `"loss"`, which `compile` makes."""
    return model._loss_tracker


def get_jax_state(model: Any, **groups: bool) -> tuple[list, ...]:
    """Values of groups of variables, as a step on JAX takes them."""
    return keras.Model._get_jax_state(model, **groups)


def purge_variables(model: Any, **groups: bool) -> None:
    """Take the values out of groups of variables."""
    model._purge_model_variables(**groups)


def set_jax_state(model: Any, state: tuple[list, ...]) -> None:
    """Say which values of all variables are to be put back."""
    model._jax_state = dict(zip(_GROUPS, state))
    model._jax_state_synced = False


def jax_state_sync(model: Any) -> None:
    """Put back the values that Keras' trainer keeps."""
    keras.Model.jax_state_sync(model)


def forget_jax_state(model: Any) -> None:
    """Let Keras' trainer keep no values."""
    model._jax_state = None
    model._jax_state_synced = True


def make_function(model: Any, step: Any, **options: bool) -> Any:
    """A function that takes an iterator, from a step that takes a batch."""
    return model._make_function(step, **options)
