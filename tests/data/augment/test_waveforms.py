"""Augmentations of waveforms."""

import re
from functools import partial

import numpy as np
import pytest

from keras_imp.data.augment import Draws, waveforms
from tests.helpers.augmentations import (
    assert_each_row_is_alone,
    assert_result_is_like_the_argument,
)

pytestmark = pytest.mark.one_backend

RATE = 8000
RNG = np.random.default_rng(0)
AUDIO = RNG.uniform(-1, 1, (23, 1000)).astype("float32")
ALL = {
    "pitch": partial(waveforms.vary_pitch, semitones=(-3, 4)),
    "gain": waveforms.gain,
    "shift": partial(waveforms.shift, samples=90),
}
each = pytest.mark.parametrize("function", ALL.values(), ids=ALL)


def tone(hertz, seconds=1.0):
    times = np.arange(int(RATE * seconds)) / RATE
    return np.sin(2 * np.pi * hertz * times)


@each
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shape_and_dtype_stay_and_the_argument_too(function, dtype):
    assert_result_is_like_the_argument(function, AUDIO.astype(dtype))


@each
def test_an_example_does_not_depend_on_the_others(function):
    assert_each_row_is_alone(function, AUDIO)


@pytest.mark.parametrize("semitones", [-12, -7, -1, 0.5, 4, 12])
def test_a_tone_becomes_one_of_the_other_pitch(semitones):
    factor = 2 ** (semitones / 12)
    found = waveforms.shift_pitch(tone(500)[None], semitones)[0]
    # Away from the borders, where silence takes part in the means.
    inside = slice(100, int(min(1, 1 / factor) * RATE) - 100)
    error = found[inside] - tone(500 * factor)[inside]
    assert np.abs(error).max() < 2e-3
    silent = found[int(np.ceil(RATE / factor)) + 1 :]
    assert not silent.any()


def test_what_would_fold_back_is_filtered_out():
    # 3,700 hertz, an octave up, would be heard at 600.
    found = waveforms.shift_pitch(tone(3700)[None], 12)[0]
    assert np.abs(found[100:3900]).max() < 0.01


def test_each_waveform_has_its_own_step():
    steps = np.array([0, 5, -5, 5])
    found = waveforms.shift_pitch(AUDIO[:4], steps)
    for row, step in enumerate(steps):
        alone = waveforms.shift_pitch(AUDIO[[row]], step)
        np.testing.assert_array_equal(alone[0], found[row])
    np.testing.assert_array_equal(found[0], AUDIO[0])


def test_gain_is_one_factor_in_its_range():
    factors = waveforms.gain(AUDIO, Draws(0, 0, 23), decibels=20) / AUDIO
    assert np.ptp(factors, axis=1).max() < 1e-4
    assert 0.1 <= factors.min() < 0.2
    assert 5 < factors.max() <= 10.001


def test_a_shift_moves_in_silence():
    found = waveforms.shift(AUDIO, Draws(0, 0, 23), samples=90)
    padded = np.pad(AUDIO, ((0, 0), (90, 90)))
    moves = [
        [
            move
            for move in range(181)
            if (padded[row, move : move + 1000] == found[row]).all()
        ]
        for row in range(23)
    ]
    assert all(len(fitting) == 1 for fitting in moves)
    assert len({fitting[0] for fitting in moves}) > 10


two = Draws(0, 0, 2)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: waveforms.gain(AUDIO[0], two),
            "`waveforms` must be a float array with the axes (waveforms, "
            "samples). Received: shape=(1000,), dtype='float32'.",
        ),
        (
            lambda: waveforms.shift_pitch(AUDIO[:2], [1, 2, 3]),
            "`semitones` must be a number from -48 to 48, or one for each "
            "waveform. Received: waveforms=2, semitones=[1, 2, 3].",
        ),
        (
            lambda: waveforms.vary_pitch(AUDIO[:2], two, semitones=()),
            "`semitones` must have a step. Received: semitones=().",
        ),
        (
            lambda: waveforms.shift(AUDIO[:2], two, samples=1001),
            "`samples` must not be above the length of the waveforms. "
            "Received: samples=1001, length=1000.",
        ),
    ],
    ids=["axes", "semitones", "no step", "samples"],
)
def test_bad_arguments(call, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        call()
