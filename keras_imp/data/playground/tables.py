"""The playground as tables: a row for each file that is written of it."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from keras_imp.data.playground.clips import (
    MOTIONS,
    clip_captions,
    clips_of_split,
)
from keras_imp.data.playground.emoji import Emoji
from keras_imp.data.playground.fashion import FASHION_CLASSES
from keras_imp.data.playground.parts import SPLITS
from keras_imp.data.playground.splits import PlaygroundSplit, load

# The style of `Emoji.images`, as a folder.
STYLE = "noto"


class Row(NamedTuple):
    """A row of a table, with what its file holds.

    Attributes:
        file: Path in the folder of the tables.
        content: Image, video or audio, as `playground.load` has it.
        texts: Captions, or none.
        label: Class.
        group: Equal for rows that belong together; empty where none do.
        split: `"train"`, `"validation"` or `"test"`.
    """

    file: str
    content: np.ndarray
    texts: tuple[str, ...]
    label: str
    group: str
    split: str


class Table(NamedTuple):
    """A table: the data of one task.

    Attributes:
        name: Name of the file.
        column: `"image"`, `"video"` or `"audio"`.
        rows: Its rows, by split.
    """

    name: str
    column: str
    rows: list[Row]


def tables(limit: int | None = None) -> list[Table]:
    """All splits of the playground as one table per task.

    Args:
        limit: Most rows of each label in each split; other styles of a drawing
            come with it. None for all.

    Returns:
        Tables of objects, of captions, of sounds and of clips.
    """
    splits = {name: load(name) for name in SPLITS}

    def table(name: str, column: str, rows_of: _RowsOf) -> Table:
        rows = [
            row
            for split, data in splits.items()
            for row in rows_of(split, data, limit)
        ]
        return Table(name, column, rows)

    return [
        table("objects.csv", "image", _objects),
        table("captions.jsonl", "image", _captions),
        table("sounds.jsonl", "audio", _sounds),
        table("clips.csv", "video", _clips),
    ]


_RowsOf = Callable[[str, PlaygroundSplit, int | None], Iterator[Row]]


def _objects(
    split: str, data: PlaygroundSplit, limit: int | None
) -> Iterator[Row]:
    labels = [FASHION_CLASSES[label] for label in data.fashion.labels]
    for row in _first(labels, limit):
        image = data.fashion.images[row]
        name = f"fashion/{split}-{row:05}.png"
        yield Row(name, image, (), labels[row], "", split)


def _captions(
    split: str, data: PlaygroundSplit, limit: int | None
) -> Iterator[Row]:
    emoji = data.emoji
    chosen = _first(emoji.categories, limit)
    yield from _drawings(split, emoji, STYLE, chosen, emoji.images[chosen])
    for style, drawings in emoji.styles.items():
        kept = np.isin(drawings.rows, chosen)
        rows, images = drawings.rows[kept].tolist(), drawings.images[kept]
        yield from _drawings(split, emoji, style, rows, images)


def _drawings(
    split: str,
    emoji: Emoji,
    style: str,
    rows: Sequence[int],
    images: np.ndarray,
) -> Iterator[Row]:
    for row, image in zip(rows, images, strict=True):
        yield Row(
            f"emoji/{style}/{split}-{row:04}.png",
            image,
            tuple(emoji.captions[row]),
            emoji.categories[row],
            emoji.concepts[row],
            split,
        )


def _sounds(
    split: str, data: PlaygroundSplit, limit: int | None
) -> Iterator[Row]:
    sounds = data.sounds
    for row in _first(sounds.families, limit):
        yield Row(
            f"recordings/{split}-{row:04}.wav",
            sounds.waveforms[row],
            tuple(sounds.captions[row]),
            sounds.families[row],
            sounds.instruments[row],
            split,
        )


def _clips(
    split: str, data: PlaygroundSplit, limit: int | None
) -> Iterator[Row]:
    emoji = data.emoji
    clips, motions = clips_of_split(split, emoji.images)
    captions = clip_captions(emoji.names, motions)
    labels = [MOTIONS[motion] for motion in motions]
    for row in _first(labels, limit):
        yield Row(
            f"clips/{split}-{row:04}.mkv",
            clips[row],
            (captions[row],),
            labels[row],
            emoji.concepts[row],
            split,
        )


def _first(labels: Sequence[str], limit: int | None) -> list[int]:
    """Positions of the first examples of each label, ascending."""
    counts: dict[str, int] = {}
    found = []
    for row, label in enumerate(labels):
        counts[label] = counts.get(label, 0) + 1
        if limit is None or counts[label] <= limit:
            found.append(row)
    return found
