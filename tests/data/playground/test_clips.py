"""Rendered clips: they show their motions, and bad input is refused."""

import numpy as np
import pytest

from keras_imp.data import playground

pytestmark = pytest.mark.one_backend


def test_clips_are_deterministic():
    images = np.random.default_rng(0).integers(0, 256, (14, 32, 32, 3))
    images = images.astype("uint8")
    first, motions = playground.render_clips(images, seed=5)
    again, same = playground.render_clips(images, seed=np.random.default_rng(5))
    other, _ = playground.render_clips(images, seed=6)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(motions, same)
    assert not np.array_equal(first, other)
    assert first.shape == (14, 8, 32, 32, 3)
    assert first.dtype == np.uint8


def center(frames):
    """Return the ink's center as (x, y) for each frame, (clips, frames)."""
    ink = 255.0 - frames.mean(axis=-1)
    total = ink.sum(axis=(-2, -1))
    places = np.arange(frames.shape[-2])
    x = (ink.sum(axis=-2) * places).sum(-1) / total
    y = (ink.sum(axis=-1) * places).sum(-1) / total
    return x, y


def test_clips_show_their_motion():
    # A dot right of a larger blob, so that turning has a direction.
    image = np.full((32, 32, 3), 255, "uint8")
    image[12:20, 10:22] = 0
    clips, motions = playground.render_clips(np.stack([image] * 50), seed=1)

    def of(name):
        return clips[motions == playground.MOTIONS.index(name)]

    for name, axis, sign in [
        ("moving left", 0, -1),
        ("moving right", 0, 1),
        ("moving up", 1, -1),
        ("moving down", 1, 1),
    ]:
        steps = np.diff(center(of(name))[axis], axis=1)
        assert (sign * steps > 0.5).all(), name
    dark = (255.0 - of("growing")).sum(axis=(2, 3, 4))
    assert (np.diff(dark, axis=1) > 0).all()
    dark = (255.0 - of("shrinking")).sum(axis=(2, 3, 4))
    assert (np.diff(dark, axis=1) < 0).all()
    blank = (of("blinking") == 255).all(axis=(2, 3, 4))
    assert (blank.sum(axis=1) == 4).all()
    still = of("standing still")
    assert (still == still[:, :1]).all()


@pytest.mark.parametrize(
    ("name", "sign"),
    [("turning clockwise", 1), ("turning counterclockwise", -1)],
)
def test_turning_goes_the_way_it_says(name, sign):
    # The left half is grey, the right half black: the black side's direction
    # from the middle turns clockwise when its angle grows (y points down).
    image = np.full((32, 32, 3), 255, "uint8")
    image[8:24, 8:16] = 230
    image[8:24, 16:24] = 0
    clips, motions = playground.render_clips(np.stack([image] * 50), seed=2)
    chosen = clips[motions == playground.MOTIONS.index(name)]
    whole = np.where(chosen < 240, 0, 255).astype("uint8")
    black = np.where(chosen < 100, 0, 255).astype("uint8")
    x, y = (b - w for b, w in zip(center(black), center(whole), strict=True))
    turned = np.diff(np.unwrap(np.arctan2(y, x), axis=1), axis=1)
    assert (sign * turned > 0).all()


@pytest.mark.parametrize(
    ("frames", "size", "height"), [(2, 16, 32), (5, 48, 20)]
)
def test_clip_sizes(frames, size, height):
    images = np.zeros((3, height, height + 4, 3), "uint8")
    clips, motions = playground.render_clips(images, frames=frames, size=size)
    assert clips.shape == (3, frames, size, size, 3)
    assert motions.shape == (3,)
    assert (clips == 0).any()


def test_float_images_are_refused():
    with pytest.raises(ValueError, match="uint8") as error:
        playground.render_clips(np.zeros((2, 32, 32, 3), "float32"))
    assert str(error.value) == (
        "`images` must be RGB images (images, height, width, 3) in "
        "uint8. Received: shape=(2, 32, 32, 3), dtype=float32. "
        "Pass the `images` of a playground split."
    )


def test_one_frame_is_refused():
    with pytest.raises(ValueError, match="frames") as error:
        playground.render_clips(np.zeros((2, 32, 32, 3), "uint8"), frames=1)
    assert str(error.value) == (
        "A clip needs at least 2 frames of 8 pixels. "
        "Received: frames=1, size=32. Use larger values."
    )


def test_captions_need_one_motion_each():
    with pytest.raises(ValueError, match="motion") as error:
        playground.clip_captions(["owl"], np.array([1, 2]))
    assert str(error.value) == (
        "Every name needs one motion. Received: len(names)=1, "
        "len(motions)=2. Pass the names of the images given to "
        "`render_clips`."
    )
