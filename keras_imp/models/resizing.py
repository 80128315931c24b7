"""Host functions that bring the inputs of a modality to another size.

In NumPy and Pillow, and with the same result in every process. Pillow's filters
widen with the factor when they shrink an image, so nothing aliases. Each
function that a `Modality` names takes the values, their new size and a
generator for what is random.
"""

import numpy as np

from keras_imp._optional import require


def resize_images(
    images: np.ndarray,
    size: tuple[int, ...],
    generator: np.random.Generator | None = None,
) -> np.ndarray:
    """Scale images with Pillow's antialiased bilinear filter.

    Height and width are scaled separately: keep the aspect ratio by the sizes
    you choose.

    Args:
        images: uint8 or float, shape `(..., height, width, channels)`.
        size: New height and width.
        generator: Not used.

    Returns:
        Shape `(..., *size, channels)`, same dtype; `images` itself if it has
        the size.

    Example:
        >>> import numpy as np
        >>> from keras_imp.models.resizing import resize_images
        >>> board = np.indices((8, 8)).sum(0)[..., None] % 2 * np.ones(3)
        >>> small = resize_images(board.astype("float32"), (2, 2))
        >>> bool(abs(small - 0.5).max() < 0.01)  # No pattern of its own.
        True
    """
    del generator
    *leading, height, width, channels = images.shape
    if (height, width) == tuple(size):
        return images
    flat = images.reshape(-1, height, width, channels)
    shape = (*leading, *size, channels)
    scaled = np.empty((len(flat), *shape[-3:]), images.dtype)
    for row, image in enumerate(flat):
        scaled[row] = _scale(image, tuple(size))
    return scaled.reshape(shape)


def resize_videos(
    videos: np.ndarray,
    size: tuple[int, ...],
    generator: np.random.Generator | None = None,
) -> np.ndarray:
    """Take evenly spaced frames and scale them.

    Args:
        videos: Shape `(batch, frames, height, width, channels)`.
        size: New frames, height and width.
        generator: Not used.

    Returns:
        Shape `(batch, *size, channels)`, same dtype.

    Example:
        >>> import numpy as np
        >>> from keras_imp.models.resizing import resize_videos
        >>> videos = np.zeros((2, 8, 32, 32, 3), "uint8")
        >>> resize_videos(videos, (4, 24, 24)).shape
        (2, 4, 24, 24, 3)
    """
    frames, *image_size = size
    return resize_images(
        subsample_frames(videos, frames), tuple(image_size), generator
    )


def subsample_frames(videos: np.ndarray, frames: int) -> np.ndarray:
    """Take evenly spaced frames, from the first.

    Frame `i` of `frames` is frame `i * stored // frames` of the video: the rule
    of the position rows, so that a frame keeps its place in time.

    Args:
        videos: Shape `(batch, stored, height, width, channels)`.
        frames: How many to take.

    Returns:
        Shape `(batch, frames, height, width, channels)`.

    Example:
        >>> import numpy as np
        >>> from keras_imp.models.resizing import subsample_frames
        >>> videos = np.arange(8).reshape(1, 8, 1, 1, 1)
        >>> subsample_frames(videos, 4).ravel().tolist()
        [0, 2, 4, 6]
    """
    stored = videos.shape[1]
    if stored == frames:
        return videos
    return videos[:, np.arange(frames) * stored // frames]


def crop_time(
    audio: np.ndarray, size: tuple[int, ...], generator: np.random.Generator
) -> np.ndarray:
    """Take a random stretch of each example.

    Audio is cropped, not scaled: scaled it would be faster, and a patch would
    mean another duration at each size.

    Args:
        audio: Shape `(batch, time, ...)`.
        size: Length of the stretch, and lengths of the other axes, which stay.
        generator: Draws where each stretch begins.

    Returns:
        Shape `(batch, size[0], ...)`.

    Example:
        >>> import numpy as np
        >>> from keras_imp.models.resizing import crop_time
        >>> audio = np.arange(10).reshape(1, 10)
        >>> crop_time(audio, (3,), np.random.default_rng(0)).tolist()
        [[6, 7, 8]]
    """
    batch, stored = audio.shape[:2]
    length = size[0]
    if stored == length:
        return audio
    starts = generator.integers(0, stored - length + 1, batch)
    places = starts[:, None] + np.arange(length)
    return audio[np.arange(batch)[:, None], places]


def keep_first(
    tokens: np.ndarray,
    size: tuple[int, ...],
    generator: np.random.Generator | None = None,
) -> np.ndarray:
    """Keep the first tokens of each text.

    Args:
        tokens: Token ids, shape `(..., length)`.
        size: How many to keep.
        generator: Not used.

    Returns:
        Shape `(..., *size)`.

    Example:
        >>> import numpy as np
        >>> from keras_imp.models.resizing import keep_first
        >>> keep_first(np.arange(6).reshape(2, 3), (2,)).tolist()
        [[0, 1], [3, 4]]
    """
    del generator
    return tokens[..., : size[-1]]


def _scale(image: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """One image, `(height, width, channels)`, in a dtype of Pillow's."""
    if image.dtype == np.uint8 and image.shape[-1] == 3:
        return _with_pillow(image, size)
    # Pillow has other dtypes with one channel only.
    dtype = "uint8" if image.dtype == np.uint8 else "float32"
    channels = [
        _with_pillow(np.ascontiguousarray(channel, dtype), size)
        for channel in np.moveaxis(image, -1, 0)
    ]
    scaled = np.stack(channels, axis=-1)
    is_rounded = np.issubdtype(image.dtype, np.integer)
    return np.rint(scaled) if is_rounded else scaled


def _with_pillow(image: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    pillow = require("PIL.Image", extra="data")
    scaled = pillow.fromarray(image).resize(
        size[::-1], pillow.Resampling.BILINEAR
    )
    return np.asarray(scaled)
