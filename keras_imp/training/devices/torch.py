"""Training on several devices on torch: not yet, and not by accident."""

import keras
import numpy as np
import torch

from keras_imp._errors import message
from keras_imp.training.devices.single import SingleDevice


class SingleProcess(SingleDevice):
    """One device; processes that were started to share work are refused."""

    def check(self) -> None:
        super().check()
        processes = 1
        if torch.distributed.is_available() and (
            torch.distributed.is_initialized()
        ):
            processes = torch.distributed.get_world_size()
        if processes > 1:
            raise ValueError(
                message(
                    "On torch a model trains in one process: gradients would "
                    "not be shared, and each process would train a model of "
                    "its own.",
                    "Use the JAX backend under keras.distribution.",
                    processes=processes,
                )
            )

    def global_random_state(self) -> np.ndarray:
        """State of torch's generator, which unseeded dropout draws from."""
        return torch.get_rng_state().numpy()

    def set_global_random_state(self, state: np.ndarray) -> None:
        torch.set_rng_state(torch.from_numpy(np.array(state)))


def make_devices(model: keras.Model) -> SingleProcess:
    """The devices of a model.

    Args:
        model: The model.

    Returns:
        The devices.
    """
    return SingleProcess(model)
