"""What a model asks about its devices, answered for a single one."""

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_imp._errors import message
from keras_imp.training.input.task_mixture import SEPARATOR

# Where to go for several devices, by backend.
_ELSEWHERE = {
    "tensorflow": "use tf.distribute.MirroredStrategy.",
    "torch": "use the JAX backend.",
}


class Placement(NamedTuple):
    """How an item of a mixture gets onto several devices.

    Attributes:
        parts: Equal parts into which the examples of a batch are cut.
        put: Puts one array there.
    """

    parts: int
    put: Callable[[np.ndarray], Any]

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        """Put all arrays of an item there.

        Args:
            item: Batches by key.

        Returns:
            The same structure.

        Raises:
            ValueError: If a batch cannot be cut into equal parts; it names
                the task.
        """
        for key, batch in item.items():
            self._check_size(key, batch)
        return keras.tree.map_structure(
            lambda array: None if array is None else self.put(array), item
        )

    def fill(self, x: dict[str, Any]) -> dict[str, Any]:
        """Repeat the last example until the parts are equal.

        Args:
            x: Inputs by modality.

        Returns:
            Inputs by modality.
        """

        def longer(values):
            values = np.asarray(values)
            missing = self.round_up(len(values)) - len(values)
            return np.concatenate([values, values[-1:].repeat(missing, axis=0)])

        return keras.tree.map_structure(longer, x)

    def _check_size(self, key: str, batch: Any) -> None:
        arrays = [a for a in keras.tree.flatten(batch) if a is not None]
        if arrays and len(arrays[0]) % self.parts:
            raise ValueError(
                message(
                    f"Task {key.split(SEPARATOR)[0]!r}: the batch size must be "
                    "a multiple of the number of devices that share a batch.",
                    "Choose another one, or leave out a smaller last batch.",
                    batch_size=len(arrays[0]),
                    devices=self.parts,
                )
            )

    def round_up(self, examples: int) -> int:
        """The next number of examples that can be cut into equal parts."""
        return -(-examples // self.parts) * self.parts


class OneDevice:
    """Base of `BackendStep`; JAX and TensorFlow answer for several devices."""

    @property
    def placement(self) -> Placement | None:
        """How batches get onto the devices; None for one device.

        To be asked in the main thread, and used in any: Keras keeps its
        distribution per thread.
        """
        return None

    def check_devices(self) -> None:
        """Raise unless the model's weights are where the batches will be.

        Raises:
            ValueError: If not.
        """
        distribution = keras.distribution.distribution()
        if distribution is not None:
            backend = keras.config.backend()
            raise ValueError(
                message(
                    "`keras.distribution` shares work on JAX only: here, "
                    "every device but one would be idle.",
                    "Call keras.distribution.set_distribution(None); for "
                    f"several devices, {_ELSEWHERE[backend]}",
                    distribution=type(distribution).__name__,
                    backend=backend,
                )
            )

    def scope(self) -> contextlib.AbstractContextManager:
        """Where variables are to be created."""
        return contextlib.nullcontext()

    def gather(self, batch: Any, y_pred: Any) -> tuple[Any, Any]:
        """The whole batch and its predictions, from the part of a replica."""
        return batch, y_pred

    def mean_over_replicas(self, gradients: list, loss: Any) -> tuple:
        """Gradients and loss of the whole batch, from those of a replica."""
        return gradients, loss

    @property
    def keeps_metrics(self) -> bool:
        """Whether this replica updates the metrics; one of them does."""
        return True

    def share_logs(self, logs: dict[str, Any]) -> dict[str, Any]:
        """The logs of the replica that keeps the metrics."""
        return logs
