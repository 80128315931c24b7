"""Drawn images with words, in several styles."""

import dataclasses
from typing import Any

import numpy as np

from keras_imp.data.playground.parts import ALWAYS_TRAINS, Part
from keras_imp.data.playground.reading import read_table, read_tiles

_SIZE = 32


@dataclasses.dataclass(frozen=True)
class Drawings:
    """Some of the emoji in another style.

    Attributes:
        rows: `(drawings,)` int32, ascending: which of the emoji each drawing
            shows, as positions in `Emoji.images`.
        images: `(drawings, 32, 32, 3)` uint8, on white.

    Example:
        >>> from keras_imp.data import playground
        >>> emoji = playground.load("validation").emoji
        >>> drawings = emoji.styles["fluent-flat"]
        >>> len(drawings.rows) == len(drawings.images) < len(emoji.images)
        True
    """

    rows: np.ndarray
    images: np.ndarray


@dataclasses.dataclass(frozen=True)
class Emoji:
    """Drawn images with words.

    Attributes:
        images: `(images, 32, 32, 3)` uint8, on white, in the style of Noto.
        names: Unicode name of each image, in lower case.
        captions: Three captions per image: its name; its name and kind;
            its everyday names and category. Some captions of a split repeat
            (two images are a "man in tuxedo"), so a contrastive loss
            should not count equal captions as negatives.
        categories: Category, such as `"Food & Drink"`.
        subcategories: Finer category, such as `"food fruit"`.
        concepts: What the image shows, whatever its gender, direction or
            color; no concept is in two splits, and images that share a
            drawing in any style share a concept.
        is_flag: `(images,)` bool. Flags read like a vocabulary of their
            own; report retrieval without them too.
        short_names: Short name of each image in the Unicode Common Locale
            Data Repository (CLDR), in lower case.
        keywords: Keywords of each image there, at least one.
        styles: The same emoji as other artists draw them, by style. Flags
            have styles of their own. Empty in the test split.

    Example:
        >>> from keras_imp.data import playground
        >>> emoji = playground.load("validation").emoji
        >>> len(emoji.captions) == len(emoji.images)
        True
        >>> sorted(emoji.styles)[:3]
        ['circle-flags', 'flag-icons', 'flagpack']
    """

    images: np.ndarray
    names: list[str]
    captions: list[list[str]]
    categories: list[str]
    subcategories: list[str]
    concepts: list[str]
    is_flag: np.ndarray
    short_names: list[str]
    keywords: list[list[str]]
    styles: dict[str, Drawings]


def load_emoji(part: Part) -> Emoji:
    """Read the emoji of a split or of a part of a fold.

    Args:
        part: What to read.

    Returns:
        The emoji.
    """
    tables = [read_table(f"emoji_{name}.json") for name in part.sources]
    counts = [len(table["records"]) for table in tables]
    records = [record for table in tables for record in table["records"]]
    images = [
        read_tiles(f"emoji_{name}.png", count, _SIZE, "RGB")
        for name, count in zip(part.sources, counts, strict=True)
    ]
    rows = part.rows(_folds(records))
    styles = {
        style: _take(_read_style(style, part, tables), rows)
        for style in tables[0]["styles"]
    }
    chosen = [records[row] for row in rows]
    return _emoji(chosen, np.concatenate(images)[rows], styles)


def load_unseen_style() -> Emoji:
    """Read drawings of the test split's emoji in a style that never trains.

    The drawings are Symbola's: black outlines, one for each emoji of the
    test split that is a single character, so no flags of countries. They
    test whether a model knows a thing, or only how one artist draws things.

    Returns:
        The emoji, with the words that the test split has for them.

    Raises:
        ValueError: If a data file is damaged.
        FileNotFoundError: If a data file is missing.
        ImportError: If Pillow is not installed.

    Example:
        >>> from keras_imp.data import playground
        >>> unseen = playground.load_unseen_style()
        >>> unseen.images.shape[1:], len(unseen.styles)
        ((32, 32, 3), 0)
        >>> test = playground.load("test").emoji
        >>> set(unseen.names) <= set(test.names)
        True
    """
    rows = read_table("emoji_unseen_style.json")["rows"]
    records = read_table("emoji_test.json")["records"]
    images = read_tiles("emoji_unseen_style.webp", len(rows), _SIZE, "RGB")
    return _emoji([records[row] for row in rows], images, {})


def _read_style(
    style: str, part: Part, tables: list[dict[str, Any]]
) -> Drawings:
    """Return the drawings of every source, as positions in all of them."""
    rows, images, offset = [], [], 0
    for name, table in zip(part.sources, tables, strict=True):
        own = np.array(table["styles"][style], "int32")
        file = f"emoji_{name}_{style}.webp"
        images.append(read_tiles(file, len(own), _SIZE, "RGB"))
        rows.append(own + offset)
        offset += len(table["records"])
    return Drawings(np.concatenate(rows), np.concatenate(images))


def _take(drawings: Drawings, rows: np.ndarray) -> Drawings:
    """Return the drawings of some emoji, as positions among these."""
    kept = np.isin(drawings.rows, rows)
    places = np.searchsorted(rows, drawings.rows[kept])
    return Drawings(places.astype("int32"), drawings.images[kept])


def _emoji(
    records: list[dict[str, Any]],
    images: np.ndarray,
    styles: dict[str, Drawings],
) -> Emoji:
    def column(key: str) -> list:
        return [record[key] for record in records]

    return Emoji(
        images=images,
        names=column("name"),
        captions=[_captions(record) for record in records],
        categories=column("category"),
        subcategories=column("subcategory"),
        concepts=column("concept"),
        is_flag=np.array(column("is_flag"), bool),
        short_names=column("cldr_name"),
        keywords=column("keywords"),
        styles=styles,
    )


def _folds(records: list[dict[str, Any]]) -> np.ndarray:
    found = (record.get("fold") for record in records)
    return np.array([ALWAYS_TRAINS if fold is None else fold for fold in found])


def _captions(record: dict[str, Any]) -> list[str]:
    name = record["name"]
    category = record["category"].lower().replace("&", "and")
    everyday = ", ".join(record["short_names"])
    return [
        name,
        f"{name}, {record['subcategory']}",
        f"{everyday}, {category}",
    ]
