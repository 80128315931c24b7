"""Examples of any size become those of a model: what is kept, and where."""

import re

import numpy as np
import pytest

from keras_imp.data.examples import rows_of, several_of, size_of, with_rate
from keras_imp.data.fitting import crop_box, fit_audio, fit_image, fit_video

pytestmark = pytest.mark.one_backend


def refused(text, error=ValueError):
    return pytest.raises(error, match=f"^{re.escape(text)}")


def columns(height, width):
    """An image whose value is the number of the column."""
    row = np.arange(width, dtype="uint8")
    return np.broadcast_to(row[None, :, None], (height, width, 3)).copy()


# Images ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "left"), [(0.0, 0.0), (0.5, 10.0), (1.0, 20.0)]
)
def test_the_box_has_the_aspect_ratio_and_a_place(place, left):
    assert crop_box(60, 80, (8, 8), (0.3, place)) == (0.0, left, 60.0, 60.0)
    assert crop_box(80, 60, (8, 8), (place, 0.3)) == (left, 0.0, 60.0, 60.0)
    assert crop_box(60, 80, (6, 8)) == (0.0, 0.0, 60.0, 80.0)


@pytest.mark.parametrize(
    ("place", "mean"), [(0.0, 29.5), (0.5, 39.5), (1.0, 49.5)]
)
def test_a_wide_image_is_cropped_where_it_is_told(place, mean):
    fitted = fit_image(columns(60, 80), (6, 6), place=(0.0, place))
    assert fitted.shape == (6, 6, 3)
    assert fitted.mean() == pytest.approx(mean, abs=0.7)


def test_without_cropping_an_image_is_distorted():
    fitted = fit_image(columns(60, 80), (6, 6), crop=False)
    assert fitted[0, 0, 0] < 12
    assert fitted[0, -1, 0] > 67


def test_an_image_of_the_size_is_itself():
    image = columns(6, 6)
    np.testing.assert_array_equal(fit_image(image, (6, 6)), image)


def test_no_pattern_appears_where_a_fine_one_is_scaled():
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype("uint8")
    assert np.ptp(fit_image(board, (8, 8)).astype(int)) < 16


@pytest.mark.parametrize("shape", [(6, 8), (6, 8, 1)])
def test_gray_becomes_three_equal_channels(shape):
    image = np.arange(48, dtype="uint8").reshape(shape)
    fitted = fit_image(image, (6, 8))
    for channel in range(3):
        np.testing.assert_array_equal(fitted[..., channel], image.reshape(6, 8))


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (200, 500)])
@pytest.mark.parametrize("stored", [(1, 1), (3, 7), (101, 57), (1, 400)])
def test_any_size_becomes_any_other(stored, size):
    for place in ((0.0, 0.0), (0.37, 0.91), (1.0, 1.0)):
        image = np.full((*stored, 3), 200, "uint8")
        fitted = fit_image(image, size, place=place)
        assert fitted.shape == (*size, 3)
        assert (fitted == 200).all()


PIXELS = "must be a uint8 array of shape"


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((6, 8, 3), "float32"),
        np.zeros((6, 8, 3), "uint16"),
        np.zeros((6, 8, 4), "uint8"),
        np.zeros((3, 6, 8), "uint8"),
        np.zeros((0, 8, 3), "uint8"),
        np.zeros(8, "uint8"),
        np.full((6, 8, 3), None),
    ],
    ids=["float", "16 bits", "alpha", "channels first", "empty", "1d", "none"],
)
def test_what_is_no_image_is_refused(image):
    with refused(f"An image {PIXELS} (height, width, 3)"):
        fit_image(image, (6, 6))


# Videos ----------------------------------------------------------------------


def frames(count):
    """A video whose value is the number of the frame."""
    values = np.arange(count, dtype="uint8")[:, None, None, None]
    return np.broadcast_to(values, (count, 6, 8, 3)).copy()


@pytest.mark.parametrize(
    ("stored", "stride", "place", "taken"),
    [
        (10, 1, 0.0, [0, 1, 2, 3]),
        (10, 1, 0.5, [3, 4, 5, 6]),
        (10, 1, 1.0, [6, 7, 8, 9]),
        (10, 3, 1.0, [0, 3, 6, 9]),
        (9, 2, 0.5, [1, 3, 5, 7]),
        (3, 1, 0.5, [0, 1, 2, 0]),
        (3, 2, 1.0, [0, 2, 1, 0]),
        (1, 1, 0.0, [0, 0, 0, 0]),
    ],
)
def test_frames_come_from_a_place_and_a_short_video_repeats(
    stored, stride, place, taken
):
    fitted = fit_video(
        frames(stored), (4, 6, 8), stride, place=(place, 0.5, 0.5)
    )
    assert fitted[:, 0, 0, 0].tolist() == taken


def test_all_frames_are_cropped_alike():
    video = np.stack([columns(60, 80)] * 3)
    fitted = fit_video(video, (2, 6, 6), place=(0.0, 0.0, 1.0))
    np.testing.assert_array_equal(fitted[0], fitted[1])
    assert fitted.mean() == pytest.approx(49.5, abs=0.7)


def test_what_is_no_video_is_refused():
    for video in (columns(6, 8), frames(0), frames(2).astype("float32")):
        with refused(f"A video {PIXELS} (frames, height, width, 3)"):
            fit_video(video, (2, 6, 6))


# Audio -----------------------------------------------------------------------


def fit_int16(audio, *arguments, **options):
    return fit_audio(audio, *arguments, **options, dtype="int16")


def test_int16_of_the_length_is_itself():
    audio = np.arange(-32768, 32768, dtype="int16")
    np.testing.assert_array_equal(fit_int16(audio, 16_000, 65536), audio)
    found = fit_audio(audio, 16_000, 65536)
    assert found.dtype == "float32"
    np.testing.assert_array_equal(found, audio / 32768)


def test_float_becomes_the_same_int16():
    whole = np.arange(-32768, 32768, dtype="int16")
    found = fit_int16((whole / 32768).astype("float32"), 16_000, 65536)
    np.testing.assert_array_equal(found, whole)


def test_what_is_beyond_one_is_clipped():
    loud = np.array([1.5, -1.5, 0.5])
    assert fit_audio(loud, 16_000, 3).tolist() == [1.0, -1.0, 0.5]
    assert fit_int16(loud, 16_000, 3).tolist() == [32767, -32768, 16384]


@pytest.mark.parametrize(
    ("place", "kept"), [(0.0, [0, 1]), (0.5, [2, 3]), (1.0, [4, 5])]
)
def test_long_audio_is_cropped_at_a_place(place, kept):
    audio = np.arange(6, dtype="int16")
    assert fit_int16(audio, 16_000, 2, place=place).tolist() == kept


def test_short_audio_gets_silence_at_its_end():
    assert fit_int16(np.ones(2, "int16"), 16_000, 4).tolist() == [1, 1, 0, 0]


def test_channels_are_averaged():
    audio = np.array([[100, 200, 600], [-300, 0, 0]], "int16")
    assert fit_int16(audio, 16_000, 2).tolist() == [300, -100]


@pytest.mark.parametrize("stored", [8_000, 44_100, 48_000])
def test_a_tone_keeps_its_frequency_at_another_rate(stored):
    time = np.arange(2 * stored) / stored
    tone = 0.5 * np.sin(2 * np.pi * 1000 * time)
    fitted = fit_audio(tone.astype("float32"), 16_000, 16_000, stored)
    spectrum = abs(np.fft.rfft(fitted))
    assert spectrum.argmax() == 1000
    # All of it, but for the edges of the part that is resampled.
    assert spectrum[1000] / 8000 == pytest.approx(0.5, rel=0.01)


def test_what_is_too_high_for_the_rate_is_filtered_out():
    time = np.arange(44_100) / 44_100
    tone = np.sin(2 * np.pi * 12_000 * time).astype("float32")
    fitted = fit_audio(tone, 16_000, 16_000, 44_100)
    assert abs(fitted[200:-200]).max() < 1e-3


def test_what_is_no_audio_is_refused():
    shape = "Audio must have shape (samples,) or (samples, channels), with at"
    for audio in (np.zeros(0), np.zeros((1, 2, 3)), np.array(0.5)):
        with refused(shape):
            fit_audio(audio, 16_000, 4)
    with refused("Audio of two axes must have shape (samples, channels)."):
        fit_audio(np.zeros((2, 1000)), 16_000, 4)
    with refused("Samples of audio must be int16, or float in [-1, 1]."):
        fit_audio(np.zeros(4, "int32"), 16_000, 4)
    with refused("Samples of audio must be finite."):
        fit_audio(np.array([0.0, np.nan]), 16_000, 4)


# Forms of examples -----------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("image", np.zeros((6, 8)), None),
        ("image", np.zeros((6, 8, 3)), None),
        ("image", np.zeros((2, 6, 8, 3)), 2),
        ("image", [np.zeros((6, 8, 3))], 1),
        ("video", np.zeros((2, 6, 8, 3)), None),
        ("video", np.zeros((5, 2, 6, 8, 3)), 5),
        ("audio", np.zeros(9), None),
        ("audio", np.zeros((9, 2)), None),
        ("audio", (np.zeros(9), 8000), None),
        ("audio", [(np.zeros(9), 8000)] * 3, 3),
        ("text", "a heart", None),
        ("text", ["a heart"], 1),
        ("text", np.array(["a", "b"]), 2),
        ("text", ("a", "b"), 2),
    ],
)
def test_lists_and_further_axes_are_several_examples(name, value, count):
    found = several_of(name, value)
    assert (found and len(found)) == count


def test_numbers_of_examples_must_agree():
    text = "All modalities must have the same number of examples, as lists"
    for x in (
        {"text": ["a"], "audio": [np.zeros(3)] * 2},
        {"text": "a", "audio": [np.zeros(3)]},
        {"text": []},
    ):
        with refused(text):
            rows_of(x)
    assert rows_of({"text": "a", "audio": np.zeros(3)}) is None


def test_a_rate_comes_with_the_samples():
    assert with_rate(np.zeros(3))[1] is None
    assert with_rate((np.zeros(3), np.int64(8000)))[1] == 8000
    for wrong in ((np.zeros(3), 0), (np.zeros(3), 8000.5)):
        with refused("`sampling_rate` must be an integer of at least 1."):
            with_rate(wrong)
    with refused("A tuple of audio must be an array and its rate."):
        with_rate((np.zeros(3),) * 3)
    with refused("A dict of audio must have `array` and `sampling_rate`."):
        with_rate({"array": np.zeros(3)})


def test_sizes_are_checked():
    assert size_of("image", None, ("height", "width")) is None
    for wrong in (32, (32,), (8, 32, 32)):
        with refused("`image` must be (height, width). Received: image="):
            size_of("image", wrong, ("height", "width"))
    with refused("`image (width)` must be an integer of at least 1."):
        size_of("image", (32, 0), ("height", "width"))
