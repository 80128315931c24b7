"""What a model asks about its devices, whatever the backend."""

import contextlib
import importlib
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import keras
import numpy as np

from keras_imp._errors import message
from keras_imp.training.input.task_mixture import SEPARATOR
from keras_imp.typing import Tensor


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
                    "Choose another one, or leave out a smaller last batch: "
                    "keras_imp.data.Arrays(..., drop_last=True).",
                    batch_size=len(arrays[0]),
                    devices=self.parts,
                )
            )

    def round_up(self, examples: int) -> int:
        """The next number of examples that can be cut into equal parts."""
        return -(-examples // self.parts) * self.parts


class Devices(Protocol):
    """What a model and its step ask about the devices they are on."""

    @property
    def placement(self) -> Placement | None:
        """How batches get onto the devices; None for one device.

        To be asked in the main thread, and used in any: Keras keeps its
        distribution per thread.
        """

    @property
    def keeps_metrics(self) -> bool:
        """Whether this replica updates the metrics; one of them does."""

    def check(self) -> None:
        """Raise unless the model's weights are where the batches will be.

        Raises:
            ValueError: If not.
        """

    def scope(self) -> contextlib.AbstractContextManager:
        """Where variables are to be created."""

    def gather(self, batch: Any, y_pred: Any) -> tuple[Any, Any]:
        """The whole batch and its predictions, from a replica's part."""

    def mean(self, tensors: list[Tensor | None]) -> list[Tensor | None]:
        """Means over the replicas of tensors, some of which may be None."""

    def share_logs(self, logs: dict[str, Any]) -> dict[str, Any]:
        """The logs of the replica that keeps the metrics."""

    def global_random_state(self) -> np.ndarray | None:
        """State of a generator that all layers share, if there is one."""

    def set_global_random_state(self, state: np.ndarray) -> None:
        """Set what `global_random_state` returned; another backend's is left.

        Args:
            state: The state.
        """


def make_devices(model: keras.Model) -> Devices:
    """The devices of a model, by the backend of Keras.

    Args:
        model: The model.

    Returns:
        The devices.
    """
    backend = keras.config.backend()
    module = importlib.import_module(f"keras_imp.training.devices.{backend}")
    return module.make_devices(model)
