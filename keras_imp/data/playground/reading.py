"""Read the bundled files: tables, tiles of images, recordings."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from keras_imp._optional import require

FILES = Path(__file__).parent / "files"

SAMPLES = 16_384

# What Pillow, soundfile and json raise on bytes that they cannot read.
_UNREADABLE = (
    OSError,
    RuntimeError,
    SyntaxError,
    ValueError,
    KeyError,
    TypeError,
)

_REINSTALL = (
    "Reinstall the package: pip install --force-reinstall 'keras-imp[data]'"
)


def read_table(name: str) -> dict[str, Any]:
    """Return the columns of a JSON file."""
    path = _file(name)
    try:
        columns = json.loads(path.read_text(encoding="utf-8"))
        return dict(columns)
    except _UNREADABLE as error:
        raise damaged(name, "not readable") from error


def read_tiles(name: str, count: int, size: int, mode: str) -> np.ndarray:
    """Cut an atlas into its first `count` tiles `(count, size, size, ...)`."""
    path = _file(name)
    image = require("PIL.Image", extra="data")
    try:
        with image.open(path) as opened:
            pixels = np.asarray(opened.convert(mode))
    except _UNREADABLE as error:
        raise damaged(name, "not readable") from error
    rows, columns = pixels.shape[0] // size, pixels.shape[1] // size
    if rows * columns < count:
        raise damaged(name, f"{rows * columns} images, expected {count}")
    grid = pixels.reshape(rows, size, columns, size, *pixels.shape[2:])
    tiles = grid.swapaxes(1, 2).reshape(-1, size, size, *pixels.shape[2:])
    return tiles[:count].copy()


def read_clips(name: str, count: int) -> np.ndarray:
    """Cut a recording into clips `(count, samples)`."""
    path = _file(name)
    soundfile = require("soundfile", extra="data")
    try:
        wave, _ = soundfile.read(path, dtype="float32")
    except _UNREADABLE as error:
        raise damaged(name, "not readable") from error
    if wave.shape != (count * SAMPLES,):
        raise damaged(
            name, f"{wave.shape[0]} samples, expected {count * SAMPLES}"
        )
    # The decoder overshoots the loudest peaks a little.
    return np.clip(wave, -1.0, 1.0).reshape(count, SAMPLES)


def damaged(name: str, reason: object) -> ValueError:
    """Return the error for a file that is not as it was built."""
    return ValueError(
        "The files of the playground must be whole. "
        f"Received: {name!r} ({reason}). " + _REINSTALL
    )


def _file(name: str) -> Path:
    path = FILES / name
    if not path.is_file():
        raise FileNotFoundError(
            "Every file of the playground must be installed. "
            f"Received: no file {name!r}. " + _REINSTALL
        )
    return path
