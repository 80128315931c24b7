"""FluidR3Mono recordings: one MP3 per split, with what sounds in it."""

import hashlib
import itertools
from collections import defaultdict
from pathlib import Path

import numpy as np

from playground_build import instruments
from playground_build.folds import FOLDS, deal
from playground_build.sound_font import (
    Recording,
    clip,
    samples,
    write_recordings,
)

FONT = "debian/usr/share/sounds/sf3/FluidR3Mono_GM.sf3"
SHARES = {"train": 0.65, "validation": 0.10, "test": 0.25}


def recordings(root: Path) -> list[Recording]:
    """Return the recordings of the chosen families, in the font's order."""
    found = []
    for sample in samples((root / FONT).read_bytes()):
        kind = instruments.classify(sample.name)
        if kind is None:
            continue
        note = instruments.note(sample.name, *kind)
        found.append(Recording(sample.name, *kind, note, sample.ogg))
    return found


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


def instrument_folds(
    found: list[Recording], splits: dict[str, str]
) -> dict[str, int | None]:
    """Return the fold of each instrument outside the test split.

    The instruments of a family are dealt together, so that each fold leaves
    one to train on. A family with a single one has nothing to hold out.
    """
    families: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for item in found:
        if splits[item.instrument] != "test":
            families[item.family][item.instrument] += 1
    load = [0] * FOLDS
    result: dict[str, int | None] = {}
    for family in sorted(families):
        counts = families[family]
        if len(counts) < 2:
            result.update(dict.fromkeys(counts))
        else:
            result.update(deal(counts, "folds", load))
    return result


def build(root: Path, out: Path) -> None:
    """Write `sounds_<split>.mp3` and `sounds_<split>.json`."""
    found = recordings(root)
    splits = assign(found)
    folds = instrument_folds(found, splits)
    for split in SHARES:
        rows = [item for item in found if splits[item.instrument] == split]
        clips = np.stack([clip(item.ogg) for item in rows])
        own = None if split == "test" else folds
        write_recordings(out, split, rows, clips, own)
