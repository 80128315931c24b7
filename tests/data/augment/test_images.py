"""Augmentations of images: against pixels worked out one by one."""

import re
from functools import partial

import numpy as np
import pytest

from keras_imp.data.augment import Draws, images

pytestmark = pytest.mark.one_backend

RNG = np.random.default_rng(0)
# Axes of different sizes, and more images than are worked on together.
IMAGES = RNG.integers(0, 256, (41, 13, 11, 3), "uint8")
FLOATS = (IMAGES / 127.5 - 1).astype("float32")
VIDEOS = RNG.integers(0, 256, (5, 2, 13, 11, 3), "uint8")

affine = partial(images.affine, rotation=20, scale=(0.7, 1.3), shift=0.1)
ALL = {
    "affine": affine,
    "affine on white": partial(affine, fill=1.0),
    "flip": images.flip,
    "colors": partial(images.mix_colors, strength=0.3),
    "contrast": partial(images.contrast, strength=0.3),
    "from white": partial(images.contrast, strength=0.3, keep="white"),
}
each = pytest.mark.parametrize("function", ALL.values(), ids=ALL)


def draws(count, index=0):
    return Draws(3, index, np.arange(count) * 7)


def pixel(image, y, x, fill):
    height, width = image.shape[:2]
    if fill == "edge":
        return image[min(max(y, 0), height - 1), min(max(x, 0), width - 1)]
    inside = 0 <= y < height and 0 <= x < width
    return image[y, x] if inside else np.full(image.shape[-1], fill)


def transformed(image, rotation, scale, shift, fill):
    """The same pixel by pixel: where does each come from?"""
    height, width = image.shape[:2]
    angle = np.deg2rad(rotation)
    result = np.zeros(image.shape)
    for row in range(height):
        for column in range(width):
            y = row - (height - 1) / 2 - shift[0] * height
            x = column - (width - 1) / 2 - shift[1] * width
            # Back by the angle, then back to the old size.
            back_x = (np.cos(angle) * x + np.sin(angle) * y) / scale[1]
            back_y = (-np.sin(angle) * x + np.cos(angle) * y) / scale[0]
            u = back_x + (width - 1) / 2
            v = back_y + (height - 1) / 2
            for y in (int(np.floor(v)), int(np.floor(v)) + 1):
                for x in (int(np.floor(u)), int(np.floor(u)) + 1):
                    weight = (1 - abs(v - y)) * (1 - abs(u - x))
                    result[row, column] += weight * pixel(image, y, x, fill)
    return result


@pytest.mark.parametrize("fill", ["edge", 1.0, -0.5])
def test_a_transform_is_that_of_each_pixel(fill):
    rotation = RNG.uniform(-180, 180, 9)
    scale = RNG.uniform(0.5, 2, (9, 2))
    shift = RNG.uniform(-0.5, 0.5, (9, 2))
    found = images.transform(FLOATS[:9], rotation, scale, shift, fill)
    expected = [
        transformed(*arguments, fill)
        for arguments in zip(FLOATS[:9], rotation, scale, shift)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_uint8_is_rounded():
    found = images.transform(IMAGES[:3], 30, 0.9, 0.1, 200)
    exact = images.transform(IMAGES[:3].astype("float64"), 30, 0.9, 0.1, 200)
    assert found.dtype == "uint8"
    assert np.abs(found - exact).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("values", [IMAGES, FLOATS, VIDEOS])
def test_no_change_is_exact(values):
    np.testing.assert_array_equal(images.transform(values), values)
    np.testing.assert_array_equal(images.transform(values, fill=0), values)


def test_half_a_turn_is_exact():
    expected = IMAGES[:, ::-1, ::-1]
    found = images.transform(IMAGES, rotation=180)
    np.testing.assert_array_equal(found, expected)


def test_a_positive_shift_moves_down_and_right():
    found = images.transform(IMAGES, shift=[[2 / 13, 1 / 11]] * 41, fill=9)
    # The size in float32 is no exact fraction.
    difference = found[:, 2:, 1:].astype(int) - IMAGES[:, :-2, :-1]
    assert abs(difference).max() <= 1
    assert (found[:, :2] == 9).all()


def test_draws_stay_in_their_ranges(monkeypatch):
    kept = {}
    monkeypatch.setattr(
        images,
        "transform",
        lambda x, *drawn: kept.update(zip(("angle", "scale", "shift"), drawn)),
    )
    many = np.zeros((500, 1, 1, 1), "uint8")
    options = {"rotation": 12, "scale": (0.8, 1.15), "shift": 0.1}
    images.affine(many, Draws(0, 0, 500), **options)
    for drawn, low, high in (
        (kept["angle"], -12, 12),
        (kept["scale"], 0.8, 1.15),
        (kept["shift"], -0.1, 0.1),
    ):
        assert low <= drawn.min() < low + (high - low) / 20
        assert high - (high - low) / 20 < drawn.max() <= high + 1e-6
    assert (kept["scale"][:, 0] != kept["scale"][:, 1]).all()
    images.affine(many, Draws(0, 0, 500), keep_aspect=True, **options)
    assert kept["scale"].shape == (500, 1)


@each
@pytest.mark.parametrize("values", [IMAGES, FLOATS, VIDEOS])
def test_shape_dtype_and_range_stay_and_the_argument_too(function, values):
    before = values.copy()
    result = function(values, draws(len(values)))
    assert result.shape == values.shape
    assert result.dtype == values.dtype
    assert result.min() >= values.min() - 1e-6 or function is ALL["from white"]
    np.testing.assert_array_equal(values, before)
    assert (result != values).any()


@each
def test_an_image_does_not_depend_on_the_others(function):
    together = function(IMAGES, draws(41))
    rows = draws(41).rows
    for place in (0, 17, 40):
        alone = function(IMAGES[[place]], Draws(3, 0, rows[[place]]))
        np.testing.assert_array_equal(alone[0], together[place])


# Without "contrast", whose mean is that of the whole video.
@pytest.mark.parametrize("name", sorted(set(ALL) - {"contrast"}))
def test_all_frames_of_a_video_are_treated_alike(name):
    function = ALL[name]
    video = function(VIDEOS, draws(5))
    for frame in range(2):
        expected = function(VIDEOS[:, frame], draws(5))
        np.testing.assert_array_equal(video[:, frame], expected)


@each
def test_float_images_are_treated_as_uint8_ones(function):
    if function is ALL["affine on white"]:
        function = partial(affine, fill=255)
        floats = partial(affine, fill=1.0)
    else:
        floats = function
    found = (floats(FLOATS, draws(41)) + 1) * 127.5
    assert np.abs(found - function(IMAGES, draws(41))).max() <= 0.51


@pytest.mark.parametrize(
    ("direction", "expected"),
    [("horizontal", IMAGES[:, :, ::-1]), ("vertical", IMAGES[:, ::-1])],
)
def test_half_are_mirrored_of_those_that_may_be(direction, expected):
    flip = partial(images.flip, draws=draws(41), direction=direction)
    always = flip(IMAGES, probability=1.0)
    np.testing.assert_array_equal(always, expected)
    where = np.arange(41) % 2 == 0
    some = flip(IMAGES, probability=1.0, where=where)
    np.testing.assert_array_equal(some[~where], IMAGES[~where])
    np.testing.assert_array_equal(some[where], expected[where])
    changed = (flip(IMAGES) != IMAGES).any(axis=(1, 2, 3))
    assert 10 < changed.sum() < 31


def test_mixed_colors_keep_grays_and_the_strength():
    grays = np.repeat(IMAGES[..., :1], 3, axis=-1)
    found = images.mix_colors(grays, draws(41), strength=1.0)
    np.testing.assert_array_equal(found, grays)
    found = images.mix_colors(IMAGES, draws(41), strength=0.1)
    assert 10 < np.abs(found - IMAGES.astype(int)).max() <= 26


@pytest.mark.parametrize(("keep", "value"), [("white", 255), ("black", 0)])
def test_contrast_keeps_white_or_black(keep, value):
    plain = np.full((41, 3, 3, 3), value, "uint8")
    found = images.contrast(plain, draws(41), strength=0.5, keep=keep)
    np.testing.assert_array_equal(found, plain)


def test_contrast_keeps_the_mean():
    calm = FLOATS / 4
    found = images.contrast(calm, draws(41), strength=0.5)
    mean = partial(np.mean, axis=(1, 2, 3))
    np.testing.assert_allclose(mean(found), mean(calm), atol=1e-5)
    spread = found.std(axis=(1, 2, 3)) / calm.std(axis=(1, 2, 3))
    assert 0.5 <= spread.min() < 0.6
    assert 1.4 < spread.max() <= 1.5


two = Draws(0, 0, 2)
HERE = IMAGES[:2]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: images.flip(HERE[0], two),
            "Images must have the axes (images, height, width, channels), "
            "videos (videos, frames, height, width, channels). Received: "
            "shape=(13, 11, 3).",
        ),
        (
            lambda: images.flip(HERE.astype("int32"), two),
            "Images must be uint8, or float in [-1, 1]. Received: "
            "dtype='int32'.",
        ),
        (
            lambda: images.flip(IMAGES[:3], two),
            "There must be one row of `draws` for each example. Received: "
            "examples=3, draws=2.",
        ),
        (
            lambda: images.flip(HERE, two, where=[1, 0]),
            "`where` must be one bool for each image. Received: images=2, "
            "shape=(2,), dtype='int64'.",
        ),
        (
            lambda: images.flip(HERE, two, direction="left"),
            "`direction` must be one of ('horizontal', 'vertical'). Received: "
            "direction='left'.",
        ),
        (
            lambda: images.affine(HERE, two, rotation=-1),
            "`rotation` must be a number of at least 0. Received: rotation=-1.",
        ),
        (
            lambda: images.affine(HERE, two, scale=0.9),
            "`scale` must be the least and the largest factor, above 0. "
            "Received: scale=0.9.",
        ),
        (
            lambda: images.affine(HERE, two, fill=256),
            "`fill` must be a number on the scale of the images, or 'edge'. "
            "Received: fill=256, dtype='uint8'.",
        ),
        (
            lambda: images.transform(HERE, scale=0.0),
            "`scale` must be greater than 0. Received: scale=0.0.",
        ),
        (
            lambda: images.mix_colors(HERE, two, strength=1.5),
            "`strength` must be a number of at least 0 and at most 1. "
            "Received: strength=1.5.",
        ),
    ],
    ids=[
        "one image", "integers", "rows", "where", "direction", "rotation",
        "scale", "fill", "no scale", "strength",
    ],
)  # fmt: skip
def test_bad_arguments(call, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        call()
