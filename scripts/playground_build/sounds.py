"""FluidR3Mono recordings: one MP3 per split, with what sounds in it."""

import hashlib
import io
import itertools
import math
import struct
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from scipy.signal import resample_poly

from playground_build import instruments
from playground_build.files import write_json

FONT = "usr/share/sounds/sf3/FluidR3Mono_GM.sf3"
RATE = 16_000
SAMPLES = 16_384
FADE = 320
PEAK = 0.9
SHARES = {"train": 0.65, "validation": 0.10, "test": 0.25}
HEADER = struct.Struct("<20sIIIIIBbHH")


class Recording(NamedTuple):
    """One recording of the font; `ogg` holds its Ogg Vorbis bytes."""

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


def recordings(font: bytes) -> list[Recording]:
    """Return the recordings of the chosen families, in the font's order."""
    top = children(font, 12, padded=False)
    samples = children(top[b"sdta"], 0, padded=False)[b"smpl"]
    headers = children(top[b"pdta"], 0, padded=True)[b"shdr"]
    found = []
    for row in HEADER.iter_unpack(headers):
        name = row[0].split(b"\0")[0].decode("latin-1")
        kind = instruments.classify(name)
        if kind is None:
            continue
        note = instruments.note(name, *kind)
        ogg = samples[row[1] : row[2]]
        found.append(Recording(name, *kind, note, ogg))
    return found


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


def assign(found: list[Recording]) -> dict[str, str]:
    """Return the split of every instrument: each family in every split."""
    families: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for item in found:
        families[item.family][item.instrument] += 1
    result = {}
    for counts in families.values():
        left = dict(counts)
        total = sum(counts.values())
        for split in ("test", "validation"):
            for name in held_out(left, SHARES[split] * total, total):
                result[name] = split
                del left[name]
        result.update(dict.fromkeys(left, "train"))
    return result


def held_out(
    counts: dict[str, int], wanted: float, total: int
) -> tuple[str, ...]:
    """Return the few instruments whose recordings come closest to a share.

    Each instrument costs as much as missing the share by 3 %, so that many
    different ones remain to train on; a hash settles ties.
    """

    def cost(names: tuple[str, ...]) -> tuple[float, str]:
        error = abs(sum(counts[name] for name in names) - wanted) / total
        return round(error + 0.03 * len(names), 6), seeded("".join(names))

    choices = (
        names
        for number in (1, 2, 3)
        for names in itertools.combinations(sorted(counts), number)
    )
    return min(choices, key=cost)


def seeded(text: str) -> str:
    """Return a hash that orders names without favor to the alphabet."""
    return hashlib.sha256(f"keras-imp:{text}".encode()).hexdigest()


def build(root: Path, out: Path) -> None:
    """Write `sounds_<split>.mp3` and `sounds_<split>.json`."""
    found = recordings((root / FONT).read_bytes())
    splits = assign(found)
    for split in SHARES:
        rows = [item for item in found if splits[item.instrument] == split]
        wave = np.concatenate([clip(item.ogg) for item in rows])
        # Vorbis would be smaller, but libsndfile gives each Ogg stream a
        # random serial number, so no two files would be the same.
        # An average bit rate carries the header that makes decoding gapless.
        soundfile.write(
            out / f"sounds_{split}.mp3",
            wave,
            RATE,
            format="MP3",
            subtype="MPEG_LAYER_III",
            compression_level=0.9,
            bitrate_mode="AVERAGE",
        )
        keys = ("name", "instrument", "family", "note")
        records = [{key: getattr(row, key) for key in keys} for row in rows]
        write_json(out / f"sounds_{split}.json", {"records": records})
