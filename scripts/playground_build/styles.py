"""The same emoji as several artists draw them, as tiles.

A style is a function from the sources and the table of emoji to one tile per
emoji, or None where the style has no drawing of it. Flags have styles of
their own, since most sets of emoji leave them out.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from playground_build.emoji_table import (
    NOTO,
    characters,
    key,
    read_words,
    slug,
)
from playground_build.icon_sets import IconSet
from playground_build.tiles import SOURCE_SIZE, tile

Tiles = list[np.ndarray | None]
Style = Callable[[Path, list[dict]], Tiles]

SYMBOLA = "debian/usr/share/fonts/truetype/ancient-scripts/Symbola_hint.ttf"
# A code point that no font draws: what stands for a missing glyph.
_UNASSIGNED = "\U0010fffd"

_FLUENT = "iconify-json-fluent-emoji"

_FIRST_REGIONAL = 0x1F1E6
_FIRST_TAG = 0xE0000
_BLACK_FLAG = 0x1F3F4


def noto(root: Path, table: list[dict]) -> Tiles:
    """Noto emoji, the style that every emoji has."""
    folder = root / NOTO / "img" / "google" / "64"
    return [tile(Image.open(folder / record["image"])) for record in table]


def noto_v1(root: Path, table: list[dict]) -> Tiles:
    """The first version of Noto emoji; the set names them by short name."""
    icons = IconSet(root, "iconify-json-noto-v1")
    words = read_words(root, table)
    return [icons.draw(slug(entry.short_name)) for entry in words]


def fluent(
    root: Path, table: list[dict], package: str, names_from: str
) -> Tiles:
    """Fluent emoji; two of the sets name the icons by their code points."""
    icons = IconSet(root, package)
    names = IconSet(root, names_from).names_of_characters()
    return [icons.draw(names.get(key(row["unified"]), "")) for row in table]


def fluent_3d(root: Path, table: list[dict]) -> Tiles:
    """Fluent emoji as rendered solids, one file per emoji.

    The package adds flags, which are Noto's. Only what Fluent has is taken.
    """
    folder = root / "lobehub-fluent-emoji-3d" / "package" / "assets"
    paths = {key(path.stem): path for path in sorted(folder.glob("*.webp"))}
    known = IconSet(root, f"{_FLUENT}-flat").names_of_characters()

    def draw(record: dict) -> np.ndarray | None:
        path = paths.get(key(record["unified"]))
        if path is None or key(record["unified"]) not in known:
            return None
        # The files are 256x256; two steps as the vector drawings have.
        size = (SOURCE_SIZE, SOURCE_SIZE)
        image = Image.open(path).convert("RGBa")
        return tile(image.resize(size, Image.Resampling.BOX).convert("RGBA"))

    return [draw(record) for record in table]


def flags(
    root: Path, table: list[dict], package: str, ending: str = ""
) -> Tiles:
    """Flags of countries and regions, which sets name by ISO code."""
    icons = IconSet(root, package)
    codes = [region(record) for record in table]
    return [icons.draw(code + ending) if code else None for code in codes]


def symbola(root: Path, table: list[dict]) -> Tiles:
    """Symbola's ink drawings: black outlines, one glyph per code point."""
    font = ImageFont.truetype(root / SYMBOLA, SOURCE_SIZE)
    missing = bytes(font.getmask(_UNASSIGNED))

    def draw(record: dict) -> np.ndarray | None:
        text = characters(record)
        if len(text) > 1 or bytes(font.getmask(text)) == missing:
            return None
        # Some glyphs leave the box that the font gives them.
        page = Image.new("L", (4 * SOURCE_SIZE,) * 2, 255)
        ImageDraw.Draw(page).text((SOURCE_SIZE,) * 2, text, 0, font)
        ink = page.crop(ImageOps.invert(page).getbbox())
        # A margin of a sixteenth, as the other styles have about.
        side = max(ink.size) + max(ink.size) // 8
        canvas = Image.new("L", (side, side), 255)
        left, top = (side - ink.width) // 2, (side - ink.height) // 2
        canvas.paste(ink, (left, top))
        return tile(canvas)

    return [draw(record) for record in table]


def region(record: dict) -> str:
    """Return a flag's ISO code, such as `it` or `gb-sct`, or nothing."""
    points = [ord(character) for character in characters(record)]
    letters = [point - _FIRST_REGIONAL for point in points]
    if len(points) == 2 and all(0 <= letter < 26 for letter in letters):
        return "".join(chr(ord("a") + letter) for letter in letters)
    if points[0] == _BLACK_FLAG and points[1:] and points[1] > _FIRST_TAG:
        # Tags spell the code; the last one only ends it.
        code = "".join(chr(point - _FIRST_TAG) for point in points[1:-1])
        return f"{code[:2]}-{code[2:]}"
    return ""


# Styles to learn from, in the order of the data's JSON.
STYLES: dict[str, Style] = {
    "noto-v1": noto_v1,
    "fluent-flat": partial(
        fluent, package=f"{_FLUENT}-flat", names_from=f"{_FLUENT}-flat"
    ),
    "fluent-gradient": partial(
        fluent, package=_FLUENT, names_from=f"{_FLUENT}-flat"
    ),
    "fluent-3d": fluent_3d,
    "fluent-high-contrast": partial(
        fluent,
        package=f"{_FLUENT}-high-contrast",
        names_from=f"{_FLUENT}-high-contrast",
    ),
    "circle-flags": partial(flags, package="iconify-json-circle-flags"),
    "flag-icons": partial(flags, package="iconify-json-flag", ending="-4x3"),
    "flagpack": partial(flags, package="iconify-json-flagpack"),
}
