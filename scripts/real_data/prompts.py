"""Telephone prompts in five languages, with their transcripts."""

import csv
import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path

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
    out.mkdir(parents=True, exist_ok=True)
    path, count = out / "prompts.csv", 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["audio", "text", "group"])
        for language in LANGUAGES:
            sounds = next(
                (root / "usr/share/asterisk/sounds").glob(f"{language}_*")
            )
            for key, text in transcripts(root, language):
                recording = sounds / f"{key}.wav"
                # Some transcripts are of recordings that were never made.
                if not recording.is_file():
                    continue
                name = f"prompts/{language}/{key}.wav"
                (out / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(recording, out / name)
                writer.writerow([name, text, key])
                count += 1
    return path, count


def transcripts(root: Path, language: str) -> Iterator[tuple[str, str]]:
    """Names of recordings and what is spoken, as the package lists them."""
    name = f"asterisk-core-sounds-{language}"
    path = root / "usr/share/doc" / name / f"core-sounds-{language}.txt.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            key, colon, text = line.strip().partition(":")
            text = text.strip()
            if line.startswith(";") or not colon or not text:
                continue
            if not text.startswith(_NO_SPEECH):
                yield key.strip(), text
