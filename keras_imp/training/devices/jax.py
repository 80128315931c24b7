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
from keras_imp.training.devices.single import OneDevice, Placement


class Devices(OneDevice):
    """The devices of the mesh of `keras.distribution`."""

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

        # Each process brings its own share of a batch.
        return Placement(max(1, mesh.shape[axis] // jax.process_count()), put)

    def check_devices(self) -> None:
        distribution = keras.distribution.distribution()
        if distribution is None:
            return
        devices = set(distribution.device_mesh.backend_mesh.devices.flat)
        variables = [*self.variables, *self.metrics_variables]
        if getattr(self, "optimizer", None) is not None:
            variables += self.optimizer.variables
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

    def make_train_function(self, force: bool = False) -> None:
        before = self.train_function
        super().make_train_function(force)
        if self.train_function is not before:
            self.train_function = _takes_placed(
                self.train_function, lambda: self.training_mixture
            )

    def make_test_function(self, force: bool = False) -> None:
        before = self.test_function
        super().make_test_function(force)
        if self.test_function is not before:
            self.test_function = _takes_placed(
                self.test_function, lambda: self.testing_mixture
            )


def _takes_placed(function: Callable, mixture: Callable[[], Any]) -> Callable:
    """A step that gets tokens from Keras, and batches from a mixture."""
    if keras.distribution.distribution() is None:
        return function

    def batches(tokens: Iterator) -> Iterator:
        for _ in tokens:
            yield mixture().take_placed()

    return lambda state, tokens: function(state, batches(tokens))
