"""Rendered clips: playground images that move over a white background."""

import numpy as np

from keras_imp.data.playground.parts import SPLITS

MOTIONS = (
    "moving left",
    "moving right",
    "moving up",
    "moving down",
    "growing",
    "shrinking",
    "turning clockwise",
    "turning counterclockwise",
    "blinking",
    "standing still",
)

# Steps per unit of progress of the four straight motions, as (x, y); y grows
# downwards.
_DIRECTIONS = np.zeros((len(MOTIONS), 2), "float32")
_DIRECTIONS[:4] = [(-1, 0), (1, 0), (0, -1), (0, 1)]
_GROWING, _SHRINKING, _CLOCKWISE, _COUNTER, _BLINKING = range(4, 9)

_WHITE = 255
_CHUNK = 64


def render_clips(
    images: np.ndarray,
    seed: int | np.random.Generator = 0,
    frames: int = 8,
    size: int = 32,
) -> tuple[np.ndarray, np.ndarray]:
    """Move each image over a white background.

    The motions are as even as the number of images allows and in random
    order; place, scale and speed vary from clip to clip. The clips are
    rendered, not filmed: a model that reads them has seen no camera video.

    Args:
        images: Images `(images, height, width, 3)` uint8, on white.
        seed: Seed, or a NumPy generator that is drawn from.
        frames: Number of frames, at least 2.
        size: Height and width of the clips.

    Returns:
        A pair: clips `(images, frames, size, size, 3)` uint8, and the
        positions in `MOTIONS` `(images,)` int32.

    Raises:
        ValueError: If `images` are not RGB images in uint8, or `frames` or
            `size` is too small.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data import playground
        >>> images = np.zeros((20, 32, 32, 3), "uint8")
        >>> clips, motions = playground.render_clips(images, seed=7)
        >>> clips.shape, motions.shape
        ((20, 8, 32, 32, 3), (20,))
        >>> np.bincount(motions).tolist()
        [2, 2, 2, 2, 2, 2, 2, 2, 2, 2]
    """
    _check(images, frames, size)
    rng = np.random.default_rng(seed)
    count = len(images)
    motions = rng.permutation(np.arange(count) % len(MOTIONS))
    path = _Path(motions, rng, frames, size)
    clips = np.full((count, frames, size, size, 3), _WHITE, "uint8")
    for first in range(0, count, _CHUNK):
        part = slice(first, first + _CHUNK)
        clips[part] = _draw(images[part], path, part, size)
    return clips, motions.astype("int32")


def clips_of_split(
    split: str, images: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The clips that a split is evaluated with: the same ones each time.

    Args:
        split: `"train"`, `"validation"` or `"test"`: each has motions of its
            own.
        images: Images of the split.

    Returns:
        Clips and motions, as `render_clips` returns them.
    """
    return render_clips(images, seed=SPLITS.index(split))


def clip_captions(names: list[str], motions: np.ndarray) -> list[str]:
    """Say what each clip shows.

    Args:
        names: What each image shows.
        motions: Positions in `MOTIONS`, one per name.

    Returns:
        One caption per clip.

    Raises:
        ValueError: If there are not as many motions as names.

    Example:
        >>> from keras_imp.data import playground
        >>> playground.clip_captions(["grapes", "owl"], [0, 6])
        ['grapes moving left', 'owl turning clockwise']
    """
    if len(names) != len(motions):
        raise ValueError(
            "Every name needs one motion. "
            f"Received: len(names)={len(names)}, "
            f"len(motions)={len(motions)}. "
            "Pass the names of the images given to `render_clips`."
        )
    return [
        f"{name} {MOTIONS[motion]}"
        for name, motion in zip(names, motions, strict=True)
    ]


def _check(images: np.ndarray, frames: int, size: int) -> None:
    shape: tuple = getattr(images, "shape", ())
    dtype = getattr(images, "dtype", None)
    if len(shape) != 4 or shape[-1] != 3 or dtype != np.uint8:
        raise ValueError(
            "`images` must be RGB images (images, height, width, 3) in "
            f"uint8. Received: shape={tuple(shape)}, dtype={dtype}. "
            "Pass the `images` of a playground split."
        )
    if frames < 2 or size < 8:
        raise ValueError(
            "A clip needs at least 2 frames of 8 pixels. "
            f"Received: frames={frames}, size={size}. "
            "Use larger values."
        )


class _Path:
    """Where each image is, how large, how turned, and whether it shows.

    `center` is `(clips, frames, 2)` in pixels as (x, y); `scale`, `angle`
    (radians, clockwise) and `visible` are `(clips, frames)`.
    """

    def __init__(
        self,
        motions: np.ndarray,
        rng: np.random.Generator,
        frames: int,
        size: int,
    ) -> None:
        count = len(motions)
        progress = np.linspace(-1.0, 1.0, frames, dtype="float32")
        start = rng.uniform(-0.1, 0.1, (count, 1, 2))
        reach = rng.uniform(0.17, 0.27, (count, 1, 1))
        step = _DIRECTIONS[motions][:, None] * reach
        self.center = size * (0.5 + start + step * progress[:, None])

        base = rng.uniform(0.5, 0.7, (count, 1))
        sign = (motions == _GROWING) * 1.0 - (motions == _SHRINKING) * 1.0
        self.scale = base * 1.5 ** (sign[:, None] * progress)

        turn = (motions == _CLOCKWISE) * 1.0 - (motions == _COUNTER) * 1.0
        extent = rng.uniform(0.5, 0.9, (count, 1)) * np.pi
        self.angle = turn[:, None] * extent * (progress + 1.0)

        # Two on, two off for eight frames, from a random point of the cycle.
        length = max(1, frames // 4)
        phase = rng.integers(0, 2 * length, (count, 1))
        on = (np.arange(frames) + phase) // length % 2 == 0
        self.visible = on | (motions != _BLINKING)[:, None]


def _draw(
    images: np.ndarray, path: _Path, part: slice, size: int
) -> np.ndarray:
    """Return the clips of one part of the images."""
    height, width = images.shape[1:3]
    x, y = _source_points(path, part, size, height, width)
    # A white frame around the image: whatever falls outside reads white.
    padded = np.pad(
        images.astype("float32"),
        [(0, 0), (1, 1), (1, 1), (0, 0)],
        constant_values=_WHITE,
    )
    x = np.clip(x + 1.0, 0.0, width + 1.0)
    y = np.clip(y + 1.0, 0.0, height + 1.0)
    left = np.minimum(x.astype("int32"), width)
    top = np.minimum(y.astype("int32"), height)
    right_share = (x - left)[..., None].astype("float32")
    low_share = (y - top)[..., None].astype("float32")
    clip = np.arange(len(images))[:, None, None, None]
    upper = _mix(
        padded[clip, top, left], padded[clip, top, left + 1], right_share
    )
    lower = _mix(
        padded[clip, top + 1, left],
        padded[clip, top + 1, left + 1],
        right_share,
    )
    pixels = _mix(upper, lower, low_share)
    pixels[~path.visible[part]] = _WHITE
    return np.rint(pixels).astype("uint8")


def _mix(first: np.ndarray, last: np.ndarray, share: np.ndarray) -> np.ndarray:
    return first + (last - first) * share


def _source_points(
    path: _Path, part: slice, size: int, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return where each pixel of the clips lies in its image, as (x, y)."""
    grid = np.arange(size) + 0.5
    center = path.center[part]
    across = grid[None, None, None, :] - center[..., 0, None, None]
    down = grid[None, None, :, None] - center[..., 1, None, None]
    cos = np.cos(path.angle[part])[..., None, None]
    sin = np.sin(path.angle[part])[..., None, None]
    zoom = path.scale[part][..., None, None] * size
    x = (across * cos + down * sin) / zoom + 0.5
    y = (down * cos - across * sin) / zoom + 0.5
    return x * width - 0.5, y * height - 0.5
