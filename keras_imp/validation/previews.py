"""What a report shows of a file: a small image, or a strip of a waveform."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np

from keras_imp._optional import require
from keras_imp.data.decoding import (
    BadFile,
    decode_audio,
    decode_image,
    decode_video,
)

# Pixels of the longer side.
SIDE = 128
# Points of a waveform, and seconds of which it is drawn.
POINTS = 96
_SECONDS = 60.0
_RATE = 8_000
_FRAMES = 3


def preview_of(
    source: Path | bytes,
    column: str,
    start: float = 0.0,
    end: float | None = None,
    name: str = "",
) -> dict[str, Any]:
    """Decode a file to what is shown of it.

    Args:
        source: A path, or the bytes of a file.
        column: `"image"`, `"video"` or `"audio"`.
        start: Where the segment that is meant starts, in seconds.
        end: Where it ends; None for the end of the file.
        name: The file as it is shown.

    Returns:
        `image`, a data URI of a PNG file of at most 128 pixels along each
        side; or `low` and `high`, lists of the least and the largest sample of
        each of 96 stretches of time; nothing of a file that cannot be used.

    Example:
        >>> import io
        >>> from PIL import Image
        >>> from keras_imp.validation.previews import preview_of
        >>> file = io.BytesIO()
        >>> Image.new("RGB", (800, 600), "red").save(file, "PNG")
        >>> preview_of(file.getvalue(), "image")["image"][:22]
        'data:image/png;base64,'
        >>> preview_of(b"", "image")
        {}
    """
    try:
        if column == "image":
            return _image(decode_image(source, name=name).values)
        last = min(end or np.inf, start + _SECONDS)
        if column == "video":
            # Of one height, side by side.
            frames = decode_video(
                source, _FRAMES, None, interval=None, start=start, end=end
            )
            return _image(np.concatenate(list(frames.values), axis=1))
        samples = decode_audio(source, _RATE, start=start, end=last).values
        return _waveform(samples)
    except BadFile:
        return {}


def _image(values: np.ndarray) -> dict[str, Any]:
    pillow = require("PIL.Image", extra="data")
    image = pillow.fromarray(values)
    image.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    text = base64.b64encode(file.getvalue()).decode("ascii")
    return {"image": f"data:image/png;base64,{text}"}


def _waveform(samples: np.ndarray) -> dict[str, Any]:
    stretches = np.array_split(samples, min(POINTS, len(samples)))
    return {
        "low": [round(float(part.min()), 3) for part in stretches],
        "high": [round(float(part.max()), 3) for part in stretches],
    }
