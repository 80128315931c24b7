"""Where rows come from, in their files and in words."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from keras_imp.data import paths
from keras_imp.data.manifest import Manifest
from keras_imp.data.reading.aliases import MEDIA
from keras_imp.validation.findings import Finding


class Place(NamedTuple):
    """A row of the data, or of the data that it is compared with.

    Attributes:
        manifest: The rows it is one of.
        row: Its number there.

    Example:
        >>> from keras_imp.data import Manifest
        >>> from keras_imp.validation.places import Place
        >>> str(Place(Manifest({"image": ["a.png", "b.png"]}), 1))
        'b.png'
    """

    manifest: Manifest
    row: int

    def __str__(self) -> str:
        """File and line, from the folder of the data."""
        text = paths.shown(str(self.manifest.where(self.row)))
        return text.removeprefix(f"{paths.shown(self.manifest.root)}/")


def span_of(manifest: Manifest, row: int) -> dict[str, float]:
    """Start and end of a row's segment of its file, where it has them.

    Args:
        manifest: The rows.
        row: Number of the row.

    Returns:
        Seconds by column.
    """
    span = {}
    for name in ("start", "end"):
        value = manifest.column(name)[row] if name in manifest.columns else None
        if value is not None and np.isfinite(value):
            span[name] = float(value)
    return span


def places_of(data: Sequence[Manifest], finding: Finding) -> list[Place]:
    """The row of a finding, and the one that it repeats.

    Args:
        data: The manifests, in the order in which rows are counted.
        finding: What was found.

    Returns:
        One or two places.

    Example:
        >>> from keras_imp.data import Manifest
        >>> from keras_imp.validation import Finding
        >>> from keras_imp.validation.places import places_of
        >>> train = Manifest({"image": ["a.png", "b.png"]})
        >>> other = Manifest({"image": ["c.png"]})
        >>> copy = Finding(2, "leak_image", "error", "image", other=1)
        >>> [str(place) for place in places_of([train, other], copy)]
        ['c.png', 'b.png']
    """
    found = []
    for row in (finding.row, finding.other):
        if row is None:
            continue
        number = 0
        while row >= len(data[number]):
            row -= len(data[number])
            number += 1
        found.append(Place(data[number], row))
    return found


def describe(data: Sequence[Manifest], finding: Finding) -> str:
    """A finding in one line: which row and file, and what is known of it.

    Args:
        data: The manifests, in the order in which rows are counted.
        finding: What was found.

    Returns:
        The line, without the name of the flag.

    Example:
        >>> from keras_imp.data import Manifest
        >>> from keras_imp.validation import Finding
        >>> from keras_imp.validation.places import describe
        >>> data = Manifest({"image": ["a.png", "b.png"]})
        >>> describe([data], Finding(0, "unreadable", "error", "image",
        ...                          "empty"))
        'a.png: empty'
        >>> describe([data], Finding(1, "leak_image", "error", "image",
        ...                          other=0))
        'b.png, as a.png'
    """
    names = [
        _with_file(place, finding.column) for place in places_of(data, finding)
    ]
    text = ", as ".join(names)
    if finding.detail not in ("", finding.flag):
        text = f"{text}: {finding.detail}"
    return text


def _with_file(place: Place, column: str) -> str:
    """A line of a table, with the file that it names."""
    where = str(place)
    if column not in MEDIA or column not in place.manifest.columns:
        return where
    name = place.manifest.column(column)[place.row]
    shown = paths.shown(name) if name is not None else ""
    return where if where.endswith(shown) else f"{where} ({shown})"
