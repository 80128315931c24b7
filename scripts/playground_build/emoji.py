"""Emoji: 32x32 drawings on white in several styles, and words."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from playground_build import concepts, emoji_table, equal_tiles, styles
from playground_build.files import atlas, write_json, write_png, write_webp
from playground_build.folds import concept_folds

TILES_PER_ROW = 40
SPLITS = ("train", "validation", "test")


class Row(NamedTuple):
    """One emoji: its place in the table, its split and what is stored."""

    position: int
    split: str
    stored: dict


def describe(record: dict, concept: str, words: emoji_table.Words) -> dict:
    """Return what is stored about one emoji, but for its fold."""
    return {
        "name": record["name"].lower(),
        "short_names": [
            emoji_table.plain(name) for name in record["short_names"]
        ],
        "cldr_name": words.short_name,
        "keywords": words.keywords,
        "category": record["category"],
        "subcategory": emoji_table.plain(record["subcategory"]),
        "concept": concept,
        "is_flag": record["category"] == "Flags",
    }


def describe_all(
    root: Path, table: list[dict], drawings: list[styles.Tiles]
) -> list[Row]:
    """Return every emoji with its split and its fold."""
    named = concepts.group(table, equal_tiles.emoji_pairs(drawings))
    sizes = Counter(named)
    splits = [concepts.split_of(name, sizes[name]) for name in named]
    folds = fold_of_concepts(table, named, splits)
    words = emoji_table.read_words(root, table)
    rows = []
    for position, concept in enumerate(named):
        stored = describe(table[position], concept, words[position])
        if splits[position] != "test":
            stored["fold"] = folds[concept]
        rows.append(Row(position, splits[position], stored))
    return rows


def fold_of_concepts(
    table: list[dict], named: list[str], splits: list[str]
) -> dict[str, int | None]:
    """Return the fold of each concept outside the test split.

    Flags are dealt by themselves, since they are a seventh of the pictures
    and retrieved by a vocabulary of their own.
    """
    sizes = Counter(named)
    large = frozenset(
        name for name in sizes if sizes[name] > concepts.LARGEST_HELD_OUT
    )
    flag_concepts = {
        name
        for record, name in zip(table, named, strict=True)
        if record["category"] == "Flags"
    }
    outside = [
        name
        for name, split in zip(named, splits, strict=True)
        if split != "test"
    ]
    flags = [name for name in outside if name in flag_concepts]
    others = [name for name in outside if name not in flag_concepts]
    return {
        **concept_folds(others, large, "folds"),
        **concept_folds(flags, large, "folds"),
    }


def write_split(
    out: Path,
    split: str,
    rows: list[Row],
    noto: styles.Tiles,
    others: dict[str, styles.Tiles],
) -> None:
    """Write one split: words, Noto's tiles, and one file per other style."""
    pixels = np.stack([noto[row.position] for row in rows])
    write_png(out / f"emoji_{split}.png", atlas(pixels, TILES_PER_ROW))
    drawn = {}
    for name, tiles in others.items():
        own = [tiles[row.position] for row in rows]
        drawn[name] = [
            number for number, item in enumerate(own) if item is not None
        ]
        pixels = np.stack([item for item in own if item is not None])
        write_webp(
            out / f"emoji_{split}_{name}.webp", atlas(pixels, TILES_PER_ROW)
        )
    write_json(
        out / f"emoji_{split}.json",
        {"records": [row.stored for row in rows], "styles": drawn},
    )


def write_unseen_style(
    out: Path, test: list[Row], unseen: styles.Tiles
) -> None:
    """Write the style that only tests, with its places in the test split."""
    own = [unseen[row.position] for row in test]
    rows = [number for number, item in enumerate(own) if item is not None]
    pixels = np.stack([item for item in own if item is not None])
    write_webp(out / "emoji_unseen_style.webp", atlas(pixels, TILES_PER_ROW))
    write_json(out / "emoji_unseen_style.json", {"rows": rows})


def build(root: Path, out: Path) -> None:
    """Write every file `emoji_*`. The test split has no style but Noto."""
    table = emoji_table.read_records(root)
    noto = styles.noto(root, table)
    unseen = styles.symbola(root, table)
    others = {name: draw(root, table) for name, draw in styles.STYLES.items()}
    rows = describe_all(root, table, [noto, unseen, *others.values()])
    for split in SPLITS:
        own = [row for row in rows if row.split == split]
        write_split(out, split, own, noto, {} if split == "test" else others)
    test = [row for row in rows if row.split == "test"]
    write_unseen_style(out, test, unseen)
