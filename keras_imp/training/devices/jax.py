"""Training on several devices on JAX, under `keras.distribution`.

The compiled step sees whole batches: XLA divides the work by where the weights
and the examples lie. All that is left to do is to put the batches there.

Keras 3.15 finds the layouts of an epoch's batches from the first one
(`JAXEpochIterator._get_distributed_iterator`), but each batch of a mixture has
a structure of its own. So the mixture gives Keras a token for each batch, and
the step takes the batch itself, already on the devices, from the mixture.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import keras

from keras_imp._errors import message
from keras_imp.training.devices.base import Placement
from keras_imp.training.devices.single import SingleDevice


class Mesh(SingleDevice):
    """The mesh of `keras.distribution`, or one device if there is none.

    The compiled step sees whole batches either way.
    """

    @property
    def placement(self) -> Placement | None:
        distribution = keras.distribution.distribution()
        if distribution is None:
            return None
        mesh = distribution.device_mesh
        axis = list(mesh.axis_names).index(distribution.batch_dim_name)

        def put(array):
            layout = distribution.get_data_layout(array.shape).backend_layout
            return jax.make_array_from_process_local_data(layout, array)

        # Each process brings its own part of a batch.
        return Placement(max(1, mesh.shape[axis] // jax.process_count()), put)

    def check(self) -> None:
        distribution = keras.distribution.distribution()
        if distribution is None:
            return
        devices = set(distribution.device_mesh.backend_mesh.devices.flat)
        variables = [*self.model.variables, *self.model.metrics_variables]
        if getattr(self.model, "optimizer", None) is not None:
            variables += self.model.optimizer.variables
        for variable in variables:
            if variable.value.sharding.device_set != devices:
                raise ValueError(
                    message(
                        "The model and its optimizer must be made while the "
                        "distribution is set: all their weights must be on "
                        "its devices.",
                        "Call keras.distribution.set_distribution(...) first.",
                        weight=variable.path,
                    )
                )


def make_devices(model: keras.Model) -> Mesh:
    """The devices of a model.

    Args:
        model: The model.

    Returns:
        The devices.
    """
    return Mesh(model)


def take_placed(function: Callable, mixture: Callable[[], Any]) -> Callable:
    """Give a function of Keras' trainer the batches that its tokens stand for.

    Args:
        function: From a state and an iterator.
        mixture: Returns the mixture that has the batches.

    Returns:
        The function, which takes tokens if there are several devices.
    """
    if keras.distribution.distribution() is None:
        return function

    def batches(tokens: Iterator) -> Iterator:
        for _ in tokens:
            yield mixture().take_placed()

    return lambda state, tokens: function(state, batches(tokens))
