"""Faults, planted in a copy of real files; and what must tell of each.

A planting changes rows of the table and their files, and returns the row that
has the fault, or None if all rows of a part have it together.
"""

import dataclasses
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image

Row = dict[str, str]
RATE = 16_000


@dataclasses.dataclass
class Planting:
    """One fault.

    Attributes:
        name: What it is.
        flag: The flag of its row; None if only statistics see it.
        feature: The feature of which statistics tell; None if none does.
        plant: Changes rows and files.
        row: The row that has it, once it is planted.
        place: Kind of row and part that all have it together.
    """

    name: str
    flag: str | None
    feature: str | None
    plant: Callable[["Copy"], Row | None]
    row: Row | None = None
    place: tuple[str, str] | None = None


class Copy:
    """A copy of the data, of which each row is taken for one fault only."""

    def __init__(self, folder: Path, rows: list[Row]):
        self.folder = folder
        self.rows = rows
        self._taken: set[int] = set()
        groups: dict[str, int] = {}
        for row in rows:
            groups[row["group"]] = groups.get(row["group"], 0) + 1
        self._alone = {group for group, n in groups.items() if n == 1}

    def take(self, column: str, split: str) -> Row:
        """A row that has a file, and no fault."""
        for row in self.rows:
            if id(row) in self._taken or row["split"] != split:
                continue
            # Images alone in their group: none is a true copy.
            if row.get(column) and (
                column == "audio" or row["group"] in self._alone
            ):
                self._taken.add(id(row))
                return row
        raise LookupError(f"no {column} of {split} is left")

    def image(self, split: str, change: Callable[[Image.Image], Any]) -> Row:
        """A row whose image is changed."""
        row = self.take("image", split)
        path = self.folder / row["image"]
        changed = change(Image.open(path).convert("RGB"))
        if changed is not None:
            changed.save(path)
        return row

    def audio(
        self, split: str, change: Callable[[np.ndarray], np.ndarray], **options
    ) -> Row:
        """A row whose recording is changed."""
        row = self.take("audio", split)
        path = self.folder / row["audio"]
        samples, rate = soundfile.read(path)
        options = {"samplerate": rate, "subtype": "PCM_16", **options}
        soundfile.write(path, change(samples), **options)
        return row

    def bytes(self, column: str, split: str, change) -> Row:
        """A row whose file has other bytes."""
        row = self.take(column, split)
        path = self.folder / row[column]
        path.write_bytes(change(path.read_bytes()))
        return row


def _darken(copy: Copy) -> None:
    for row in copy.rows:
        if row.get("image") and row["split"] == "validation":
            path = copy.folder / row["image"]
            Image.open(path).point(lambda value: value * 0.5).save(path)


def _shout(copy: Copy) -> None:
    for row in copy.rows:
        if row.get("image") and row["split"] == "validation":
            row["text"] = row["text"].upper()


def _relabel(copy: Copy) -> None:
    """Give three of four images of the validation split one class."""
    rows = [
        row
        for row in copy.rows
        if row.get("image") and row["split"] == "validation"
    ]
    for row in rows:
        # Rows of a group alike, so that no copy has two classes.
        if zlib.crc32(row["group"].encode()) % 4:
            row["label"] = "Objects"


def _set(column: str, split: str, **values: str):
    def plant(copy: Copy) -> Row:
        row = copy.take(column, split)
        row.update(values)
        return row

    return plant


def _missing(copy: Copy) -> Row:
    row = copy.take("image", "train")
    (copy.folder / row["image"]).unlink()
    return row


def _repeat(column: str, first: str, second: str, what: str):
    """Give a row something of another one."""

    def plant(copy: Copy) -> Row:
        source, target = copy.take(column, first), copy.take(column, second)
        if what == "file":
            content = (copy.folder / source[column]).read_bytes()
            (copy.folder / target[column]).write_bytes(content)
            target["label"] = source["label"]
        else:
            target[what] = source[what]
        return target

    return plant


def _conflict(copy: Copy) -> Row:
    row = copy.take("image", "train")
    other = next(r["label"] for r in copy.rows if r["label"] != row["label"])
    again = {**row, "label": other}
    copy.rows.append(again)
    return again


def _rows_again(copy: Copy) -> Row:
    row = copy.take("audio", "train")
    again = [dict(row) for _ in range(10)]
    copy.rows += again
    return again[0]


def _animated(copy: Copy) -> Row:
    row = copy.take("image", "train")
    path = copy.folder / row["image"]
    image = Image.open(path).convert("RGB")
    row["image"] = row["image"].replace(".png", ".gif")
    frames = [image.rotate(90), image.rotate(180)]
    image.save(path.with_suffix(".gif"), save_all=True, append_images=frames)
    return row


def _as_jpeg(copy: Copy) -> Row:
    row = copy.take("image", "train")
    path = copy.folder / row["image"]
    row["image"] = row["image"].replace(".png", ".jpg")
    Image.open(path).save(path.with_suffix(".jpg"))
    return row


def _not_a_number(samples: np.ndarray) -> np.ndarray:
    samples[100] = np.nan
    return samples


def all_plantings() -> list[Planting]:
    """The faults, those of whole splits first."""
    train, validation = "train", "validation"
    return [
        Planting(
            "dark split",
            None,
            "image_brightness",
            _darken,
            place=("image", "validation"),
        ),
        Planting(
            "texts in capitals",
            None,
            "text_capitals",
            _shout,
            place=("image", "validation"),
        ),
        Planting(
            "one class for most",
            None,
            "label",
            _relabel,
            place=("image", "validation"),
        ),
        Planting(
            "class of validation only",
            "label_unseen",
            "label",
            _set("image", validation, label="Dinosaurs"),
        ),
        Planting(
            "cut image",
            "unreadable",
            None,
            lambda c: c.bytes("image", train, lambda x: x[: len(x) // 2]),
        ),
        Planting("missing image", "unreadable", None, _missing),
        Planting(
            "text named as an image",
            "unreadable",
            None,
            lambda c: c.bytes("image", validation, lambda x: b"<html>"),
        ),
        Planting(
            "empty recording",
            "unreadable",
            None,
            lambda c: c.bytes("audio", train, lambda x: b""),
        ),
        Planting(
            "recording that is not finite",
            "unreadable",
            None,
            lambda c: c.audio(train, _not_a_number, subtype="FLOAT"),
        ),
        Planting(
            "blank image",
            "blank",
            None,
            lambda c: c.image(
                train, lambda x: Image.new("RGB", x.size, (9, 99, 200))
            ),
        ),
        Planting(
            "silent recording",
            "silent",
            "audio_level",
            lambda c: c.audio(train, lambda x: x * 0),
        ),
        Planting(
            "other sampling rate",
            None,
            "audio_rate",
            lambda c: c.audio(train, lambda x: x[::2], samplerate=8000),
        ),
        Planting(
            "stereo",
            None,
            "audio_channels",
            lambda c: c.audio(validation, lambda x: np.stack([x, x], 1)),
        ),
        Planting(
            "23 ms",
            "short",
            "audio_seconds",
            lambda c: c.audio(train, lambda x: x[:368]),
        ),
        Planting(
            "cut off at full scale",
            "clipped",
            None,
            lambda c: c.audio(train, lambda x: np.clip(90 * x, -1, 1)),
        ),
        Planting(
            "large image",
            None,
            "image_height",
            lambda c: c.image(train, lambda x: x.resize((3000, 3000))),
        ),
        Planting(
            "tiny image",
            "tiny",
            "image_height",
            lambda c: c.image(train, lambda x: x.resize((4, 4))),
        ),
        Planting(
            "long side",
            "aspect",
            "image_aspect",
            lambda c: c.image(validation, lambda x: x.resize((400, 10))),
        ),
        Planting(
            "gray image",
            None,
            "image_mode",
            lambda c: c.image(train, lambda x: x.convert("L")),
        ),
        Planting("other format", None, "image_format", _as_jpeg),
        Planting("animation", "several_images", "image_format", _animated),
        Planting("no caption", "gap", None, _set("image", train, text="")),
        Planting("no label", None, "label", _set("audio", train, label="")),
        Planting(
            "caption of 720 characters",
            None,
            "text_characters",
            _set("image", train, text="a dragon, a face " * 42),
        ),
        Planting(
            "text of 30 kB",
            "long_text",
            "text_characters",
            _set("audio", train, text="a bassoon " * 3000),
        ),
        Planting(
            "image of train in validation",
            "leak_image",
            None,
            _repeat("image", train, validation, "file"),
        ),
        Planting(
            "recording of train in validation",
            "leak_audio",
            None,
            _repeat("audio", train, validation, "file"),
        ),
        Planting(
            "group of train in validation",
            "leak_group",
            None,
            _repeat("image", train, validation, "group"),
        ),
        Planting(
            "caption of train in validation",
            "leak_text",
            None,
            _repeat("image", train, validation, "text"),
        ),
        Planting(
            "two files with one image",
            "duplicate",
            None,
            _repeat("image", train, train, "file"),
        ),
        Planting("row ten times more", "duplicate", None, _rows_again),
        Planting("two labels", "label_conflict", None, _conflict),
    ]
