"""Telephone prompts in five languages, with their transcripts."""

import csv
import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path

from keras_imp.validation.texts import hash_of_text
from real_data.grouping import linked, split_of

LANGUAGES = ("en", "es", "fr", "it", "ru")
PACKAGES = tuple(
    f"asterisk-core-sounds-{language}{kind}"
    for language in LANGUAGES
    for kind in ("", "-wav")
)
# Transcripts of what is no speech: `[a beep]`, `(tone)`.
_NO_SPEECH = ("[", "(", "<")


def write(root: Path, out: Path) -> tuple[Path, int]:
    """Write the recordings and `prompts.csv`.

    Args:
        root: Where the packages are unpacked.
        out: Folder to write.

    Returns:
        The table and the number of its rows.
    """
    rows = list(_copied(root, out))
    # Some prompts say the same, and some languages use another one's word.
    groups = linked(
        [key for _, _, key in rows], [[hash_of_text(t)] for _, t, _ in rows]
    )
    path = out / "prompts.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["audio", "text", "group", "split"])
        for (name, text, _), group in zip(rows, groups):
            writer.writerow([name, text, group, split_of(group)])
    return path, len(rows)


def _copied(root: Path, out: Path) -> Iterator[tuple[str, str, str]]:
    """Copy the recordings; name, transcript and key of each."""
    for language in LANGUAGES:
        sounds = next(
            (root / "usr/share/asterisk/sounds").glob(f"{language}_*")
        )
        for key, text in transcripts(root, language):
            recording = sounds / f"{key}.wav"
            # Some transcripts are of recordings that were never made.
            if recording.is_file():
                name = f"prompts/{language}/{key}.wav"
                (out / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(recording, out / name)
                yield name, text, key


def transcripts(root: Path, language: str) -> Iterator[tuple[str, str]]:
    """Names of recordings and what is spoken, as the package lists them.

    One recording is listed twice, with two texts: the first is what it says.
    """
    name = f"asterisk-core-sounds-{language}"
    path = root / "usr/share/doc" / name / f"core-sounds-{language}.txt.gz"
    seen = set()
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            key, colon, text = (part.strip() for part in line.partition(":"))
            if line.startswith(";") or not colon or not text or key in seen:
                continue
            seen.add(key)
            if not text.startswith(_NO_SPEECH):
                yield key, text
