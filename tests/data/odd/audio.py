"""Audio: sample formats, rates, lengths, lies in headers."""

import io
import struct
from pathlib import Path

import numpy as np
import soundfile as sf

from tests.data.odd.cases import Cases


def tone(seconds, rate, channels=1):
    t = np.arange(int(seconds * rate)) / rate
    x = 0.3 * np.sin(2 * np.pi * 440 * t)
    return np.stack([x * (0.5 if c else 1) for c in range(channels)], 1)


def make_audio(d: Path, cases: Cases):
    d.mkdir(parents=True)
    for name, rate, channels, subtype in (
        ("mono16", 16000, 1, "PCM_16"),
        ("stereo16", 44100, 2, "PCM_16"),
        ("surround51", 48000, 6, "PCM_16"),
        ("pcm8", 8000, 1, "PCM_U8"),
        ("pcm24", 48000, 1, "PCM_24"),
        ("float32", 22050, 1, "FLOAT"),
        ("double", 96000, 1, "DOUBLE"),
        ("ulaw", 8000, 1, "ULAW"),
    ):
        sf.write(
            d / f"{name}.wav", tone(1, rate, channels), rate, subtype=subtype
        )
        cases.add(
            f"audio/{name}.wav",
            "audio",
            f"{subtype} {rate} Hz x{channels}",
            "use",
            samples_16k=16000,
            peak_hz=440,
            note="mono by the mean of the channels",
        )
    sf.write(d / "short.wav", tone(0.023, 16000), 16000)
    cases.add(
        "audio/short.wav",
        "audio",
        "23 ms",
        "warn",
        "short",
        samples_16k=368,
        note="padded with silence to the length asked for",
    )
    sf.write(d / "no_samples.wav", np.zeros((0, 1)), 16000)
    cases.add("audio/no_samples.wav", "audio", "header only", "skip", "empty")
    sf.write(d / "silent.wav", np.zeros(16000), 16000)
    cases.add(
        "audio/silent.wav",
        "audio",
        "digital silence",
        "warn",
        "silent",
        samples_16k=16000,
    )
    sf.write(d / "clipped.wav", np.clip(20 * tone(1, 16000), -1, 1), 16000)
    cases.add(
        "audio/clipped.wav",
        "audio",
        "clipped",
        "warn",
        "clipped",
        samples_16k=16000,
    )
    bad = tone(1, 16000).astype("float32")
    bad[100:110] = np.nan
    sf.write(d / "nan.wav", bad, 16000, subtype="FLOAT")
    cases.add("audio/nan.wav", "audio", "NaN samples", "skip", "not_finite")
    sf.write(d / "loud_float.wav", 40 * tone(1, 16000), 16000, subtype="FLOAT")
    cases.add(
        "audio/loud_float.wav",
        "audio",
        "float samples up to 12",
        "warn",
        "clipped",
        note="kept as they are or clipped to [-1, 1]; "
        "never normalised in silence",
    )
    for path in d.glob("*.wav"):
        _no_time(path)
    for ext in ("flac", "ogg", "mp3"):
        extra = (
            {"bitrate_mode": "VARIABLE", "compression_level": 0.5}
            if ext == "mp3"
            else {}
        )
        if ext == "ogg":
            _ogg(d / "tone.ogg", "VORBIS", tone(2, 44100, 2), 44100)
        else:
            sf.write(d / f"tone.{ext}", tone(2, 44100, 2), 44100, **extra)
        cases.add(
            f"audio/tone.{ext}",
            "audio",
            "VBR MP3" if ext == "mp3" else ext,
            "use",
            samples_16k=32000,
            peak_hz=440,
            tolerance=1200,
        )
    _ogg(d / "tone.opus", "OPUS", tone(2, 48000), 48000)
    cases.add(
        "audio/tone.opus",
        "audio",
        "Opus",
        "use",
        samples_16k=32000,
        peak_hz=440,
        tolerance=1200,
    )
    wav = (d / "mono16.wav").read_bytes()
    (d / "truncated.wav").write_bytes(wav[: len(wav) // 2])
    cases.add(
        "audio/truncated.wav",
        "audio",
        "WAV cut in half",
        "warn",
        "truncated",
        samples_16k=7989,
        note="header says 1 s; what is there is used, "
        "or skipped under --strict",
    )
    flac = (d / "tone.flac").read_bytes()
    (d / "truncated.flac").write_bytes(flac[: len(flac) // 2])
    cases.add(
        "audio/truncated.flac", "audio", "FLAC cut in half", "skip", "truncated"
    )
    (d / "mp3_named.wav").write_bytes((d / "tone.mp3").read_bytes())
    cases.add(
        "audio/mp3_named.wav",
        "audio",
        "MP3 named .wav",
        "warn",
        "extension",
        samples_16k=32000,
        tolerance=1200,
    )
    (d / "zero.wav").write_bytes(b"")
    cases.add("audio/zero.wav", "audio", "0 bytes", "skip", "empty")
    head = bytearray(wav)
    head[24:28] = struct.pack("<I", 0)
    (d / "rate_zero.wav").write_bytes(head)
    cases.add(
        "audio/rate_zero.wav", "audio", "sampling rate 0", "skip", "not_audio"
    )
    head[24:28] = struct.pack("<I", 4_000_000_000)
    (d / "rate_huge.wav").write_bytes(head)
    cases.add(
        "audio/rate_huge.wav",
        "audio",
        "sampling rate 4 GHz",
        "skip",
        "not_audio",
    )
    (d / "two_hours.flac").write_bytes(
        _flac(np.zeros(8000 * 7200, "int16"), 8000)
    )
    cases.add(
        "audio/two_hours.flac",
        "audio",
        "two hours",
        "warn",
        "silent",
        note="only the crop asked for is decoded: seek + "
        "read(frames), < 50 MB of memory",
    )


def _no_time(path):
    """Blank the time stamp of the PEAK chunk, which float WAV files carry."""
    data = bytearray(path.read_bytes())
    at = data.find(b"PEAK")
    if 0 < at < 200:
        data[at + 12 : at + 16] = bytes(4)
        path.write_bytes(data)


def _ogg(path, subtype, x, rate):
    """libsndfile draws a serial number for each stream: make it 1."""
    sf.write(path, x, rate, format="OGG", subtype=subtype)
    data, at = bytearray(Path(path).read_bytes()), 0
    while data[at : at + 4] == b"OggS":
        table = data[at + 27 : at + 27 + data[at + 26]]
        end = at + 27 + len(table) + sum(table)
        data[at + 14 : at + 18] = struct.pack("<I", 1)
        data[at + 22 : at + 26] = bytes(4)
        data[at + 22 : at + 26] = struct.pack("<I", _ogg_crc(data[at:end]))
        at = end
    Path(path).write_bytes(data)


def _ogg_crc(page):
    crc = 0
    for byte in page:
        crc ^= byte << 24
        for _ in range(8):
            crc = (
                crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1
            ) & 0xFFFFFFFF
    return crc


def _flac(x, rate):
    out = io.BytesIO()
    sf.write(out, x, rate, format="FLAC")
    return out.getvalue()
