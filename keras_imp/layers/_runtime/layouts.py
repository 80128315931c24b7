"""Layouts of weights over devices, as far as layers must know them."""

import keras

from keras_imp._errors import message


def check_axis_divides(path: str, axis: int, **size: int) -> None:
    """Raise unless the devices of an axis get equal parts of a weight.

    Args:
        path: Path of the weight.
        axis: Axis of the weight.
        **size: Its length, by the name the user typed.

    Raises:
        ValueError: If the distribution that is set cannot divide it.
    """
    distribution = keras.distribution.distribution()
    if distribution is None:
        return
    layout = distribution.get_tensor_layout(path)
    if layout is None or layout.axes[axis] is None:
        return
    name, mesh = layout.axes[axis], layout.device_mesh
    devices = mesh.shape[list(mesh.axis_names).index(name)]
    ((argument, length),) = size.items()
    if length % devices:
        raise ValueError(
            message(
                f"`{argument}` must be a multiple of the devices on the mesh "
                f"axis {name!r}.",
                "Change either of them.",
                **{argument: length, "devices": devices},
            )
        )
