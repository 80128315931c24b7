import numpy as np
import pytest

from keras_imp.models.resizing import (
    crop_time,
    resize_images,
    subsample_frames,
)

pytestmark = pytest.mark.one_backend

# Pillow rounds the weights of its filter for bytes.
ONE_STEP = 1.0


def triangle_weights(stored, wanted):
    """Antialiased bilinear weights: a triangle as wide as the factor."""
    factor = stored / wanted
    reach = max(1.0, factor)
    centers = (np.arange(wanted) + 0.5) * factor
    places = np.arange(stored) + 0.5
    weights = np.maximum(0, 1 - abs(places - centers[:, None]) / reach)
    return weights / weights.sum(1, keepdims=True)


def expected_images(images, size):
    rows = triangle_weights(images.shape[-3], size[0])
    columns = triangle_weights(images.shape[-2], size[1])
    return np.einsum(
        "ah,...hwc,bw->...abc", rows, images.astype("float64"), columns
    )


@pytest.mark.parametrize("size", [(24, 24), (8, 20), (11, 40)])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_images_agree_with_the_oracle(rng, size, dtype):
    images = rng.integers(0, 256, (3, 32, 32, 3)).astype(dtype)
    found = resize_images(images, size)
    assert found.shape == (3, *size, 3)
    assert found.dtype == dtype
    np.testing.assert_allclose(
        found.astype("float64"),
        expected_images(images, size),
        atol=ONE_STEP if dtype == "uint8" else 1e-3,
    )


def test_each_frame_of_a_video_is_an_image(rng):
    videos = rng.integers(0, 256, (2, 4, 16, 16, 3), dtype="uint8")
    found = resize_images(videos, (8, 8))
    for frame in range(4):
        np.testing.assert_array_equal(
            found[:, frame], resize_images(videos[:, frame], (8, 8))
        )


def test_an_image_of_the_size_stays_as_it_is(rng):
    images = rng.normal(size=(2, 8, 8, 3)).astype("float16")
    assert resize_images(images, (8, 8)) is images
    assert resize_images(images, (4, 4)).dtype == "float16"


@pytest.mark.parametrize(
    ("stored", "frames", "expected"),
    [
        (8, 4, [0, 2, 4, 6]),
        (8, 8, list(range(8))),
        (8, 1, [0]),
        (7, 3, [0, 2, 4]),
        (16, 12, [0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14]),
    ],
)
def test_frames_are_spread_evenly(stored, frames, expected):
    videos = np.arange(stored).reshape(1, stored, 1, 1, 1)
    assert subsample_frames(videos, frames).ravel().tolist() == expected


def test_a_crop_in_time_is_a_stretch_of_each_example(rng):
    audio = np.arange(5 * 9 * 2).reshape(5, 9, 2)
    found = crop_time(audio, (4, 2), rng)
    assert found.shape == (5, 4, 2)
    starts = [
        int(np.flatnonzero((row == part[0]).all(1))[0])
        for row, part in zip(audio, found)
    ]
    for row, part, start in zip(audio, found, starts):
        np.testing.assert_array_equal(part, row[start : start + 4])
    assert len(set(starts)) > 1


def test_crops_begin_anywhere():
    audio = np.arange(5)[None].repeat(2000, 0)
    starts = crop_time(audio, (3,), np.random.default_rng(0))[:, 0]
    # 0, 1 and 2, a third each: a deviation of 21 around 667.
    assert (abs(np.bincount(starts) - 2000 / 3) < 85).all()


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_any_number_of_channels_is_scaled_alone(rng, channels):
    """Pillow would take a fourth channel for transparency."""
    images = rng.integers(0, 256, (2, 8, 8, channels), dtype="uint8")
    found = resize_images(images, (4, 6))
    for channel in range(channels):
        three = images[..., [channel] * 3]
        np.testing.assert_array_equal(
            found[..., channel], resize_images(three, (4, 6))[..., 0]
        )


def test_integers_of_more_bits_are_rounded():
    images = np.array([0, 1000, 1001], "uint16")[None, None, :, None]
    images = images.repeat(2, axis=1)
    floats = resize_images(images.astype("float32"), (2, 2))
    found = resize_images(images, (2, 2))
    assert found.dtype == "uint16"
    np.testing.assert_array_equal(found, np.rint(floats))


def test_no_images_are_none_of_the_new_size():
    assert resize_images(np.zeros((0, 8, 8, 3)), (4, 4)).shape == (0, 4, 4, 3)
