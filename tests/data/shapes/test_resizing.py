import re

import numpy as np
import pytest

from keras_imp.data.shapes.resizing import (
    check_size,
    crop_time,
    resize,
    resize_pictures,
    subsample_frames,
)

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


def expected_pictures(pictures, size):
    rows = triangle_weights(pictures.shape[-3], size[0])
    columns = triangle_weights(pictures.shape[-2], size[1])
    return np.einsum(
        "ah,...hwc,bw->...abc", rows, pictures.astype("float64"), columns
    )


@pytest.mark.parametrize("size", [(24, 24), (8, 20), (11, 40)])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_pictures_agree_with_the_oracle(rng, size, dtype):
    pictures = rng.integers(0, 256, (3, 32, 32, 3)).astype(dtype)
    found = resize_pictures(pictures, size)
    assert found.shape == (3, *size, 3)
    assert found.dtype == dtype
    np.testing.assert_allclose(
        found.astype("float64"),
        expected_pictures(pictures, size),
        atol=ONE_STEP if dtype == "uint8" else 1e-3,
    )


def test_each_frame_of_a_clip_is_a_picture(rng):
    clips = rng.integers(0, 256, (2, 4, 16, 16, 3), dtype="uint8")
    found = resize_pictures(clips, (8, 8))
    for frame in range(4):
        np.testing.assert_array_equal(
            found[:, frame], resize_pictures(clips[:, frame], (8, 8))
        )


def test_a_picture_of_the_size_stays_as_it_is(rng):
    pictures = rng.normal(size=(2, 8, 8, 3)).astype("float16")
    assert resize_pictures(pictures, (8, 8)) is pictures
    assert resize_pictures(pictures, (4, 4)).dtype == "float16"


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
    clips = np.arange(stored).reshape(1, stored, 1, 1, 1)
    assert subsample_frames(clips, frames).ravel().tolist() == expected


def test_a_crop_in_time_is_a_stretch_of_each_example(rng):
    sounds = np.arange(5 * 9 * 2).reshape(5, 9, 2)
    found = crop_time(sounds, 4, rng)
    assert found.shape == (5, 4, 2)
    starts = [
        int(np.flatnonzero((row == part[0]).all(1))[0])
        for row, part in zip(sounds, found)
    ]
    for row, part, start in zip(sounds, found, starts):
        np.testing.assert_array_equal(part, row[start : start + 4])
    assert len(set(starts)) > 1


def test_crops_begin_anywhere():
    sounds = np.arange(5)[None].repeat(2000, 0)
    starts = crop_time(sounds, 3, np.random.default_rng(0))[:, 0]
    # 0, 1 and 2, a third each: a deviation of 21 around 667.
    assert (abs(np.bincount(starts) - 2000 / 3) < 85).all()


@pytest.mark.parametrize(
    ("name", "stored", "size", "shape"),
    [
        ("image", (2, 16, 16, 3), (8, 4), (2, 8, 4, 3)),
        ("image", (2, 16, 16, 3), (20, 20), (2, 20, 20, 3)),
        ("video", (2, 8, 16, 16, 3), (4, 8, 4), (2, 4, 8, 4, 3)),
        ("audio", (2, 9, 4), (5, 4), (2, 5, 4)),
        ("waveform", (2, 9), (5,), (2, 5)),
        ("text", (2, 9), (5,), (2, 5)),
        ("text", (2, 3, 9), (5,), (2, 3, 5)),
    ],
)
def test_every_modality_gets_its_size(rng, name, stored, size, shape):
    values = rng.integers(0, 9, stored).astype("float32")
    assert resize(name, values, size, rng).shape == shape


def test_text_keeps_its_first_tokens(rng):
    text = np.arange(12).reshape(2, 6)
    assert resize("text", text, (2,), rng).tolist() == [[0, 1], [6, 7]]


@pytest.mark.parametrize(
    ("name", "stored", "size", "text"),
    [
        (
            "video",
            (2, 4, 8, 8, 3),
            (5, 8, 8),
            "A shape must not ask for more frames of 'video' than there are. "
            "Received: asked=5, stored=4.",
        ),
        (
            "waveform",
            (2, 9),
            (10,),
            "A shape must not ask for more samples of 'waveform' than there "
            "are. Received: asked=10, stored=9.",
        ),
        (
            "text",
            (2, 3, 9),
            (10,),
            "A shape must not ask for more tokens of 'text' than there are. "
            "Received: asked=10, stored=9.",
        ),
        (
            "audio",
            (2, 9, 4),
            (9, 2),
            "A shape must keep the mel bins of 'audio'. Received: asked=2, "
            "stored=4. Make the spectrograms with another number of bins.",
        ),
    ],
)
def test_a_size_that_cannot_be_had_is_refused(name, stored, size, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        check_size(name, stored, size)
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        resize(name, np.zeros(stored), size, np.random.default_rng(0))
