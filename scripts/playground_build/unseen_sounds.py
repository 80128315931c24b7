"""MuseScore General: recordings of the test instruments by other people.

MuseScore General grew out of FluidR3Mono and keeps many of its recordings,
coded again. Those are left out, so that what remains is a source of its own.
"""

import re
from pathlib import Path

import numpy as np

from playground_build import instruments, sounds
from playground_build.sound_font import (
    Recording,
    clip,
    same,
    samples,
    write_recordings,
)

FONT = "debian/usr/share/sounds/sf3/MuseScore_General_Full.sf3"

# (pattern on the start of a sample's name, instrument): what the font adds to
# FluidR3Mono of the instruments that the playground tests.
INSTRUMENTS = (
    (r"(Vlns|Viol|Cell|Bass)Pzz", "pizzicato strings"),
    (r"Celeste", "celesta"),
    (r"Cell", "cello"),
    (r"MTnr-\d", "marching tenor drum"),
    (r"Synth Bass \d", "synth bass"),
)


def recording(name: str, ogg: bytes) -> Recording | None:
    """Return a sample with what sounds in it, or None if it is not known."""
    for pattern, instrument in INSTRUMENTS:
        start = re.match(pattern, name)
        if start is None:
            continue
        family = instruments.FAMILY_OF[instrument]
        note = instruments.note_after(name, start.end(), family)
        return Recording(name, instrument, family, note, ogg)
    return None


def recordings(root: Path) -> list[Recording]:
    """Return the samples of known instruments; of stereo ones the right."""
    found = (
        recording(sample.name, sample.ogg)
        for sample in samples((root / FONT).read_bytes())
        if not sample.is_left
    )
    return [row for row in found if row is not None]


def build(root: Path, out: Path) -> None:
    """Write `sounds_unseen.mp3` and `sounds_unseen.json`."""
    known = sounds.recordings(root)
    splits = sounds.assign(known)
    rows = [row for row in recordings(root) if splits[row.instrument] == "test"]
    clips = np.stack([clip(row.ogg) for row in rows])
    seen = np.stack([clip(row.ogg) for row in known])
    new = ~same(clips, seen).any(axis=1)
    # A font may also hold one recording twice, with other loops.
    new &= ~np.triu(same(clips, clips), 1).any(axis=0)
    kept = [row for row, is_new in zip(rows, new, strict=True) if is_new]
    write_recordings(out, "unseen", kept, clips[new])
