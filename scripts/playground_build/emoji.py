"""Noto emoji: 32x32 pictures on white, an atlas per split, and words."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from playground_build import concepts
from playground_build.files import atlas, write_json, write_png

SIZE = 32
TILES_PER_ROW = 40
SPLITS = ("train", "validation", "test")


def words(text: str) -> str:
    """Turn an identifier such as `flag-it` or `sky & weather` into words."""
    plain = text.replace("_", " ").replace("-", " ").replace("&", "and")
    return " ".join(plain.lower().split())


def picture(path: Path) -> np.ndarray:
    """Return one picture as (32, 32, 3) uint8 on white.

    Blending comes before shrinking: the color below transparent pixels would
    otherwise leak into the border of the picture. The Hamming filter halves
    without the ringing that Lanczos leaves on white. Rounding to 64 levels
    moves no value by more than 2 of 255 and makes the file a quarter smaller.
    """
    with Image.open(path) as image:
        pixels = image.convert("RGBA")
    white = Image.new("RGBA", pixels.size, (255, 255, 255, 255))
    flat = Image.alpha_composite(white, pixels).convert("RGB")
    small = flat.resize((SIZE, SIZE), Image.Resampling.HAMMING)
    level = (np.asarray(small).astype(np.uint16) * 63 + 127) // 255
    return ((level * 255 + 31) // 63).astype(np.uint8)


def records(root: Path) -> list[dict]:
    """Return the emoji with a picture, in the order of the Unicode chart.

    The five skin-tone swatches are left out: they are modifiers, not things.
    """
    table = json.loads((root / "package" / "emoji.json").read_text("utf-8"))
    usable = [
        record
        for record in table
        if record["has_img_google"] and record["category"] != "Component"
    ]
    return sorted(usable, key=lambda record: record["sort_order"])


def describe(record: dict, concept: str) -> dict:
    """Return what is stored about one emoji."""
    return {
        "name": record["name"].lower(),
        "short_names": [words(name) for name in record["short_names"]],
        "category": record["category"],
        "subcategory": words(record["subcategory"]),
        "concept": concept,
        "is_flag": record["category"] == "Flags",
    }


def build(root: Path, out: Path) -> None:
    """Write `emoji_<split>.png` and `emoji_<split>.json`."""
    table = records(root)
    named = concepts.group(table)
    sizes = Counter(named)
    folder = root / "package" / "img" / "google" / "64"
    for split in SPLITS:
        rows = [
            (record, concept)
            for record, concept in zip(table, named, strict=True)
            if concepts.split_of(concept, sizes[concept]) == split
        ]
        pixels = np.stack([picture(folder / row["image"]) for row, _ in rows])
        write_png(out / f"emoji_{split}.png", atlas(pixels, TILES_PER_ROW))
        write_json(
            out / f"emoji_{split}.json",
            {"records": [describe(row, concept) for row, concept in rows]},
        )
