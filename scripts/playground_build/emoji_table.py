"""The emoji that have a Noto picture: their code points, names and words."""

import json
import unicodedata
from pathlib import Path
from typing import Any, NamedTuple

NOTO = "emoji-datasource-google/package"
CLDR = (
    ("cldr-annotations-full", "annotations"),
    ("cldr-annotations-derived-full", "annotationsDerived"),
)
_EMOJI_STYLE = "\ufe0f"
# Signs that tell names apart, as icon sets write them.
_SPOKEN = {
    "’": "",
    "&": "and",
    "#": " pound ",
    "*": " asterisk ",
    "!": " exclamation ",
}


class Words(NamedTuple):
    """The CLDR short name of an emoji and its keywords, in lower case."""

    short_name: str
    keywords: list[str]


def plain(text: str) -> str:
    """Turn an identifier such as `flag-it` or `sky & weather` into words."""
    spaced = text.replace("_", " ").replace("-", " ").replace("&", "and")
    return " ".join(spaced.lower().split())


def characters(record: dict) -> str:
    """Return the emoji itself, without the sign that asks for a picture.

    Packages disagree on that sign, so it tells no two emoji apart.
    """
    points = record["unified"].split("-")
    text = "".join(chr(int(point, 16)) for point in points)
    return text.replace(_EMOJI_STYLE, "")


def key(code_points: str) -> str:
    """Return code points such as `0023-FE0F-20E3` as packages share them."""
    points = code_points.lower().split("-")
    return "-".join(point for point in points if point != "fe0f")


def slug(short_name: str) -> str:
    """Return a name as icon sets write it: `a-button-blood-type`."""
    text = short_name.lower()
    for sign, word in _SPOKEN.items():
        text = text.replace(sign, word)
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore")
    letters = (
        letter if letter.isalnum() else " " for letter in ascii_text.decode()
    )
    return "-".join("".join(letters).split())


def read_records(root: Path) -> list[dict]:
    """Return the emoji with a picture, in the order of the Unicode chart.

    The five skin-tone swatches are left out: they are modifiers, not things.
    """
    table = json.loads((root / NOTO / "emoji.json").read_text("utf-8"))
    usable = [
        record
        for record in table
        if record["has_img_google"] and record["category"] != "Component"
    ]
    return sorted(usable, key=lambda record: record["sort_order"])


def read_words(root: Path, table: list[dict]) -> list[Words]:
    """Return the English CLDR words of each emoji."""
    annotations: dict[str, Any] = {}
    for package, part in CLDR:
        path = root / package / "package" / part / "en" / "annotations.json"
        content = json.loads(path.read_text("utf-8"))
        annotations |= content[part]["annotations"]
    found = {
        text.replace(_EMOJI_STYLE, ""): entry
        for text, entry in annotations.items()
    }
    entries = [found[characters(record)] for record in table]
    return [
        Words(
            entry["tts"][0].lower(),
            [keyword.lower() for keyword in entry["default"]],
        )
        for entry in entries
    ]
