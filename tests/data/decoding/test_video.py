"""Videos come out by time: the frames and the audio that a player gives."""

import re
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import av
import numpy as np
import pytest

from keras_imp.data.augment import Draws, crops
from keras_imp.data.decoding import (
    BadFile,
    decode_audio,
    decode_video,
    frames,
)
from keras_imp.data.decoding.part import Part
from tests.data.odd.videos import clip

pytestmark = pytest.mark.one_backend

# Of the track of a file, in seconds: an encoder's frames do not end with it.
TRACK_SLACK = 0.05


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Videos of 4 s at 25 frames a second, whose bar grows from the left."""
    path = tmp_path_factory.mktemp("videos")
    clip(path / "a.mp4", seconds=4.0)
    clip(path / "silent.mp4", seconds=4.0, sound=False)
    clip(path / "variable.mp4", seconds=4.0, sound=False, variable=True)
    clip(path / "slow.mp4", seconds=6.0, fps=Fraction(1), sound=False)
    clip(path / "a.mkv", seconds=4.0)
    return path


def bar(values):
    """Width of the bright bar of each frame, in pixels."""
    return (values[:, 20, :, 0] > 120).sum(axis=1)


def same(some, others):
    """Whether frames are the same but for what the decoder adds."""
    return np.abs(some.astype(int) - others).max() <= 1


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "silent.mp4"])
def test_all_frames_are_those_that_are_stored(folder, name):
    found = decode_video(folder / name)
    assert found.values.shape == (100, 48, 64, 3)
    assert found.values.dtype == "uint8"
    expected = 1 + 63 * np.arange(100) // 99
    assert np.abs(bar(found.values) - expected).max() <= 1
    assert found.notes == ()
    assert found.facts == {
        "format": "MATROSKA" if name == "a.mkv" else "MP4",
        "height": 48,
        "width": 64,
        "seconds": pytest.approx(4.0, abs=TRACK_SLACK),
        "rate": 25.0,
        "has_audio": int(name != "silent.mp4"),
        "is_whole": 1,
    }


def test_a_part_that_is_all_of_its_segment_is_told(folder):
    def is_whole(decode, name="a.mp4", **settings):
        return decode(folder / name, **settings).facts["is_whole"]

    assert is_whole(decode_video, frames=8, interval=0.6) == 1
    assert is_whole(decode_video, frames=8, interval=0.4) == 0
    assert is_whole(decode_video, frames=8, interval=0.1, end=0.7) == 1
    assert is_whole(decode_audio, seconds=5.0) == 1
    assert is_whole(decode_audio, seconds=3.0) == 0


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("start", [0.0, 0.04, 0.5, 1.99, 3.2])
def test_a_part_is_the_part_of_the_whole(folder, name, start):
    whole = decode_video(folder / name).values
    part = decode_video(folder / name, 8, start=start, interval=0.08).values
    first = int(start * 25 + 1e-6)
    assert same(part, whole[first : first + 16 : 2])


def test_the_place_goes_from_the_start_of_the_segment_to_its_end(folder):
    whole = decode_video(folder / "silent.mp4").values
    for place, first in ((0.0, 25), (0.5, 46), (1.0, 67)):
        found = decode_video(
            folder / "silent.mp4",
            4,
            start=1.0,
            end=3.0,
            interval=0.08,
            place=place,
        ).values
        assert same(found, whole[first : first + 8 : 2])


def test_frames_may_be_spread_over_the_segment(folder):
    whole = decode_video(folder / "silent.mp4").values
    found = decode_video(folder / "silent.mp4", 4, interval=None).values
    assert same(found, whole[::25])


def test_a_segment_of_all_frames(folder):
    whole = decode_video(folder / "silent.mp4").values
    found = decode_video(folder / "silent.mp4", start=1.0, end=2.0).values
    assert same(found, whole[25:50])
    # The frame that is shown at the start began before it.
    found = decode_video(folder / "silent.mp4", start=1.02, end=1.1).values
    assert same(found, whole[25:28])


def test_a_slow_video_repeats_its_frames(folder):
    found = decode_video(folder / "slow.mp4", 6, interval=0.4).values
    whole = decode_video(folder / "slow.mp4").values
    assert len(whole) == 6
    assert same(found, whole[[0, 0, 0, 1, 1, 2]])


def test_a_rate_that_varies_is_read_by_time_stamps(folder):
    whole = decode_video(folder / "variable.mp4").values
    # Each tenth frame is shown for 8 / 25 s.
    stamps = np.arange(100) + np.arange(100) // 10 * 7
    times = np.arange(0, 160, 3)
    shown = np.searchsorted(stamps, times, "right") - 1
    found = decode_video(
        folder / "variable.mp4", len(times), interval=3 / 25
    ).values
    assert same(found, whole[shown])


def test_a_short_video_is_repeated_from_its_start(folder):
    whole = decode_video(folder / "silent.mp4").values
    found = decode_video(folder / "silent.mp4", 8, interval=1.0).values
    assert same(found, whole[[0, 25, 50, 75] * 2])
    times = frames.times_of(Part(1.0, 0.1), 5, 0.03)
    np.testing.assert_allclose(times, [1.0, 1.03, 1.06, 1.09, 1.02])


def test_no_frame_of_a_long_file_is_decoded_in_vain(folder, monkeypatch):
    decoded = []
    original = frames.containers.packets

    def spy(*arguments):
        for found in original(*arguments):
            decoded.extend(found)
            yield found

    monkeypatch.setattr(frames.containers, "packets", spy)
    decode_video(folder / "silent.mp4", 8, start=2.0, interval=0.04)
    # Eight, and those from the last key frame on, which are 12 at most.
    assert 8 <= len(decoded) <= 20


def test_size_and_box_are_those_of_images(folder):
    whole = decode_video(folder / "a.mp4", 2, interval=1.0).values
    found = decode_video(
        folder / "a.mp4", 2, (16, 16), box=(0, 16, 32, 32), interval=1.0
    ).values
    assert found.shape == (2, 16, 16, 3)
    cut = whole[:, :32, 16:48].reshape(2, 16, 2, 16, 2, 3).mean(axis=(2, 4))
    assert np.abs(found - cut).mean() < 3
    views = decode_video(
        folder / "a.mp4",
        2,
        (16, 16),
        lambda h, w: crops.view_boxes(h, w, (16, 16), 3),
        interval=1.0,
    ).values
    assert views.shape == (3, 2, 16, 16, 3)


def test_a_large_video_is_scaled_before_it_is_rgb(tmp_path):
    clip(tmp_path / "large.mp4", size=(480, 640), seconds=0.4, sound=False)
    found = decode_video(tmp_path / "large.mp4", 2, (48, 64)).values
    whole = decode_video(tmp_path / "large.mp4", 2).values
    small = whole.reshape(2, 48, 10, 64, 10, 3).mean(axis=(2, 4))
    assert np.abs(found - small).mean() < 3


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_it_is_turned_as_a_player_does(folder, tmp_path, degrees):
    clip(tmp_path / "turned.mp4", sound=False, rotate=degrees)
    clip(tmp_path / "plain.mp4", sound=False)
    found = decode_video(tmp_path / "turned.mp4").values
    plain = decode_video(tmp_path / "plain.mp4").values
    # To the right: a bar that grew from the left grows from the top.
    assert same(found, np.rot90(plain, -degrees // 90, axes=(1, 2)))
    boxes = []
    decode_video(
        tmp_path / "turned.mp4",
        1,
        box=lambda *hw: boxes.append(hw) or (0, 0, 8, 8),
    )
    assert boxes == [found.shape[1:3]]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_audio_of_a_video_is_the_part_of_the_whole(folder, name):
    whole = decode_audio(folder / name, 44_100).values
    assert len(whole) / 44_100 == pytest.approx(4.0, abs=TRACK_SLACK)
    spectrum = np.abs(np.fft.rfft(whole[: 4 * 44_100]))
    assert np.argmax(spectrum) / 4 == pytest.approx(440, abs=1)
    for place in (0.0, 0.41, 1.0):
        part = decode_audio(
            folder / name, 44_100, end=4.0, seconds=1.0, place=place
        ).values
        # Matroska rounds time stamps to a thousandth of a second.
        reach = 44 if name == "a.mkv" and place > 0 else 0
        start = round(place * 3.0 * 44_100)
        # The end of a track may be silence.
        distances = [
            np.abs(part[:40_000] - whole[first : first + 40_000]).max()
            for first in range(start - reach, start + reach + 1)
        ]
        assert min(distances) < 2e-3


def test_one_place_serves_the_modalities_of_an_example(folder):
    draws = Draws(0, 0, [4])
    place = float(crops.places(draws.within("video"))[0])
    video = decode_video(folder / "a.mp4", 25, interval=0.04, place=place)
    audio = decode_audio(folder / "a.mp4", seconds=1.0, place=place)
    start = place * (audio.facts["seconds"] - 1.0)
    assert bar(video.values)[0] == pytest.approx(
        1 + 63 * int(start * 25) / 99, abs=1.5
    )
    assert audio.values.shape == (16_000,)


def test_a_track_that_starts_later_starts_with_silence(tmp_path):
    path = tmp_path / "late.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("pcm_s16le", rate=16_000, layout="mono")
        video = file.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for i in range(50):
            image = np.zeros((48, 64, 3), "uint8")
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            file.mux(video.encode(frame))
        file.mux(video.encode(None))
        ones = np.full((1, 16_000), 16_384, "int16")
        sound = av.AudioFrame.from_ndarray(ones, format="s16", layout="mono")
        sound.sample_rate, sound.pts = 16_000, 16_000
        sound.time_base = Fraction(1, 16_000)
        file.mux(stream.encode(sound))
        file.mux(stream.encode(None))
    found = decode_audio(path).values
    assert found.shape == (32_000,)
    assert np.all(found[:15_990] == 0)
    assert np.all(found[16_010:] == 0.5)


def test_bytes_that_are_missing_move_the_part_back(folder, tmp_path):
    data = (folder / "a.mkv").read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(data[: len(data) // 2])
    whole = decode_video(cut)
    assert whole.notes == ("truncated",)
    assert 20 < len(whole.values) < 90
    last = decode_video(cut, 5, interval=0.04, place=1.0)
    assert last.notes == ("truncated",)
    assert same(last.values, whole.values[-5:])
    sound = decode_audio(cut, seconds=0.5, place=1.0)
    assert sound.notes == ("truncated",)
    assert np.abs(sound.values[:7000]).max() > 0.2


def test_nothing_but_the_file_is_opened(folder, tmp_path):
    secret = tmp_path / "secret.mp4"
    secret.write_bytes((folder / "a.mp4").read_bytes())
    for name, text in (
        ("hls.mp4", f"#EXTM3U\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n"),
        ("concat.mp4", f"ffconcat version 1.0\nfile {secret.name}\n"),
        ("dash.mp4", "<?xml version='1.0'?><MPD><Period></Period></MPD>"),
        ("sdp.mp4", "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n"),
    ):
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(BadFile) as error:
            decode_video(path)
        assert error.value.reason == "not_video"


def test_too_many_frames_are_refused_at_the_first_one(folder):
    with pytest.raises(BadFile) as error:
        decode_video(folder / "a.mp4", 2**20)
    assert error.value.reason == "too_large"


def test_covers_are_no_video(tmp_path):
    path = tmp_path / "cover.m4a"
    clip(tmp_path / "sound.mp4", picture=False)
    with (
        av.open(str(tmp_path / "sound.mp4")) as sound,
        av.open(str(path), "w", format="mp4") as file,
    ):
        track = file.add_stream_from_template(sound.streams.audio[0])
        cover = file.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        image = np.zeros((48, 64, 3), "uint8")
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        file.mux(cover.encode(frame))
        for packet in sound.demux():
            if packet.dts is not None:
                packet.stream = track
                file.mux(packet)
    with pytest.raises(BadFile) as error:
        decode_video(path)
    assert error.value.reason == "no_video"
    assert decode_audio(path).values.shape == (32_000,)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"frames": 0},
            "`frames` must be an integer of at least 1. Received: frames=0.",
        ),
        (
            {"interval": 0.0},
            "`interval` must be greater than 0. Received: interval=0.0.",
        ),
        (
            {"place": -0.1},
            "`place` must be a number of at least 0 and at most 1. Received: "
            "place=-0.1.",
        ),
        (
            {"size": (8, 0)},
            "`width` must be an integer of at least 1. Received: width=0.",
        ),
        (
            {"box": (0, 0, 49, 64)},
            "`box` must be top, left, height and width in pixels of the "
            "image, or several such boxes. Received: box=[0.0, 0.0, 49.0, "
            "64.0], height=48, width=64.",
        ),
    ],
    ids=["frames", "interval", "place", "size", "box"],
)
def test_bad_arguments_are_errors_of_the_caller(folder, settings, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$") as error:
        decode_video(folder / "a.mp4", **settings)
    assert not isinstance(error.value, BadFile)


def test_threads_decode_as_one_does(folder):
    jobs = [(folder / "a.mp4", i / 9) for i in range(10)]

    def work(job):
        return decode_video(job[0], 4, (16, 16), place=job[1]).values

    alone = [work(job) for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(work, jobs))
    np.testing.assert_array_equal(alone, together)
