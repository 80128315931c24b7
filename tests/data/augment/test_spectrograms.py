"""Augmentations of spectrograms."""

import re
from functools import partial

import numpy as np
import pytest

from keras_imp.data.augment import Draws, spectrograms
from tests.helpers.augmentations import (
    assert_each_row_is_alone,
    assert_result_is_like_the_argument,
)

pytestmark = pytest.mark.one_backend

RNG = np.random.default_rng(0)
AUDIO = RNG.normal(size=(31, 13, 11)).astype("float32")
ALL = {
    "shift": partial(spectrograms.shift, frames=3, bins=2),
    "shift silence": partial(spectrograms.shift, frames=3, bins=2, fill=-1.0),
    "gain": spectrograms.gain,
    "tilt": spectrograms.tilt,
    "equalize": spectrograms.equalize,
    "mask": partial(spectrograms.mask_bands, frames=5, bins=4, count=2),
}
each = pytest.mark.parametrize("function", ALL.values(), ids=ALL)


@each
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shape_and_dtype_stay_and_the_argument_too(function, dtype):
    assert_result_is_like_the_argument(function, AUDIO.astype(dtype))


@each
def test_an_example_does_not_depend_on_the_others(function):
    assert_each_row_is_alone(function, AUDIO)


@pytest.mark.parametrize("fill", ["edge", -9.0])
def test_a_shift_is_one_of_those_that_may_be(fill):
    found = spectrograms.shift(
        AUDIO, Draws(0, 0, 31), frames=2, bins=1, fill=fill
    )
    margins = ((2, 2), (1, 1))
    moves = set()
    for before, after in zip(AUDIO, found):
        padded = (
            np.pad(before, margins, mode="edge")
            if fill == "edge"
            else np.pad(before, margins, constant_values=fill)
        )
        moves |= {
            (row, column)
            for row in range(5)
            for column in range(3)
            if (padded[row : row + 13, column : column + 11] == after).all()
        }
    assert len(moves) > 10


def test_gain_adds_one_number_and_tilt_a_line():
    added = spectrograms.gain(AUDIO, Draws(0, 0, 31), strength=0.5) - AUDIO
    assert np.ptp(added, axis=(1, 2)).max() < 1e-5
    assert abs(added).max() <= 0.5 + 1e-6
    added = spectrograms.tilt(AUDIO, Draws(0, 0, 31), strength=0.5) - AUDIO
    steps = np.diff(added, axis=2)
    assert np.ptp(steps, axis=(1, 2)).max() < 1e-5
    np.testing.assert_allclose(added[..., 0], -added[..., -1], atol=1e-6)
    assert 0.4 < abs(added).max() <= 0.5 + 1e-6


def test_equalizing_adds_one_smooth_curve_to_all_frames():
    audio = np.zeros((400, 3, 64), "float32")
    found = spectrograms.equalize(audio, Draws(0, 0, 400), strength=0.5)
    curves = found[:, 0]
    np.testing.assert_array_equal(found, np.stack([curves] * 3, axis=1))
    # Amplitudes of at most 1/2, 1/4, 1/6 and 1/8.
    assert 0.5 < abs(curves).max() <= 0.5 * (1 + 1 / 2 + 1 / 3 + 1 / 4)
    steepest = 0.5 * 4 * np.pi / 63
    assert abs(np.diff(curves)).max() <= steepest
    # Every bin is louder as often as it is less loud.
    assert abs(curves.mean(axis=0)).max() < 0.06
    assert curves.std(axis=0).min() > 0.1


def test_masked_bands_are_whole_and_no_wider_than_allowed():
    audio = np.zeros((400, 13, 11), "float32")
    found = spectrograms.mask_bands(
        audio, Draws(0, 0, 400), frames=4, bins=3, fill=1.0
    )
    frames, bins = (found == 1).all(axis=2), (found == 1).all(axis=1)
    expected = frames[:, :, None] | bins[:, None, :]
    np.testing.assert_array_equal(found == 1, expected)
    for masked, widest in ((frames, 4), (bins, 3)):
        assert set(masked.sum(axis=1)) == set(range(widest + 1))
        # Every place may be masked, and each is one band.
        assert masked.any(axis=0).all()
        padded = np.pad(masked, ((0, 0), (1, 0)))
        starts = padded[:, 1:] & ~padded[:, :-1]
        assert starts.sum(axis=1).max() == 1


def test_masks_hold_the_mean_of_each_example():
    found = spectrograms.mask_bands(AUDIO, Draws(0, 0, 31), frames=13)
    mean = np.broadcast_to(AUDIO.mean(axis=(1, 2), keepdims=True), AUDIO.shape)
    masked = found != AUDIO
    assert masked.any()
    np.testing.assert_allclose(found[masked], mean[masked], atol=1e-6)


two = Draws(0, 0, 2)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: spectrograms.gain(np.zeros((2, 9)), two),
            "`spectrograms` must be a float array with the axes (spectrograms, "
            "frames, bins). Received: shape=(2, 9), dtype='float64'.",
        ),
        (
            lambda: spectrograms.gain(np.zeros((2, 9, 9), "int16"), two),
            "`spectrograms` must be a float array with the axes (spectrograms, "
            "frames, bins). Received: shape=(2, 9, 9), dtype='int16'.",
        ),
        (
            lambda: spectrograms.shift(AUDIO[:2], two, frames=0.5),
            "`frames` must be an integer of at least 0. Received: frames=0.5.",
        ),
        (
            lambda: spectrograms.shift(AUDIO[:2], two, fill="mean"),
            "`fill` must be a number or 'edge'. Received: fill='mean'.",
        ),
        (
            lambda: spectrograms.mask_bands(AUDIO[:2], two, frames=14),
            "A band must not be wider than the spectrograms. Received: "
            "frames=14, bins=0, shape=(2, 13, 11).",
        ),
        (
            lambda: spectrograms.equalize(AUDIO[:2], two, strength=-1),
            "`strength` must be a number of at least 0. Received: strength=-1.",
        ),
        (
            lambda: spectrograms.tilt(AUDIO[:2], two, strength=-1),
            "`strength` must be a number of at least 0. Received: strength=-1.",
        ),
    ],
    ids=["axes", "integers", "frames", "fill", "width", "curve", "strength"],
)
def test_bad_arguments(call, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        call()
