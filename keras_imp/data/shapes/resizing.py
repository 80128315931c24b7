"""Bring inputs to another size on the host, in NumPy and Pillow.

Every function gives the same numbers in every process. Pillow's filters widen
with the factor when they shrink a picture, so nothing aliases.
"""

import numpy as np

from keras_imp._errors import message
from keras_imp._optional import require


def resize(
    name: str,
    values: np.ndarray,
    size: tuple[int, ...],
    generator: np.random.Generator,
) -> np.ndarray:
    """Bring the input of a modality to a size.

    Pictures are scaled (both axes on their own: keep the aspect by the sizes
    you choose); of clips, evenly spaced frames are taken too. Sound is cropped
    in time at a random place: scaled, it would be faster, and a patch would
    mean another duration at each size. Text keeps its first tokens.

    Args:
        name: Modality.
        values: Its input, with the batch axis.
        size: Length of each axis, as in `Shape`.
        generator: Draws where to crop.

    Returns:
        The input at that size, same dtype; itself, if it has the size.

    Raises:
        ValueError: If there are fewer frames, samples or tokens than asked
            for, or another number of mel bins.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data.shapes.resizing import resize
        >>> clips = np.zeros((2, 8, 32, 32, 3), "uint8")
        >>> generator = np.random.default_rng(0)
        >>> resize("video", clips, (4, 24, 24), generator).shape
        (2, 4, 24, 24, 3)
    """
    check_size(name, values.shape, size)
    if name == "image":
        return resize_pictures(values, size)
    if name == "video":
        return resize_pictures(subsample_frames(values, size[0]), size[1:])
    if name == "text":
        return values[..., : size[-1]]
    return crop_time(values, size[0], generator)


def check_size(
    name: str, stored: tuple[int, ...], size: tuple[int, ...]
) -> None:
    """Raise unless an input can be brought to a size.

    Args:
        name: Modality.
        stored: Shape of the input, batch axis included.
        size: Length of each axis, as in `Shape`.

    Raises:
        ValueError: If it cannot.
    """
    if name == "image":
        return
    axis, have, wanted = {
        "video": ("frames", 1, 0),
        "text": ("tokens", -1, -1),
        "audio": ("frames", 1, 0),
        "waveform": ("samples", 1, 0),
    }[name]
    if size[wanted] > stored[have]:
        raise ValueError(
            message(
                f"A shape must not ask for more {axis} of {name!r} than there "
                "are.",
                asked=size[wanted],
                stored=stored[have],
            )
        )
    if name == "audio" and size[1] != stored[2]:
        raise ValueError(
            message(
                "A shape must keep the mel bins of 'audio'.",
                "Make the spectrograms with another number of bins.",
                asked=size[1],
                stored=stored[2],
            )
        )


def resize_pictures(pictures: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Scale pictures with Pillow's antialiased bilinear filter.

    Args:
        pictures: uint8 or float, shape `(..., height, width, 3)`.
        size: New height and width.

    Returns:
        Shape `(..., *size, 3)`, same dtype.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data.shapes.resizing import resize_pictures
        >>> board = np.indices((8, 8)).sum(0)[..., None] % 2 * np.ones(3)
        >>> small = resize_pictures(board.astype("float32"), (2, 2))
        >>> bool(abs(small - 0.5).max() < 0.01)  # No pattern of its own.
        True
    """
    *leading, height, width, channels = pictures.shape
    if (height, width) == tuple(size):
        return pictures
    flat = pictures.reshape(-1, height, width, channels)
    scale = _scale_pixels if pictures.dtype == np.uint8 else _scale_floats
    scaled = np.stack([scale(picture, tuple(size)) for picture in flat])
    shape = (*leading, *size, channels)
    return scaled.reshape(shape).astype(pictures.dtype)


def subsample_frames(clips: np.ndarray, frames: int) -> np.ndarray:
    """Take evenly spaced frames, from the first.

    Frame `i` of `frames` is frame `i * stored // frames` of the clip: the rule
    of the position rows, so that a frame keeps its place in time.

    Args:
        clips: Shape `(batch, stored, height, width, 3)`.
        frames: How many to take.

    Returns:
        Shape `(batch, frames, height, width, 3)`.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data.shapes.resizing import subsample_frames
        >>> clips = np.arange(8).reshape(1, 8, 1, 1, 1)
        >>> subsample_frames(clips, 4).ravel().tolist()
        [0, 2, 4, 6]
    """
    stored = clips.shape[1]
    if stored == frames:
        return clips
    return clips[:, np.arange(frames) * stored // frames]


def crop_time(
    sounds: np.ndarray, length: int, generator: np.random.Generator
) -> np.ndarray:
    """A random stretch of each example.

    Args:
        sounds: Shape `(batch, time, ...)`.
        length: Length of the stretch.
        generator: Draws where it begins.

    Returns:
        Shape `(batch, length, ...)`.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data.shapes.resizing import crop_time
        >>> sounds = np.arange(10).reshape(1, 10)
        >>> crop_time(sounds, 3, np.random.default_rng(0)).tolist()
        [[6, 7, 8]]
    """
    batch, stored = sounds.shape[:2]
    if stored == length:
        return sounds
    starts = generator.integers(0, stored - length + 1, batch)
    places = starts[:, None] + np.arange(length)
    return sounds[np.arange(batch)[:, None], places]


def _scale_pixels(picture: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    image = require("PIL.Image", extra="data")
    scaled = image.fromarray(picture).resize(
        size[::-1], image.Resampling.BILINEAR
    )
    return np.asarray(scaled)


def _scale_floats(picture: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    # Pillow has floats with one channel only.
    image = require("PIL.Image", extra="data")
    channels = [
        image.fromarray(np.ascontiguousarray(channel, "float32")).resize(
            size[::-1], image.Resampling.BILINEAR
        )
        for channel in np.moveaxis(picture, -1, 0)
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)
