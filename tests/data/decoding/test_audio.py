"""Audio comes out as one channel of the asked rate; only its part is read."""

import io
import re
import struct

import numpy as np
import pytest
import soundfile

from keras_imp import _optional
from keras_imp.data.decoding import BadFile, audio, decode_audio
from keras_imp.data.decoding.waveform import MAX_SAMPLES

pytestmark = pytest.mark.one_backend

RATE = 16_000
# Of a resampled tone, in the middle: the filter has a small ripple.
RESAMPLED_DISTANCE = 2e-3


def tone(seconds, rate, frequency=440, loudness=0.3):
    times = np.arange(round(seconds * rate)) / rate
    return loudness * np.sin(2 * np.pi * frequency * times)


def encoded(samples, rate, kind="WAV", **settings):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, **settings)
    return file.getvalue()


def reason(data, **settings):
    with pytest.raises(BadFile) as error:
        decode_audio(data, RATE, **settings)
    return error.value.reason


def test_samples_of_the_asked_rate_are_as_stored():
    samples = tone(1, RATE).astype("float32")
    found = decode_audio(encoded(samples, RATE, subtype="FLOAT"), RATE)
    np.testing.assert_array_equal(found.values, samples)
    assert found.values.dtype == "float32"
    assert found.notes == ()
    assert found.facts == {
        "format": "WAV",
        "rate": RATE,
        "channels": 1,
        "seconds": 1.0,
        "is_whole": 1,
    }


def test_a_part_that_is_all_of_its_segment_is_told():
    data = encoded(tone(1, RATE), RATE)

    def is_whole(**settings):
        return decode_audio(data, RATE, **settings).facts["is_whole"]

    assert is_whole(seconds=1.0) == is_whole(seconds=2.0, place=0.7) == 1
    assert is_whole(seconds=0.9) == 0
    assert is_whole(seconds=0.5, start=0.2, end=0.7) == 1
    assert is_whole(seconds=0.5, start=0.2, end=0.8) == 0


@pytest.mark.parametrize("channels", [2, 3, 6])
def test_channels_become_one_by_their_mean(channels, rng):
    samples = rng.uniform(-1, 1, (100, channels)).astype("float32")
    data = encoded(samples, RATE, subtype="FLOAT")
    found = decode_audio(data, RATE).values
    np.testing.assert_allclose(found, samples.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 192_000])
def test_any_rate_becomes_the_asked_one(rate):
    found = decode_audio(encoded(tone(1, rate), rate, subtype="FLOAT"), RATE)
    assert found.values.shape == (RATE,)
    expected = tone(1, RATE)
    middle = slice(1000, -1000)
    difference = np.abs(found.values - expected)[middle].max()
    assert difference < RESAMPLED_DISTANCE


def test_what_is_above_half_of_the_new_rate_is_filtered_out():
    data = encoded(tone(1, 48_000, frequency=12_000), 48_000)
    found = decode_audio(data, RATE).values
    assert np.abs(found[1000:-1000]).max() < 1e-3


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3", "AIFF"])
@pytest.mark.parametrize("place", [0.0, 0.37, 1.0])
def test_a_part_is_the_part_of_the_whole(kind, place):
    # A tone that rises: each part differs.
    times = np.arange(3 * RATE) / RATE
    data = encoded(0.3 * np.sin(2000 * times**2), RATE, kind)
    whole = decode_audio(data, RATE).values
    part = decode_audio(data, RATE, seconds=0.5, place=place).values
    assert part.shape == (8000,)
    start = int(place * (len(whole) - 8000))
    np.testing.assert_allclose(part, whole[start:][:8000], atol=1e-6)


def test_a_segment_bounds_the_part():
    samples = np.repeat(np.arange(10) / 10, 1000)
    data = encoded(samples, 1000, subtype="FLOAT")
    found = decode_audio(data, 1000, start=2.0, end=5.0)
    np.testing.assert_allclose(found.values, samples[2000:5000], atol=1e-7)
    for place, first in ((0.0, 2000), (0.5, 3000), (1.0, 4000)):
        found = decode_audio(
            data, 1000, start=2.0, end=5.0, seconds=1.0, place=place
        )
        np.testing.assert_allclose(found.values, samples[first:][:1000])
    # A table may tell a little more than there is.
    assert decode_audio(data, 1000, start=9.0, end=20.0).values.shape == (1000,)


def test_what_is_too_short_is_filled_with_silence():
    data = encoded(tone(0.5, RATE), RATE, subtype="FLOAT")
    found = decode_audio(data, RATE, seconds=1.0, place=0.7)
    assert found.values.shape == (RATE,)
    np.testing.assert_allclose(found.values[:8000], tone(0.5, RATE), atol=1e-6)
    assert np.all(found.values[8000:] == 0)
    assert found.notes == ()


def test_only_the_part_is_read(monkeypatch):
    data = encoded(np.zeros(RATE * 600, "int16"), RATE, "FLAC")
    read = []
    original = soundfile.SoundFile.read

    def spy(file, frames, *rest, **settings):
        read.append(frames)
        return original(file, frames, *rest, **settings)

    monkeypatch.setattr(soundfile.SoundFile, "read", spy)
    decode_audio(data, RATE, seconds=2.0, place=0.5)
    assert sum(read) == 2 * RATE


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "MP3"])
def test_reading_in_blocks_changes_nothing(kind, monkeypatch):
    times = np.arange(3 * RATE) / RATE
    data = encoded(0.3 * np.sin(2000 * times**2), RATE, kind)
    whole = decode_audio(data, RATE, start=0.5).values
    monkeypatch.setattr(audio, "_BLOCK", 1000)
    found = decode_audio(data, RATE, start=0.5).values
    np.testing.assert_allclose(found, whole, atol=1e-6)


def test_many_channels_are_read_in_blocks():
    samples = np.zeros((70_000, 32), "int16")
    samples[:, 0] = 3200
    found = decode_audio(encoded(samples, RATE), RATE)
    np.testing.assert_allclose(found.values, np.full(70_000, 100 / 32768))


@pytest.mark.parametrize(
    ("samples", "notes"),
    [
        (np.zeros(RATE), ("silent",)),
        (np.full(RATE, 3 / 32768), ("silent",)),
        (np.full(RATE, 4 / 32768), ()),
        (np.stack([tone(1, RATE), -tone(1, RATE)], 1), ("silent",)),
        (tone(0.09, RATE), ("short",)),
        (tone(1, RATE, loudness=32767 / 32768), ()),
        (tone(1, 44_100, 50, 32767 / 32768), ()),
        (np.clip(tone(1, RATE, loudness=1.5), -1, 1), ("clipped",)),
        (np.clip(tone(1, RATE, loudness=40), -1, 1), ("clipped",)),
    ],
    ids=[
        "silence",
        "three steps",
        "four steps",
        "channels that cancel out",
        "short",
        "full scale",
        "full scale of a low tone",
        "clipped",
        "clipped hard",
    ],
)
def test_what_is_odd_is_noted(samples, notes):
    assert decode_audio(encoded(samples, RATE), RATE).notes == notes


def test_floats_beyond_full_scale_are_clipped_and_nothing_is_normalized():
    data = encoded(tone(1, RATE, loudness=3.0), RATE, subtype="FLOAT")
    found = decode_audio(data, RATE)
    assert found.notes == ("clipped",)
    expected = np.clip(tone(1, RATE, loudness=3.0), -1, 1)
    np.testing.assert_allclose(found.values, expected, atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_refused(value):
    samples = tone(1, RATE).astype("float32")
    samples[100] = value
    assert reason(encoded(samples, RATE, subtype="FLOAT")) == "not_finite"


def with_chunks(data, *chunks):
    """A WAV file with other chunks before its samples."""
    extra = b"".join(k + struct.pack("<I", len(v)) + v for k, v in chunks)
    changed = data[:36] + extra + data[36:]
    return changed[:4] + struct.pack("<I", len(changed) - 8) + changed[8:]


def test_a_wav_file_that_lacks_samples_is_noted():
    data = encoded(tone(1, RATE), RATE)
    assert decode_audio(data[:-1000], RATE).notes == ("truncated",)
    longer = with_chunks(data, (b"LIST", bytes(26)))
    assert decode_audio(longer, RATE).notes == ()
    assert decode_audio(longer[:-1000], RATE).notes == ("truncated",)


def test_a_wav_file_of_a_stream_does_not_know_its_size():
    data = bytearray(encoded(tone(1, RATE), RATE))
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    assert decode_audio(bytes(data), RATE).notes == ()


def with_more_samples(data, count):
    """An Ogg file whose last page says that so many samples more end there."""
    place = data.rindex(b"OggS")
    page = bytearray(data[place:])
    samples = int.from_bytes(page[6:14], "little") + count
    page[6:14] = samples.to_bytes(8, "little")
    page[22:26] = bytes(4)
    page[22:26] = ogg_checksum(page).to_bytes(4, "little")
    return data[:place] + bytes(page)


def ogg_checksum(page):
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & (
                (1 << 32) - 1
            )
    return value


def test_an_ogg_file_may_lack_its_last_packets():
    data = encoded(tone(10, RATE), RATE, "OGG")
    assert with_more_samples(data, 0) == data
    longer = with_more_samples(data, RATE // 20)
    found = decode_audio(longer, RATE)
    assert found.notes == ("truncated",)
    np.testing.assert_array_equal(
        found.values[: 10 * RATE], decode_audio(data, RATE).values
    )
    # Whoever asks for a length gets it.
    found = decode_audio(longer, RATE, seconds=10.04)
    assert found.values.shape == (RATE * 251 // 25,)
    assert found.notes == ("truncated",)
    assert reason(with_more_samples(data, RATE)) == "truncated"


@pytest.mark.parametrize("rate", [999, 768_001])
def test_a_rate_that_no_recording_has_is_refused(rate):
    assert reason(encoded(np.zeros(100), rate)) == "not_audio"


def test_samples_of_a_size_that_is_not_read_are_unsupported():
    data = bytearray(encoded(tone(1, RATE), RATE))
    data[34:36] = struct.pack("<H", 53)  # Bits of a sample.
    assert reason(bytes(data)) == "unsupported"


def test_a_flac_file_that_is_cut_is_told_from_one_that_is_damaged(rng):
    data = encoded(rng.normal(size=60 * RATE) * 0.1, RATE, "FLAC")
    assert reason(data[: len(data) // 2]) == "truncated"
    hurt = bytearray(data)
    hurt[40_000:40_400] = rng.bytes(400)
    assert reason(bytes(hurt)) == "damaged"
    # What is not read cannot harm.
    found = decode_audio(bytes(hurt), RATE, seconds=1.0, place=1.0)
    assert found.values.shape == (RATE,)


def test_a_part_after_the_end_is_refused():
    message = (
        "The part that is asked for starts after the file's end. Received: "
        "file='a.wav', reason='beyond_end'. It has 1.000 s, and the part "
        "starts at 1.000 s."
    )
    with pytest.raises(BadFile, match=f"^{re.escape(message)}$"):
        decode_audio(encoded(tone(1, RATE), RATE), start=1.0, name="a.wav")


@pytest.mark.parametrize("new_rate", [8000, 768_000])
def test_what_no_memory_should_hold_is_refused_before_it_is_read(new_rate):
    seconds = MAX_SAMPLES / max(8000, new_rate) + 1
    data = encoded(np.zeros(int(seconds * 8000), "int16"), 8000, "FLAC")
    with pytest.raises(BadFile) as error:
        decode_audio(data, new_rate)
    assert error.value.reason == "too_large"
    assert decode_audio(data, new_rate, seconds=1.0).values.shape == (new_rate,)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"place": 1.5},
            "`place` must be a number of at least 0 and at most 1. Received: "
            "place=1.5.",
        ),
        (
            {"start": 3.0, "end": 3.0},
            "`end` must be after `start`. Received: start=3.0, end=3.0.",
        ),
        (
            {"seconds": 0.0},
            "`seconds` must be greater than 0. Received: seconds=0.0.",
        ),
        (
            {"start": -1.0},
            "`start` must be a number of at least 0. Received: start=-1.0.",
        ),
        ({"rate": 0}, "`rate` must be greater than 0. Received: rate=0."),
    ],
    ids=["place", "end", "seconds", "start", "rate"],
)
def test_bad_arguments_are_errors_of_the_caller(settings, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$") as error:
        decode_audio(encoded(tone(1, RATE), RATE), **settings)
    assert not isinstance(error.value, BadFile)


def test_audio_of_a_video_without_its_extra_is_no_fault_of_the_file(
    odd_files, monkeypatch
):
    def without_av(name):
        if name == "av":
            raise ImportError(name)
        return original(name)

    original = _optional.importlib.import_module
    monkeypatch.setattr(_optional.importlib, "import_module", without_av)
    path = odd_files.root / "data/video/sound_only.mp4"
    message = re.escape("pip install 'keras-imp[video]'")
    with pytest.raises(ImportError, match=message):
        decode_audio(path)
    path = odd_files.root / "data/audio/tone.mp3"
    assert decode_audio(path).values.shape == (2 * RATE,)
