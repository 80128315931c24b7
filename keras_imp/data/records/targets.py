"""What the rows of a manifest are to be taken for: classes, numbers, groups."""

from collections.abc import Sequence

import numpy as np

from keras_imp._errors import message
from keras_imp.data.manifest import Manifest
from keras_imp.data.reading.aliases import MEDIA
from keras_imp.data.reading.matching import nearest

TARGETS = ("label", "labels", "number", "group", "file")


def class_names(manifest: Manifest) -> list[str]:
    """All labels, sorted as people sort them: numbers by their value.

    Args:
        manifest: Rows with a column `label`.

    Returns:
        The names, without repetition.

    Raises:
        ValueError: If there is no such column.

    Example:
        >>> import keras_imp
        >>> from keras_imp.data.records.targets import class_names
        >>> class_names(keras_imp.data.Manifest(
        ...     {"text": ["a", "b", "c"], "label": ["10", "9", "10"]}))
        ['9', '10']
    """
    names = set(manifest.values("label"))
    if all(name.isdecimal() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def targets_of(
    manifest: Manifest, target: str, classes: Sequence[str] | None = None
) -> np.ndarray:
    """The targets of all rows.

    Args:
        manifest: The rows.
        target: `"label"`, one of the classes; `"labels"`, any number of them;
            `"number"`, the label as a number; `"group"`, for a contrastive
            task, in which rows of a group match each other; `"file"`, the
            same with rows of one file, such as an image with several captions.
        classes: Names of the classes, in order. Defaults to those of the rows.

    Returns:
        int32 of shape `(rows,)` for a label, a group or a file; float32 of
        shape `(rows, classes)` for labels, and `(rows, 1)` for numbers.

    Raises:
        ValueError: If a row has no label, or one that is no class or no
            number; the message names its file and line.

    Example:
        >>> import keras_imp
        >>> from keras_imp.data.records.targets import targets_of
        >>> manifest = keras_imp.data.Manifest(
        ...     {"text": ["a", "b"], "label": ["cat", "dog"]})
        >>> targets_of(manifest, "label", ["dog", "cat"]).tolist()
        [1, 0]
    """
    if target not in TARGETS:
        raise ValueError(
            message(f"`target` must be one of {TARGETS}.", target=target)
        )
    if target == "group":
        return manifest.groups().astype("int32")
    if target == "file":
        files = [name for name in MEDIA if name in manifest.columns]
        return manifest.groups(files[0] if files else None).astype("int32")
    if target == "number":
        return np.array(
            [[_number(manifest, row)] for row in range(len(manifest))],
            "float32",
        )
    names = class_names(manifest) if classes is None else list(classes)
    numbers = {name: number for number, name in enumerate(names)}
    several = [
        _classes(manifest, row, numbers, one=target == "label")
        for row in range(len(manifest))
    ]
    if target == "label":
        return np.array(several, "int32")[:, 0]
    targets = np.zeros((len(several), len(names)), "float32")
    for row, chosen in enumerate(several):
        targets[row, chosen] = 1.0
    return targets


def _classes(
    manifest: Manifest, row: int, numbers: dict[str, int], one: bool
) -> list[int]:
    labels = manifest.texts_of(row, "label")
    if one and len(labels) != 1:
        raise ValueError(
            message(
                f"{manifest.where(row)}: each row must have one label.",
                'Use target="labels" for several.',
                label=manifest.column("label")[row],
            )
        )
    for label in labels:
        if label not in numbers:
            raise ValueError(
                message(
                    f"{manifest.where(row)}: the label is none of the "
                    f"{len(numbers)} classes.",
                    nearest(label, list(numbers)),
                    label=label,
                )
            )
    return [numbers[label] for label in labels]


def _number(manifest: Manifest, row: int) -> float:
    value = manifest.column("label")[row]
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number):
        raise ValueError(
            message(
                f"{manifest.where(row)}: the label must be a finite number.",
                label=value,
            )
        )
    return number
