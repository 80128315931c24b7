"""Animations of a game: what a unit does, as a video with sound and a text."""

import csv
import re
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_imp.validation.features import features_of
from keras_imp.validation.sketches import ImageSketches
from real_data import wml
from real_data.encoding import write_video
from real_data.grouping import linked, split_of

PACKAGES = ("wesnoth-1.16-data",)
CORE = "usr/share/games/wesnoth/1.16/data/core"
_SOUND = re.compile(r"[\w\-/\[\]~,]+\.(?:ogg|wav)")
_LIST = re.compile(r"\{(SOUND_LIST:[A-Z_0-9]+)\}")
# What a tag is called, and how a text says it.
ACTIONS = {
    "death": ("death", "{unit} dies"),
    "defend": ("defense", "{unit} is struck"),
    "idle_anim": ("idle", "{unit} waits"),
    "standing_anim": ("standing", "{unit} stands"),
}
# The image when a unit is struck, and the one before and after it.
_DEFENSE = re.compile(r'\{DEFENSE_ANIM(?:_RANGE)? "([^"]+)" "([^"]+)"(.*)')
_FRAME_MILLISECONDS = 100


class Animation(NamedTuple):
    """What a unit does.

    Attributes:
        unit: Its name.
        label: The kind of action.
        text: What happens, in words.
        frames: Images, with milliseconds.
        sound: The first of its sounds, or None.
    """

    unit: str
    label: str
    text: str
    frames: list[tuple[Path, int]]
    sound: Path | None


def write(root: Path, out: Path) -> Iterator[tuple[Path, int]]:
    """Write the videos, `battles.csv`, and `sounds.csv` of those with sound.

    Args:
        root: Where the package is unpacked.
        out: Folder to write.

    Yields:
        Each table and the number of its rows.
    """
    core = root / CORE
    lists = wml.sound_lists(core / "macros")
    found = [
        animation
        for source in sorted((core / "units").rglob("*.cfg"))
        for animation in animations(source, core, lists)
    ]
    (out / "battles").mkdir(parents=True, exist_ok=True)
    names = [f"battles/{number:04}.mp4" for number in range(len(found))]
    for name, each in zip(names, found):
        write_video(out / name, each.frames, each.sound)
    units = [each.unit for each in found]
    # Some units have the images of others, or these drawn anew with a change.
    keys: list[list[Hashable]] = [
        [file.read_bytes() for file, _ in each.frames] for each in found
    ]
    for pair in redrawn([out / name for name in names], units):
        for row in pair:
            keys[row].append(pair)
    groups = linked(units, keys)
    whole = [
        [name, each.text, each.label, group, split_of(group)]
        for name, each, group in zip(names, found, groups)
    ]
    heard = [
        [name, group, split]
        for (name, *_, group, split), each in zip(whole, found)
        if each.sound is not None
    ]
    for table, columns, rows in (
        ("battles.csv", ["video", "text", "label", "group", "split"], whole),
        ("sounds.csv", ["video", "group", "split"], heard),
    ):
        with (out / table).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([columns, *rows])
        yield out / table, len(rows)


def redrawn(videos: list[Path], units: list[str]) -> list[tuple[int, int]]:
    """Pairs of videos of two units that nearly show the same.

    Args:
        videos: The files.
        units: What each shows.

    Returns:
        Positions in `videos`.
    """
    sketches = ImageSketches()
    for row, video in enumerate(videos):
        sketches.add(row, features_of(video, "video")["sketch"])
    numbers = np.unique(units, return_inverse=True)[1]
    return [pair[:2] for pair in sketches.near(numbers, every=True)]


def animations(
    source: Path, core: Path, lists: dict[str, str]
) -> Iterator[Animation]:
    """The animations of a unit that have at least two different images."""
    for unit in wml.read(source).all("unit_type"):
        # "female^Elvish Shaman": what is before is for translators.
        name = unit.values.get("name", "").rpartition("^")[2]
        ranges = {
            attack.values.get("name", ""): attack.values.get("range", "")
            for attack in unit.all("attack")
        }
        seen = set()
        for node in (*unit.all("attack_anim", *ACTIONS), *_defenses(unit)):
            said = _said(node, name, ranges)
            frames = list(_frames(node, core / "images"))
            shown = tuple(frames)
            # The same images in another direction are mirrored by the game.
            if not said or len({f for f, _ in frames}) < 2 or shown in seen:
                continue
            seen.add(shown)
            sounds = [*_sounds(node)]
            if node.tag == "death":
                sounds.append(unit.values.get("die_sound", ""))
            sound = _first_file(sounds, core / "sounds", lists)
            yield Animation(name, *said, frames, sound)


def _defenses(unit: wml.Node) -> Iterator[wml.Node]:
    """What most units have by a macro: they are struck."""
    for macro in unit.macros:
        found = _DEFENSE.match(macro)
        if found:
            reaction, base, sound = found.groups()
            frames = [
                wml.Node("frame", {"image": f"{image}:{length}"}, [], [])
                for image, length in ((base, 100), (reaction, 250), (base, 100))
            ]
            yield wml.Node("defend", {}, [sound], frames)


def _said(
    node: wml.Node, unit: str, ranges: dict[str, str]
) -> tuple[str, str] | None:
    """Label and text of an animation; None for an attack that is unknown."""
    if not unit:
        return None
    if node.tag in ACTIONS:
        label, text = ACTIONS[node.tag]
        return label, text.format(unit=unit)
    weapon = next(
        (f.values.get("name", "") for f in node.all("filter_attack")), ""
    )
    reach = ranges.get(weapon)
    if not reach:
        return None
    return f"{reach} attack", f"{unit} attacks with {weapon}"


def _frames(node: wml.Node, images: Path) -> Iterator[tuple[Path, int]]:
    """Images of the frames, with how long each is shown."""
    for child in node.children:
        if child.tag in ("if", "frame"):
            yield from _frames_of(child, images)
            yield from _frames(child, images)


def _frames_of(frame: wml.Node, images: Path) -> Iterator[tuple[Path, int]]:
    pattern = frame.values.get("image", "")
    for shown in wml.expand(pattern) if pattern else ():
        name, _, milliseconds = shown.partition(":")
        path = images / name.split("~")[0]
        if path.suffix == ".png" and path.is_file():
            length = frame.values.get("duration", milliseconds)
            yield (
                path,
                int(length) if length.isdecimal() else _FRAME_MILLISECONDS,
            )


def _sounds(node: wml.Node) -> Iterator[str]:
    """What an animation says of its sounds."""
    for each in _all(node):
        yield each.values.get("sound", "")
    for each in _all(node):
        yield from each.macros


def _first_file(
    sounds: list[str], folder: Path, lists: dict[str, str]
) -> Path | None:
    """The first sound that is there."""
    for text in sounds:
        text = _LIST.sub(lambda found: lists.get(found[1], ""), text)
        for pattern in _SOUND.findall(text):
            path = folder / wml.expand(pattern.lstrip(","))[0]
            if path.is_file():
                return path
    return None


def _all(node: wml.Node) -> Iterator[wml.Node]:
    yield node
    for child in node.children:
        yield from _all(child)
