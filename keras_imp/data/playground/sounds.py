"""Recorded notes and drum hits with words."""

import dataclasses
from typing import Any

import numpy as np

from keras_imp.data.playground.parts import ALWAYS_TRAINS, Part
from keras_imp.data.playground.reading import read_clips, read_table

# Family of instruments -> how a caption calls it.
FAMILY_WORDS = {
    "bass": "bass guitar",
    "brass": "brass wind instrument",
    "choir": "singing voice",
    "drum": "drum",
    "flute": "flute or pipe",
    "guitar": "plucked guitar",
    "keyboard": "piano keyboard",
    "mallet": "mallets and bells",
    "organ": "organ",
    "plucked": "plucked strings",
    "reed": "reed wind instrument",
    "strings": "bowed strings",
}
FAMILIES = tuple(FAMILY_WORDS)

SAMPLING_RATE = 16_000


@dataclasses.dataclass(frozen=True)
class Sounds:
    """Recorded notes and drum hits with words.

    Attributes:
        waveforms: `(clips, 16384)` float32 in [-1, 1], at 16 kHz.
        families: Family of the instrument, one of `FAMILIES`.
        family_labels: `(clips,)` int32, positions in `FAMILIES`.
        instruments: Name of the instrument; none is in two splits.
        notes: Pitch class, such as `"C sharp"`, where it is known.
        captions: Three captions per clip. Clips of one instrument share
            them, so a contrastive loss should not count equal captions as
            negatives.

    Example:
        >>> from keras_imp.data import playground
        >>> sounds = playground.load("validation").sounds
        >>> sounds.waveforms.shape[1] / playground.SAMPLING_RATE  # Seconds.
        1.024
    """

    waveforms: np.ndarray
    families: list[str]
    family_labels: np.ndarray
    instruments: list[str]
    notes: list[str | None]
    captions: list[list[str]]


def load_sounds(part: Part) -> Sounds:
    """Read the sounds of a split or of a part of a fold.

    Args:
        part: What to read.

    Returns:
        The sounds.
    """
    records, waveforms = [], []
    for name in part.sources:
        own, clips = _read(name)
        records += own
        waveforms.append(clips)
    rows = part.rows(_folds(records))
    chosen = [records[row] for row in rows]
    return _sounds(chosen, np.concatenate(waveforms)[rows])


def load_unseen_sounds() -> Sounds:
    """Read recordings of the test split's instruments from another source.

    They are MuseScore General's, without those that it took over from
    FluidR3Mono, which the splits come from. Other players, rooms and
    microphones: they test whether a model knows an instrument, or only how
    one collection recorded it. Few instruments have any: mostly pizzicato
    strings and cellos, so give the mean over families beside the accuracy.

    Returns:
        The sounds.

    Raises:
        ValueError: If a data file is damaged.
        FileNotFoundError: If a data file is missing.
        ImportError: If soundfile is not installed.

    Example:
        >>> from keras_imp.data import playground
        >>> unseen = playground.load_unseen_sounds()
        >>> test = playground.load("test").sounds
        >>> set(unseen.instruments) <= set(test.instruments)
        True
    """
    return _sounds(*_read("unseen"))


def _read(name: str) -> tuple[list[dict[str, Any]], np.ndarray]:
    records = read_table(f"sounds_{name}.json")["records"]
    return records, read_clips(f"sounds_{name}.mp3", len(records))


def _sounds(records: list[dict[str, Any]], waveforms: np.ndarray) -> Sounds:
    families = [record["family"] for record in records]
    labels = [FAMILIES.index(family) for family in families]
    return Sounds(
        waveforms=waveforms,
        families=families,
        family_labels=np.array(labels, "int32"),
        instruments=[record["instrument"] for record in records],
        notes=[record["note"] for record in records],
        captions=[_captions(record) for record in records],
    )


def _folds(records: list[dict[str, Any]]) -> np.ndarray:
    found = (record.get("fold") for record in records)
    return np.array([ALWAYS_TRAINS if fold is None else fold for fold in found])


def _captions(record: dict[str, Any]) -> list[str]:
    instrument, family = record["instrument"], record["family"]
    article = "an" if instrument[0] in "aeiou" else "a"
    what = "hit" if family == "drum" else "note"
    note = record["note"]
    playing = f" playing {note}" if note else ""
    return [
        f"{article} {instrument} {what}, {FAMILY_WORDS[family]}",
        f"the sound of {article} {instrument}{playing}",
        f"{FAMILY_WORDS[family]}: {instrument}",
    ]
