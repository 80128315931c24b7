"""Training on several devices on torch: not yet, and not by accident."""

import torch

from keras_imp._errors import message
from keras_imp.training.devices.single import OneDevice


class Devices(OneDevice):
    """One device; processes that were started to share work are refused."""

    def check_devices(self) -> None:
        super().check_devices()
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
