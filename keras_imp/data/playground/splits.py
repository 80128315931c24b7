"""Read one split of the bundled data: images, emoji and audio with labels."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from keras_imp._optional import require

SPLITS = ("train", "validation", "test")

FASHION_CLASSES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)

# Family of instruments -> how a caption calls it.
FAMILY_WORDS = {
    "bass": "bass guitar",
    "brass": "brass wind instrument",
    "choir": "singing voice",
    "drum": "drum",
    "flute": "flute or pipe",
    "guitar": "plucked guitar",
    "keyboard": "piano keyboard",
    "mallet": "mallets and bells",
    "organ": "organ",
    "plucked": "plucked strings",
    "reed": "reed wind instrument",
    "strings": "bowed strings",
}
FAMILIES = tuple(FAMILY_WORDS)

SAMPLING_RATE = 16_000
_SAMPLES = 16_384
_SIZE = 32
_FASHION_SIZE = 28

FILES = Path(__file__).parent / "files"
# What Pillow, soundfile and json raise on bytes that they cannot read.
_UNREADABLE = (
    OSError,
    RuntimeError,
    SyntaxError,
    ValueError,
    KeyError,
    TypeError,
)


@dataclasses.dataclass(frozen=True)
class Fashion:
    """Images of clothes with a class.

    Attributes:
        images: `(images, 32, 32, 3)` uint8: 28x28 with a black border,
            gray repeated to RGB.
        labels: `(images,)` int32, positions in `FASHION_CLASSES`.

    Example:
        >>> from keras_imp.data import playground
        >>> playground.load("validation").fashion.images.shape[1:]
        (32, 32, 3)
    """

    images: np.ndarray
    labels: np.ndarray


@dataclasses.dataclass(frozen=True)
class Emoji:
    """Drawn images with words.

    Attributes:
        images: `(images, 32, 32, 3)` uint8, on white.
        names: Unicode name of each image, in lower case.
        captions: Three captions per image: its name; its name and kind;
            its everyday names and category. Some captions of a split repeat
            (two images are a "man in tuxedo"), so a contrastive loss
            should not count equal captions as negatives.
        categories: Category, such as `"Food & Drink"`.
        subcategories: Finer category, such as `"food fruit"`.
        concepts: What the image shows, whatever its gender, direction or
            color; no concept is in two splits.
        is_flag: `(images,)` bool. Flags read like a vocabulary of their
            own; report retrieval without them too.

    Example:
        >>> from keras_imp.data import playground
        >>> emoji = playground.load("validation").emoji
        >>> len(emoji.captions) == len(emoji.images)
        True
    """

    images: np.ndarray
    names: list[str]
    captions: list[list[str]]
    categories: list[str]
    subcategories: list[str]
    concepts: list[str]
    is_flag: np.ndarray


@dataclasses.dataclass(frozen=True)
class Sounds:
    """Recorded notes and drum hits with words.

    Attributes:
        waveforms: `(clips, 16384)` float32 in [-1, 1], at 16 kHz.
        families: Family of the instrument, one of `FAMILIES`.
        family_labels: `(clips,)` int32, positions in `FAMILIES`.
        instruments: Name of the instrument; none is in two splits.
        notes: Pitch class, such as `"C sharp"`, where it is known.
        captions: Three captions per clip. Clips of one instrument share
            them, so a contrastive loss should not count equal captions as
            negatives.

    Example:
        >>> from keras_imp.data import playground
        >>> sounds = playground.load("validation").sounds
        >>> sounds.waveforms.shape[1] / playground.SAMPLING_RATE  # Seconds.
        1.024
    """

    waveforms: np.ndarray
    families: list[str]
    family_labels: np.ndarray
    instruments: list[str]
    notes: list[str | None]
    captions: list[list[str]]


@dataclasses.dataclass(frozen=True)
class PlaygroundSplit:
    """One split of the playground.

    Attributes:
        fashion: Images with a class.
        emoji: Images with words.
        sounds: Sounds with a family and words.

    Example:
        >>> from keras_imp.data import playground
        >>> split = playground.load("validation")
        >>> sorted(vars(split))
        ['emoji', 'fashion', 'sounds']
    """

    fashion: Fashion
    emoji: Emoji
    sounds: Sounds


def load(split: str) -> PlaygroundSplit:
    """Read one split of the bundled data.

    Needs Pillow and soundfile: `pip install 'keras-imp[data]'`.

    Args:
        split: `"train"`, `"validation"` or `"test"`.

    Returns:
        The decoded arrays with their labels and captions, as a
        `PlaygroundSplit`.

    Raises:
        ValueError: If the split is unknown or a data file is damaged.
        FileNotFoundError: If a data file is missing.
        ImportError: If Pillow or soundfile is not installed.

    Example:
        >>> from keras_imp.data import playground
        >>> data = playground.load("validation")
        >>> data.fashion.images.shape, data.fashion.labels.shape
        ((1000, 32, 32, 3), (1000,))
        >>> data.emoji.images.shape, len(data.emoji.captions[0])
        ((140, 32, 32, 3), 3)
        >>> data.sounds.waveforms.shape
        (95, 16384)
    """
    if split not in SPLITS:
        raise ValueError(
            '`split` must be "train", "validation" or "test". '
            f"Received: split={split!r}. Use one of the three names."
        )
    return PlaygroundSplit(
        fashion=_load_fashion(split),
        emoji=_load_emoji(split),
        sounds=_load_sounds(split),
    )


def _load_fashion(split: str) -> Fashion:
    digits = _read_json(f"fashion_{split}.json", "labels")
    labels = np.array([int(digit) for digit in digits], "int32")
    name = f"fashion_{split}.png"
    tiles = _read_tiles(name, len(labels), _FASHION_SIZE, "L")
    border = (_SIZE - _FASHION_SIZE) // 2
    padded = np.pad(tiles, [(0, 0), (border, border), (border, border)])
    return Fashion(np.repeat(padded[..., None], 3, axis=-1), labels)


def _load_emoji(split: str) -> Emoji:
    records = _read_json(f"emoji_{split}.json", "records")
    images = _read_tiles(f"emoji_{split}.png", len(records), _SIZE, "RGB")
    return Emoji(
        images=images,
        names=[record["name"] for record in records],
        captions=[_emoji_captions(record) for record in records],
        categories=[record["category"] for record in records],
        subcategories=[record["subcategory"] for record in records],
        concepts=[record["concept"] for record in records],
        is_flag=np.array([record["is_flag"] for record in records]),
    )


def _load_sounds(split: str) -> Sounds:
    records = _read_json(f"sounds_{split}.json", "records")
    families = [record["family"] for record in records]
    labels = [FAMILIES.index(family) for family in families]
    return Sounds(
        waveforms=_read_clips(f"sounds_{split}.mp3", len(records)),
        families=families,
        family_labels=np.array(labels, "int32"),
        instruments=[record["instrument"] for record in records],
        notes=[record["note"] for record in records],
        captions=[_sound_captions(record) for record in records],
    )


def _emoji_captions(record: dict[str, Any]) -> list[str]:
    name = record["name"]
    category = record["category"].lower().replace("&", "and")
    everyday = ", ".join(record["short_names"])
    return [
        name,
        f"{name}, {record['subcategory']}",
        f"{everyday}, {category}",
    ]


def _sound_captions(record: dict[str, Any]) -> list[str]:
    instrument, family = record["instrument"], record["family"]
    article = "an" if instrument[0] in "aeiou" else "a"
    what = "hit" if family == "drum" else "note"
    note = record["note"]
    playing = f" playing {note}" if note else ""
    return [
        f"{article} {instrument} {what}, {FAMILY_WORDS[family]}",
        f"the sound of {article} {instrument}{playing}",
        f"{FAMILY_WORDS[family]}: {instrument}",
    ]


def _file(name: str) -> Path:
    path = FILES / name
    if not path.is_file():
        raise FileNotFoundError(
            "Every file of the playground must be installed. "
            f"Received: no file {name!r}. " + _REINSTALL
        )
    return path


_REINSTALL = (
    "Reinstall the package: pip install --force-reinstall 'keras-imp[data]'"
)


def _damaged(name: str, reason: object) -> ValueError:
    return ValueError(
        "The files of the playground must be whole. "
        f"Received: {name!r} ({reason}). " + _REINSTALL
    )


def _read_json(name: str, key: str) -> Any:
    path = _file(name)
    try:
        return json.loads(path.read_text(encoding="utf-8"))[key]
    except _UNREADABLE as error:
        raise _damaged(name, "not readable") from error


def _read_tiles(name: str, count: int, size: int, mode: str) -> np.ndarray:
    """Cut an atlas into its first `count` tiles `(count, size, size, ...)`."""
    path = _file(name)
    image = require("PIL.Image", extra="data")
    try:
        with image.open(path) as opened:
            pixels = np.asarray(opened.convert(mode))
    except _UNREADABLE as error:
        raise _damaged(name, "not readable") from error
    rows, columns = pixels.shape[0] // size, pixels.shape[1] // size
    if rows * columns < count:
        raise _damaged(name, f"{rows * columns} images, expected {count}")
    grid = pixels.reshape(rows, size, columns, size, *pixels.shape[2:])
    tiles = grid.swapaxes(1, 2).reshape(-1, size, size, *pixels.shape[2:])
    return tiles[:count].copy()


def _read_clips(name: str, count: int) -> np.ndarray:
    """Cut a recording into clips `(count, samples)`."""
    path = _file(name)
    soundfile = require("soundfile", extra="data")
    try:
        wave, _ = soundfile.read(path, dtype="float32")
    except _UNREADABLE as error:
        raise _damaged(name, "not readable") from error
    if wave.shape != (count * _SAMPLES,):
        raise _damaged(
            name, f"{wave.shape[0]} samples, expected {count * _SAMPLES}"
        )
    # The decoder overshoots the loudest peaks a little.
    return np.clip(wave, -1.0, 1.0).reshape(count, _SAMPLES)
