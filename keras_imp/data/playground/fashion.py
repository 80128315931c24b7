"""Images of clothes with a class."""

import dataclasses

import numpy as np

from keras_imp.data.playground.parts import Part
from keras_imp.data.playground.reading import read_table, read_tiles

FASHION_CLASSES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)

_SIZE = 28
_BORDER = 2


@dataclasses.dataclass(frozen=True)
class Fashion:
    """Images of clothes with a class.

    Attributes:
        images: `(images, 32, 32, 3)` uint8: 28x28 with a black border,
            gray repeated to RGB.
        labels: `(images,)` int32, positions in `FASHION_CLASSES`.

    Example:
        >>> from keras_imp.data import playground
        >>> playground.load("validation").fashion.images.shape[1:]
        (32, 32, 3)
    """

    images: np.ndarray
    labels: np.ndarray


def load_fashion(part: Part) -> Fashion:
    """Read the images of a split or of a part of a fold.

    Args:
        part: What to read.

    Returns:
        The images with their classes.
    """
    tables = [read_table(f"fashion_{name}.json") for name in part.sources]
    labels = [_digits(table["labels"]) for table in tables]
    tiles = [
        read_tiles(f"fashion_{name}.png", len(own), _SIZE, "L")
        for name, own in zip(part.sources, labels, strict=True)
    ]
    # The test split has no folds, and a whole split needs none.
    folds = [
        _digits(table["folds"]) if part.fold is not None else own
        for table, own in zip(tables, labels, strict=True)
    ]
    rows = part.rows(np.concatenate(folds))
    border = (_BORDER, _BORDER)
    gray = np.pad(np.concatenate(tiles)[rows], [(0, 0), border, border])
    images = np.repeat(gray[..., None], 3, axis=-1)
    return Fashion(images, np.concatenate(labels)[rows])


def _digits(text: str) -> np.ndarray:
    return np.array([int(digit) for digit in text], "int32")
