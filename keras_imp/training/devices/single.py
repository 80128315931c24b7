"""A single device: all batches are whole."""

import contextlib
from typing import Any

import keras
import numpy as np

from keras_imp._errors import message
from keras_imp.training.devices.base import Placement
from keras_imp.typing import Tensor

# Where to go for several devices, by backend.
_ELSEWHERE = {
    "tensorflow": "use tf.distribute.MirroredStrategy.",
    "torch": "use the JAX backend.",
}


class SingleDevice:
    """`Devices` of a model that is on one.

    Args:
        model: The model.
    """

    def __init__(self, model: keras.Model):
        self.model = model

    @property
    def placement(self) -> Placement | None:
        return None

    @property
    def keeps_metrics(self) -> bool:
        return True

    def check(self) -> None:
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
        return contextlib.nullcontext()

    def gather(self, batch: Any, y_pred: Any) -> tuple[Any, Any]:
        return batch, y_pred

    def mean(self, tensors: list[Tensor | None]) -> list[Tensor | None]:
        return tensors

    def share_logs(self, logs: dict[str, Any]) -> dict[str, Any]:
        return logs

    def global_random_state(self) -> np.ndarray | None:
        return None

    def set_global_random_state(self, state: np.ndarray) -> None:
        """Nothing: only torch has such a generator."""
