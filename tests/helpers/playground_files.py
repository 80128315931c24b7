"""Some of the playground as a person would bring it: files beside a table."""

import csv
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from keras_imp.data import playground

COLUMNS = ("image", "audio", "text", "label", "group", "split")


def write_playground(
    folder: Path, images: int = 400, recordings: int = 250
) -> list[dict[str, str]]:
    """Write images with captions, and recordings with captions, and a table.

    Args:
        folder: Where.
        images: Number of images of the training split; all others are written.
        recordings: The same of recordings.

    Returns:
        The rows of the table.
    """
    (folder / "images").mkdir(parents=True)
    (folder / "audio").mkdir()
    rows = []
    for split in ("train", "validation"):
        data = playground.load(split)
        chosen = slice(images if split == "train" else None)
        rows += _images(folder, split, data.emoji, chosen)
        chosen = slice(recordings if split == "train" else None)
        rows += _recordings(folder, split, data.sounds, chosen)
    write_table(folder, rows)
    return rows


def write_table(folder: Path, rows: list[dict[str, str]]) -> None:
    """Write the table of some rows."""
    with (folder / "data.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS, restval="")
        table.writeheader()
        table.writerows(rows)


def _images(folder, split, emoji, chosen):
    # The first rows are all faces; a random order is one of all kinds.
    order = np.random.default_rng(0).permutation(len(emoji.images))[chosen]
    rows = []
    for row in order.tolist():
        name = f"images/{split}-{row:04}.png"
        Image.fromarray(emoji.images[row]).save(folder / name)
        rows.append(
            {
                "image": name,
                "text": emoji.captions[row][1],
                "label": emoji.categories[row],
                "group": emoji.concepts[row],
                "split": split,
            }
        )
    return rows


def _recordings(folder, split, sounds, chosen):
    order = np.random.default_rng(0).permutation(len(sounds.waveforms))[chosen]
    rows = []
    for row in order.tolist():
        name = f"audio/{split}-{row:04}.wav"
        soundfile.write(
            folder / name,
            sounds.waveforms[row],
            playground.SAMPLING_RATE,
            subtype="PCM_16",
        )
        rows.append(
            {
                "audio": name,
                "text": sounds.captions[row][1],
                "label": sounds.families[row],
                "group": f"instrument {sounds.instruments[row]}",
                "split": split,
            }
        )
    return rows
