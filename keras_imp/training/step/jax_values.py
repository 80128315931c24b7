"""Values that stand in for those of variables while a function is traced."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import keras


class Values(NamedTuple):
    """Values of the model's variables, in Keras' order."""

    trainable: list[jax.Array]
    non_trainable: list[jax.Array]
    metrics: list[jax.Array]


class _ReadRecorder(keras.StatelessScope):
    """A scope that remembers which variables were read in it.

    What the traced forward pass read is what the loss can reach: that is how
    the idle variables of a step are known without a second trace.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.read: set[int] = set()

    def get_current_value(self, variable):
        self.read.add(id(variable))
        return super().get_current_value(variable)


def with_values(
    model: Any,
    function: Callable[[], Any],
    values: Values,
    touched: set[int] | None = None,
) -> tuple[Any, Values]:
    """Call a function with values in the variables of a model.

    Args:
        model: The model.
        function: What to call.
        values: The values.
        touched: Gets the identities of the variables that it read.

    Returns:
        Its result, and the values that it left in the variables.
    """
    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.metrics_variables,
    )
    mapping = [
        pair
        for group, given in zip(groups, values)
        for pair in zip(group, given)
    ]
    with _ReadRecorder(mapping, collect_losses=True) as scope:
        result = function()
    if touched is not None:
        touched.update(scope.read)
    new = [[scope.get_current_value(v) for v in g] for g in groups]
    return result, Values(*new)
