"""What a modality is: one row in one table.

A row says which embedder a modality uses and how its input looks. Image and
video share an embedder and its weights. To add a modality, add a row here and,
if no embedder fits, one in `imp_encoder.py`.
"""

from typing import NamedTuple

from keras_imp._errors import message


class Modality(NamedTuple):
    """How one modality enters the encoder.

    Attributes:
        embedder: Name of the embedder; modalities may share one.
        shape: Axes of its input, for error messages.
    """

    embedder: str
    shape: str

    @property
    def rank(self) -> int:
        """Number of axes of its input."""
        return self.shape.count(",") + 1


MODALITIES = {
    "image": Modality("vision", "(batch, height, width, 3)"),
    "video": Modality("vision", "(batch, frames, height, width, 3)"),
    "audio": Modality("audio", "(batch, frames, bins)"),
    "waveform": Modality("waveform", "(batch, samples)"),
    "text": Modality("text", "(batch, length)"),
}


def check_modality(name: str, known: tuple[str, ...] = ()) -> None:
    """Raise unless a modality is one of those that are known.

    Args:
        name: Modality.
        known: Names that are allowed. Defaults to the whole table.

    Raises:
        ValueError: If it is not.

    Example:
        >>> from keras_imp.models.modalities import check_modality
        >>> check_modality("image")
    """
    known = tuple(known or MODALITIES)
    if name not in known:
        raise ValueError(
            message(
                f"A modality must be one of {known}.",
                "Rename the key, or add the modality to `modalities` of the "
                "encoder.",
                modality=name,
            )
        )


def check_rank(name: str, shape: tuple[int | None, ...]) -> None:
    """Raise unless an input has the rank of its modality.

    Args:
        name: Modality.
        shape: Shape of the input, batch axis included.

    Raises:
        ValueError: If it has not.

    Example:
        >>> from keras_imp.models.modalities import check_rank
        >>> check_rank("text", (8, 16))
    """
    if len(shape) != MODALITIES[name].rank:
        raise ValueError(
            message(
                f"The input {name!r} must have shape {MODALITIES[name].shape}.",
                shape=tuple(shape),
            )
        )


def axes_of(name: str) -> tuple[str, ...]:
    """Axes of a modality's input that have a size to choose.

    Args:
        name: Modality.

    Returns:
        Names, without the batch axis and the colors.

    Example:
        >>> from keras_imp.models.modalities import axes_of
        >>> axes_of("video")
        ('frames', 'height', 'width')
    """
    return tuple(axis for axis in _entries(name) if not axis.isdigit())


def input_shape(name: str, size: tuple[int, ...]) -> tuple[int | None, ...]:
    """Shape of a modality's input of some size.

    Args:
        name: Modality.
        size: Length of each of `axes_of(name)`.

    Returns:
        The shape, with None for the batch axis.

    Example:
        >>> from keras_imp.models.modalities import input_shape
        >>> input_shape("image", (32, 48))
        (None, 32, 48, 3)
    """
    colors = [int(axis) for axis in _entries(name) if axis.isdigit()]
    return (None, *size, *colors)


def _entries(name: str) -> list[str]:
    return MODALITIES[name].shape.strip("()").split(", ")[1:]
