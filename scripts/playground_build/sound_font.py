"""Sound fonts in the SF3 format: their samples, as clips of one second."""

import io
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from scipy.signal import resample_poly

from playground_build.files import write_json

RATE = 16_000
SAMPLES = 16_384
FADE = 320
PEAK = 0.9
HEADER = struct.Struct("<20sIIIIIBbHH")
_LEFT = 4


class Sample(NamedTuple):
    """One sample of a font; `ogg` holds its Ogg Vorbis bytes."""

    name: str
    is_left: bool
    ogg: bytes


class Recording(NamedTuple):
    """A sample and what sounds in it."""

    name: str
    instrument: str
    family: str
    note: str | None
    ogg: bytes


def chunk(data: bytes, position: int) -> tuple[bytes, bytes, int]:
    """Return the id, body and end of the RIFF chunk at a position."""
    size = int.from_bytes(data[position + 4 : position + 8], "little")
    end = position + 8 + size
    return data[position : position + 4], data[position + 8 : end], end


def children(data: bytes, position: int, padded: bool) -> dict[bytes, bytes]:
    """Return the chunks from a position on, by id (a list by its type)."""
    found = {}
    while position + 8 <= len(data):
        name, body, position = chunk(data, position)
        if name == b"LIST":
            name, body = body[:4], body[4:]
        found[name] = body
        # The font's writer leaves an odd `smpl` chunk, and so the list
        # around it, without the pad byte that RIFF asks for.
        if padded and len(body) % 2:
            position += 1
    return found


def samples(font: bytes) -> Iterator[Sample]:
    """Yield the samples of a font in its order.

    A stereo sample is two, one of them marked as the left one.
    """
    top = children(font, 12, padded=False)
    waves = children(top[b"sdta"], 0, padded=False)[b"smpl"]
    headers = children(top[b"pdta"], 0, padded=True)[b"shdr"]
    for row in HEADER.iter_unpack(headers):
        name = row[0].split(b"\0")[0].decode("latin-1")
        yield Sample(name, bool(row[9] & _LEFT), waves[row[1] : row[2]])


def clip(ogg: bytes) -> np.ndarray:
    """Decode, resample to 16 kHz with a low-pass, cut or pad, normalize."""
    wave, rate = soundfile.read(io.BytesIO(ogg), dtype="float64")
    if wave.ndim > 1:
        wave = wave.mean(axis=1)
    # Half a second more than needed is plenty for the filter's tail.
    wave = wave[: int(rate * (SAMPLES / RATE + 0.5))]
    common = math.gcd(RATE, rate)
    wave = resample_poly(wave, RATE // common, rate // common)[:SAMPLES]
    fade = min(FADE, len(wave))
    wave[len(wave) - fade :] *= np.linspace(1.0, 0.0, fade)
    wave = wave * (PEAK / np.abs(wave).max())
    return np.pad(wave, (0, SAMPLES - len(wave)))


def same(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return which clips are one recording, `(first, second)` bool.

    Coding again leaves a correlation above 0.9999, while two recordings of
    one instrument stay below 0.9 but for the two channels of a stereo one.
    """
    return np.abs(centered(first) @ centered(second).T) > 0.95


def centered(clips: np.ndarray) -> np.ndarray:
    """Return clips of mean zero and length one."""
    rows = clips - clips.mean(axis=1, keepdims=True)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def write_clips(path: Path, clips: np.ndarray) -> None:
    """Write clips `(clips, samples)` back to back as one MP3.

    Vorbis would be smaller, but libsndfile gives each Ogg stream a random
    serial number, so no two files would be the same. An average bit rate
    carries the header that makes decoding gapless.
    """
    soundfile.write(
        path,
        clips.reshape(-1),
        RATE,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=0.9,
        bitrate_mode="AVERAGE",
    )


def write_recordings(
    out: Path,
    name: str,
    rows: list[Recording],
    clips: np.ndarray,
    folds: dict[str, int | None] | None = None,
) -> None:
    """Write `sounds_<name>.mp3` and `sounds_<name>.json`."""
    write_clips(out / f"sounds_{name}.mp3", clips)
    records = []
    for row in rows:
        record: dict = {
            key: getattr(row, key)
            for key in ("name", "instrument", "family", "note")
        }
        if folds is not None:
            record["fold"] = folds[row.instrument]
        records.append(record)
    write_json(out / f"sounds_{name}.json", {"records": records})
