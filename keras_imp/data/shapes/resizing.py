"""Bring the inputs of a modality to another size on the host, by its name."""

import numpy as np

from keras_imp.models.modalities import modality_of


def resize(
    name: str,
    values: np.ndarray,
    size: tuple[int, ...],
    generator: np.random.Generator,
) -> np.ndarray:
    """Bring the input of a modality to a size.

    What is done is part of the modality's record: images are scaled (height
    and width separately: keep the aspect ratio by the sizes you choose); of
    videos, evenly spaced frames are taken too. Audio is cropped in time at a
    random place. Text keeps its first tokens. A modality of your own does what
    its `models.Modality` says.

    Args:
        name: Modality.
        values: Its input, with the batch axis.
        size: Length of each axis, as in `Shape`.
        generator: Draws where to crop.

    Returns:
        The input at that size, same dtype; itself, if it has the size.

    Raises:
        ValueError: If the modality is unknown, there are fewer frames, samples
            or tokens than asked for, or another number of mel bins.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data.shapes.resizing import resize
        >>> videos = np.zeros((2, 8, 32, 32, 3), "uint8")
        >>> generator = np.random.default_rng(0)
        >>> resize("video", videos, (4, 24, 24), generator).shape
        (2, 4, 24, 24, 3)
    """
    check_size(name, values.shape, size)
    modality = modality_of(name).of_shape(values.shape)
    if modality.resize is None or modality.size_in(values.shape) == tuple(size):
        return values
    return modality.resize(values, tuple(size), generator)


def check_size(
    name: str, stored: tuple[int, ...], size: tuple[int, ...]
) -> None:
    """Raise unless an input can be brought to a size.

    Args:
        name: Modality.
        stored: Shape of the input, batch axis included.
        size: Length of each axis, as in `Shape`.

    Raises:
        ValueError: If it cannot, or the modality is unknown.

    Example:
        >>> from keras_imp.data.shapes.resizing import check_size
        >>> check_size("audio", (100, 64, 80), (32, 80))
    """
    modality_of(name).of_shape(stored).check_size(stored, size)
