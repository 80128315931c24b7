"""What kind of device the model runs on."""

import functools

from keras import ops


@functools.cache
def runs_on(*kinds: str) -> bool:
    """Whether new tensors land on such a device. Ask eagerly, in `build`.

    Args:
        *kinds: Parts of a device's name, lower case, such as `"tpu"`.

    Returns:
        Whether the name of the device has one of them.
    """
    device = str(ops.convert_to_tensor(0.0).device).lower()
    return any(kind in device for kind in kinds)
