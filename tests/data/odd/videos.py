"""Videos: frame rates, turns, tracks, and files that name other files."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.data.odd.audio import tone
from tests.data.odd.cases import Cases


def clip(
    path,
    seconds=2.0,
    fps=Fraction(25),
    size=(48, 64),
    sound=True,
    picture=True,
    rotate=None,
    variable=False,
):
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as c:
        video = _video_stream(c, size, fps) if picture else None
        audio = c.add_stream("aac", rate=44100) if sound else None
        if video is not None:
            _encode(c, video, _frames(int(seconds * fps), size, fps, variable))
        if audio is not None:
            _encode(c, audio, _blocks(seconds))
    if rotate:
        _rotate(path, rotate)


def _video_stream(c, size, fps):
    stream = c.add_stream("mpeg4", rate=fps)
    stream.height, stream.width = size
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = 1 / fps
    return stream


def _frames(count, size, fps, variable):
    """A bright bar that grows from the left."""
    h, w = size
    for i in range(count):
        frame = np.full((h, w, 3), 20, "uint8")
        frame[:, : 1 + (w - 1) * i // max(count - 1, 1)] = 220
        f = av.VideoFrame.from_ndarray(frame, format="rgb24")
        # A gap after each ten frames.
        f.pts, f.time_base = (i + i // 10 * 7 if variable else i), 1 / fps
        yield f


def _blocks(seconds):
    x = tone(seconds, 44100)[:, 0].astype("float32")
    for s in range(0, len(x), 1024):
        f = av.AudioFrame.from_ndarray(
            x[None, s : s + 1024], format="fltp", layout="mono"
        )
        f.sample_rate, f.pts, f.time_base = 44100, s, Fraction(1, 44100)
        yield f


def _encode(c, stream, frames):
    for frame in (*frames, None):
        for packet in stream.encode(frame):
            c.mux(packet)


def _rotate(path, degrees):
    """Write a display matrix into the video track header, as phones do."""
    data = bytearray(Path(path).read_bytes())
    matrices = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}
    a, b, c, d = (v * 65536 for v in matrices[degrees])
    at = data.find(b"tkhd")
    offset = at + 4 + 40 if data[at + 4] == 0 else at + 4 + 52
    data[offset : offset + 36] = struct.pack(
        ">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30
    )
    Path(path).write_bytes(data)


def make_videos(d: Path, cases: Cases, rng: np.random.Generator):
    d.mkdir(parents=True)
    clip(d / "good.mp4")
    cases.add(
        "video/good.mp4",
        "video",
        "plain",
        "use",
        frames=50,
        seconds=2.0,
        sound=True,
    )
    clip(d / "silent_track.mp4", sound=False)
    cases.add(
        "video/silent_track.mp4",
        "video",
        "no sound",
        "use",
        frames=50,
        sound=False,
        note="a task that needs `audio` of this clip: skip, reason no_audio",
    )
    clip(d / "sound_only.mp4", picture=False)
    cases.add(
        "video/sound_only.mp4",
        "video",
        "no picture",
        "skip",
        "no_video",
        note="in an audio column: use",
    )
    clip(d / "ntsc.mp4", fps=Fraction(30000, 1001))
    cases.add("video/ntsc.mp4", "video", "29.97 frames/s", "use", frames=59)
    clip(d / "slow.mp4", fps=Fraction(1), seconds=6)
    cases.add(
        "video/slow.mp4",
        "video",
        "1 frame/s",
        "use",
        frames=6,
        note="stride in seconds, not frames",
    )
    clip(d / "variable.mp4", variable=True, sound=False)
    cases.add(
        "video/variable.mp4",
        "video",
        "variable frame rate",
        "use",
        note="frames by time stamp",
    )
    for r in (90, 180, 270):
        clip(d / f"rotated{r}.mp4", rotate=r, sound=False)
        cases.add(
            f"video/rotated{r}.mp4",
            "video",
            f"display matrix {r} degrees",
            "use",
            size=[64, 48] if r != 180 else [48, 64],
            note="turned as a player does",
        )
    clip(d / "one_frame.mp4", seconds=0.04, sound=False)
    cases.add(
        "video/one_frame.mp4",
        "video",
        "a single frame",
        "warn",
        "short",
        frames=1,
        note="repeated",
    )
    clip(d / "odd_size.mkv", size=(46, 66), sound=False)
    cases.add(
        "video/odd_size.mkv",
        "video",
        "46x66 Matroska",
        "use",
        frames=50,
        size=[46, 66],
    )
    clip(d / "clip.webm.mp4", sound=True)
    good = (d / "good.mp4").read_bytes()
    (d / "clip.webm.mp4").unlink()
    (d / "no_index.mp4").write_bytes(good[: len(good) * 7 // 10])
    cases.add(
        "video/no_index.mp4",
        "video",
        "MP4 cut before its index (moov)",
        "skip",
        "truncated",
    )
    mkv = (d / "odd_size.mkv").read_bytes()
    (d / "truncated.mkv").write_bytes(mkv[: len(mkv) // 2])
    cases.add(
        "video/truncated.mkv",
        "video",
        "Matroska cut in half",
        "warn",
        "truncated",
        note="the frames that are there; a crop beyond them is moved back",
    )
    hurt = bytearray(good)
    at = rng.integers(2000, len(hurt) // 2, 60)
    hurt[int(at[0]) : int(at[0]) + 400] = rng.bytes(400)
    (d / "damaged_middle.mp4").write_bytes(hurt)
    cases.add(
        "video/damaged_middle.mp4",
        "video",
        "400 random bytes inside",
        "warn",
        "damaged",
        note="or skip; never a hang",
    )
    (d / "zero.mp4").write_bytes(b"")
    cases.add("video/zero.mp4", "video", "0 bytes", "skip", "empty")
    (d / "playlist.mp4").write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
    cases.add(
        "video/playlist.mp4",
        "video",
        "HLS playlist that names another file",
        "skip",
        "not_video",
        note="format allow-list + protocol_whitelist=file: "
        "nothing else is opened",
    )
    (d / "concat.mp4").write_text("ffconcat version 1.0\nfile good.mp4\n")
    cases.add(
        "video/concat.mp4", "video", "ffconcat script", "skip", "not_video"
    )
