"""Video files to frames: any part, at any interval, turned as a player does."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_imp._errors import check_integer, check_positive
from keras_imp._optional import require
from keras_imp.data.decoding.container import container
from keras_imp.data.decoding.errors import Decoded, decoding
from keras_imp.data.decoding.frames import Reader
from keras_imp.data.decoding.part import SHORT_SECONDS, Request, check_request
from keras_imp.data.decoding.resampling import (
    DRAFT_FACTOR,
    Box,
    check_box,
    is_blank,
    resample,
)
from keras_imp.data.decoding.source import (
    Source,
    has_other_ending,
    kind_of,
    name_of,
    opened,
)

# Quarter turns to the left, to the turn of Pillow (`PIL.Image.Transpose`).
_TURNS = {1: 2, 2: 3, 3: 4}


def decode_video(
    source: Source,
    frames: int | None = None,
    size: tuple[int, int] | None = None,
    box: Box | Callable[[int, int], Box] | None = None,
    *,
    interval: float | None = 0.08,
    start: float = 0.0,
    end: float | None = None,
    place: float = 0.0,
    name: str = "",
) -> Decoded:
    """Decode frames of a part of a video.

    Frames are found by their time stamps, not their numbers: at each time, the
    one that a player would show. So videos of any frame rate, also one that
    varies, play at one speed; a slow one repeats frames, and one that is
    shorter than the part is repeated from its start. It needs PyAV, of the
    extra `video`.

    Args:
        source: A path, or the bytes of a file.
        frames: Number of frames. Defaults to all of the segment.
        size: Height and width of the result. Defaults to those of the box.
        box: As in `decode_image`; the same for all frames.
        interval: Seconds from one frame to the next; 0.08 is every second
            frame of 25 a second. None spreads the frames evenly over the
            segment.
        start: Where the segment that the example is starts, in seconds.
        end: Where it ends. Defaults to the end of the file.
        place: Where in the segment the frames are, from 0, at its start, to 1,
            at its end. The same number for `decode_audio` keeps the
            modalities of a video together.
        name: How messages name the file. Defaults to the path.

    Returns:
        uint8 of shape `(frames, height, width, 3)`, or `(views, frames, height,
        width, 3)` for several boxes; notes `blank`, `damaged`, `extension`,
        `short` and `truncated`; facts `format`, `height`, `width`, `seconds`,
        `rate` (frames per second), `has_audio` (1 or 0) and `is_whole` (1 or
        0: whether `place` changes nothing).

    Raises:
        BadFile: If the file cannot be used.
        ImportError: If the extra `video` is not there.
        ValueError: If an argument is out of its range.

    Example:
        >>> from keras_imp.data.decoding import BadFile, decode_video
        >>> try:
        ...     decode_video(b"GIF89a is no video", frames=16)
        ... except BadFile as error:
        ...     error.reason
        'damaged'
    """
    if frames is not None:
        check_integer(1, frames=frames)
    if size is not None:
        check_integer(1, height=size[0], width=size[1])
    if interval is not None:
        check_positive(interval=interval)
    span = frames * interval if frames and interval else None
    request = Request(start, end, span, place)
    check_request(request)
    require("av", extra="video")
    name = name_of(source, name)
    with opened(source, None) as file:
        kind = kind_of(file)
        with container(file, kind, name) as video:
            with decoding(name):
                reader = Reader(video, name, request)
                turns, height, width = _turned(reader.first_frame())
            boxes = check_box(box, height, width)

            def convert(frame: Any) -> np.ndarray:
                image = _image(frame, size, boxes, turns)
                return resample(image, size, boxes, height, width)

            with decoding(name):
                images = reader.read(frames, interval, convert)
                # Before height, after the axis of several boxes.
                values = np.stack(images, axis=-4)
            facts: dict[str, int | float | str] = {
                "format": kind,
                "height": height,
                "width": width,
                "seconds": reader.duration,
                "rate": reader.rate,
                "has_audio": int(bool(video.streams.audio)),
                "is_whole": int(reader.is_whole),
            }
    notes = [*reader.notes, *_notes(values, kind, reader.duration, name)]
    return Decoded(values, tuple(dict.fromkeys(notes)), facts)


def _turned(frame: Any) -> tuple[int, int, int]:
    """Quarter turns to the left, and height and width after them."""
    turns = round(frame.rotation / 90) % 4
    if turns % 2:
        return turns, frame.width, frame.height
    return turns, frame.height, frame.width


def _image(
    frame: Any, size: tuple[int, int] | None, boxes: np.ndarray, turns: int
) -> Any:
    """A frame as an upright image of Pillow, at no more than it takes."""
    width, height = frame.width, frame.height
    if size is not None:
        # As the draft of a JPEG file: FFmpeg scales what is much too large
        # while it makes it RGB, and the filter of Pillow does the rest.
        ratio = max(1.0, (boxes[..., 2:] / size).min() / DRAFT_FACTOR)
        width, height = math.ceil(width / ratio), math.ceil(height / ratio)
    image = frame.to_image(width=width, height=height, interpolation="AREA")
    return image.transpose(_TURNS[turns]) if turns else image


def _notes(
    values: np.ndarray, kind: str, duration: float, name: str
) -> list[str]:
    notes = []
    if duration < SHORT_SECONDS:
        notes.append("short")
    if has_other_ending(name, kind):
        notes.append("extension")
    if is_blank(values):
        notes.append("blank")
    return notes
