"""What flags are found by: parts, hashes and labels of all rows, as arrays."""

import hashlib
from array import array
from typing import Any, NamedTuple

import numpy as np

from keras_imp.data.manifest import Manifest
from keras_imp.data.reading.aliases import MEDIA
from keras_imp.validation.audio_sketches import AudioSketches
from keras_imp.validation.sketches import ImageSketches

# The part of rows that have no split.
ALL = "all"
AGAINST = "against"


# Features that all rows of a kind share in most data sets.
SHARED = (
    "image_format",
    "image_mode",
    "image_background",
    "image_detail",
    "video_rate",
    "video_format",
    "video_has_audio",
    "video_silence",
    "audio_rate",
    "audio_channels",
    "audio_format",
    "audio_offset",
    "audio_hum",
    "audio_loudness",
    "text_script",
)
# The note of a file that shows or plays nothing, by column.
EMPTY = {"image": "blank", "video": "blank", "audio": "silent"}
# Features that rows of a label share.
OF_LABELS = ("video_moves", "video_direction")


class Part(NamedTuple):
    """Rows that are compared with others as a whole, such as a split.

    Attributes:
        name: Its name.
        is_reference: Whether it is what the others are compared with.
    """

    name: str
    is_reference: bool


def parts_of(
    manifest: Manifest, has_against: bool = False
) -> tuple[list[Part], np.ndarray]:
    """The parts of some data.

    Args:
        manifest: The rows.
        has_against: Whether other data is what they are compared with.

    Returns:
        The parts, the reference first: the split `"train"`, else the largest
        one, unless there is other data; and the part of each row, int64, shape
        `(rows,)`.

    Example:
        >>> import keras_imp
        >>> from keras_imp.validation.rows import parts_of
        >>> parts, numbers = parts_of(keras_imp.data.Manifest(
        ...     {"text": ["a", "b"], "split": ["test", "train"]}))
        >>> [part.name for part in parts], numbers.tolist()
        (['train', 'test'], [1, 0])
    """
    if "split" not in manifest.columns:
        splits = [ALL] * len(manifest)
    else:
        splits = [value or ALL for value in manifest.column("split")]
    names, numbers, counts = np.unique(
        np.array(splits, object), return_inverse=True, return_counts=True
    )
    order = {"train": 0, "validation": 1, "test": 2}
    largest = names[counts.argmax()]
    first = "train" if "train" in names else largest
    ranked = sorted(names, key=lambda name: (name != first, order.get(name, 3)))
    place = {name: number for number, name in enumerate(ranked)}
    parts = [Part(name, name == first and not has_against) for name in ranked]
    return parts, np.array([place[names[n]] for n in numbers.reshape(-1)])


class RowKeys:
    """What identifies the content of rows, by number.

    Attributes:
        parts: The parts, of all data that was added.
        part: The part of each row.
        media: By column: a hash of what each row shows there, 0 for none.
        empty: By column: whether a row's file shows or plays nothing.
        files: By column: a hash of the file's place, 0 for none.
        recordings: The same of rows that are a segment of their file.
        texts: Rows and hashes of all captions.
        labels: Rows and numbers of all labels.
        label_names: Labels by number.
        group: A hash of the group of each row, 0 for none.
        numbers: By column: whether a row has it.
        images: By column: what rows nearly show.
        sketches: The same, and what they nearly play.
        features: By kind of row and name: rows with a feature, and numbers of
            its values.
        feature_values: By name: its values, by number.
        lengths: Rows of audio that are no segments, and their seconds.

    Example:
        >>> from keras_imp.validation.rows import RowKeys
        >>> keys = RowKeys()
        >>> keys.names
        []
    """

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.part = array("q")
        self.media = {name: array("Q") for name in MEDIA}
        self.empty = {name: array("b") for name in MEDIA}
        self.files = {name: array("Q") for name in MEDIA}
        self.recordings = {name: array("Q") for name in MEDIA}
        self.texts = array("q"), array("Q")
        self.labels = array("q"), array("q")
        self.label_names: dict[str, int] = {}
        self.group = array("Q")
        self.numbers = {name: array("b") for name in ("start", "end", "weight")}
        self.images = {"image": ImageSketches(), "video": ImageSketches()}
        self.sketches = {**self.images, "audio": AudioSketches()}
        self.features: dict[tuple[str, str], tuple[array, array]] = {}
        self.lengths = array("q"), array("d")
        self.feature_values: dict[str, dict[Any, int]] = {
            name: {} for name in (*SHARED, *OF_LABELS)
        }

    def __len__(self) -> int:
        return len(self.part)

    @property
    def names(self) -> list[str]:
        """Names of the parts."""
        return [part.name for part in self.parts]

    @property
    def references(self) -> list[int]:
        """Numbers of the parts that the others are compared with."""
        return [i for i, part in enumerate(self.parts) if part.is_reference]

    def add_groups(self, manifest: Manifest) -> None:
        """Note the groups of rows that are added next, where data has any.

        Args:
            manifest: The rows.
        """
        if "group" not in manifest.columns:
            self.group.extend([0] * len(manifest))
            return
        self.group.extend(map(_hash_of_group, manifest.column("group")))

    def add(self, part: int, record: dict[str, Any]) -> None:
        """Note the next row.

        Args:
            part: Number of its part.
            record: What the scan has of it.
        """
        row = len(self.part)
        self.part.append(part)
        for name in MEDIA:
            digest = record["hashes"].get(name)
            self.media[name].append(int(digest[:16], 16) if digest else 0)
            self.empty[name].append(name in record.get("empty", ()))
            place = record["places"].get(name)
            file = hash(place) & (2**64 - 1) if place else 0
            self.files[name].append(file)
            self.recordings[name].append(file if record["is_segment"] else 0)
        for name, has in self.numbers.items():
            has.append(name in record.get("numbers", ()))
        for name, sketch in record.get("sketches", {}).items():
            self.sketches[name].add(row, sketch, part)
        for digest in record["texts"]:
            self.texts[0].append(row)
            self.texts[1].append(int(digest[:16], 16))
        for label in record["labels"]:
            self.labels[0].append(row)
            number = self.label_names.setdefault(label, len(self.label_names))
            self.labels[1].append(number)
        features = record.get("features", {})
        is_file = record.get("kind") == "audio" and not record["is_segment"]
        if is_file and "audio_seconds" in features:
            self.lengths[0].append(row)
            self.lengths[1].append(features["audio_seconds"])
        for name, value in features.items():
            if name in self.feature_values:
                known = self.feature_values[name]
                of_kind = self.features.setdefault(
                    (record["kind"], name), (array("q"), array("q"))
                )
                of_kind[0].append(row)
                of_kind[1].append(known.setdefault(value, len(known)))

    def single_labels(self) -> np.ndarray:
        """The number of the label of each row; -1 where there is not one.

        Of several labels of a row, each may be true.
        """
        rows, labels = map(np.asarray, self.labels)
        single = np.full(len(self), -1)
        single[rows] = labels
        single[np.bincount(rows, minlength=len(self)) > 1] = -1
        return single

    def array_of(self, name: str, column: str = "") -> np.ndarray:
        """One kind of key of all rows, as an array.

        Args:
            name: Name of the attribute.
            column: The column, for those that have one array for each.

        Returns:
            Shape `(rows,)`.
        """
        values = getattr(self, name)
        return np.asarray(values[column] if column else values)


def _hash_of_group(group: str | None) -> int:
    """Equal for groups that are meant: two systems write one in two ways."""
    if group is None:
        return 0
    plain = " ".join(group.replace("\\", "/").split())
    data = plain.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest())
