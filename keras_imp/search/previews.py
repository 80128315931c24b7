"""Small images of items, and of what the experts of an encoder take."""

import io
import tempfile
import threading
from pathlib import Path

import numpy as np

from keras_imp._optional import require
from keras_imp.data.decoding import decode_image
from keras_imp.evaluation.routing import inspect_routing
from keras_imp.search.search_model import SearchModel

# Longer side of a small image in pixels.
SIDE = 192
_DRAWING = threading.Lock()


def thumbnail(file: Path, side: int = SIDE) -> bytes:
    """A small copy of an image.

    Args:
        file: The image.
        side: Its longer side, in pixels.

    Returns:
        A PNG.

    Raises:
        BadFile: If the file cannot be decoded.
    """
    image = small(file, side)
    written = io.BytesIO()
    require("PIL.Image", extra="data").fromarray(image).save(written, "PNG")
    return written.getvalue()


def small(file: Path, side: int = SIDE) -> np.ndarray:
    """A small copy of an image, as pixels.

    Args:
        file: The image.
        side: Its longer side, in pixels.

    Returns:
        uint8, shape `(height, width, 3)`.

    Raises:
        BadFile: If the file cannot be decoded.
    """
    pixels = decode_image(file).values
    image = require("PIL.Image", extra="data").fromarray(pixels)
    image.thumbnail((side, side))
    return np.asarray(image)


def experts(model: SearchModel, file: Path) -> bytes:
    """Which expert took each patch of an image, in each routed layer.

    Args:
        model: A model with a sparse encoder.
        file: The image.

    Returns:
        A PNG.

    Raises:
        BadFile: If the file cannot be decoded.
        ValueError: If the encoder is dense.
    """
    x = model.read("image", file)
    # Figures of matplotlib are made by one thread at a time.
    with tempfile.TemporaryDirectory() as folder, _DRAWING:
        inspect_routing(model.model.encoder, {"image": x}, folder, 1)
        return (Path(folder) / "routing_overlay.png").read_bytes()
