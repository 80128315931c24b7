"""Flags of texts whose words are those of another label, or another folder.

Where words tell the label of nearly every row, a row that they tell otherwise
has a wrong label or a wrong text. The same goes for folders, such as one for
each language: a text that was taken from another one reads like its texts.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np

from keras_imp.data.manifest import Manifest
from keras_imp.data.reading.aliases import MEDIA
from keras_imp.validation.findings import WARNING, Finding

# Classes with fewer texts are left out; so many classes, at most, and rows.
_FEWEST, _MOST, _MOST_ROWS = 50, 50, 100_000
# How many times as likely as any other one a class must be to be told by words;
# and the fraction of such rows that have it, above which the others are odd.
_TIMES, _AGREE = 400.0, 0.95
_WORD = re.compile(r"[^\W\d_]+")


def unlikely_texts(manifest: Manifest, offset: int) -> Iterator[Finding]:
    """Rows whose words are far likelier with another label or folder.

    Words are taken as independent of each other (naive Bayes), and a row is
    left out of the counts that it is judged by.

    Args:
        manifest: The rows.
        offset: Number of the first one.

    Yields:
        `text_unlike`, of each row.
    """
    if "text" not in manifest.columns:
        return
    for what, classes in (
        ("label", _labels(manifest)),
        ("folder", _folders(manifest)),
    ):
        for row, own, other in _unlikely(manifest, classes):
            detail = f"like those of the {what} {other!r}, not {own!r}"
            yield Finding(offset + row, "text_unlike", WARNING, "text", detail)


def _labels(manifest: Manifest) -> dict[int, str]:
    """The label of each row that has one."""
    if "label" not in manifest.columns:
        return {}
    rows = range(min(len(manifest), _MOST_ROWS))
    found = ((row, manifest.texts_of(row, "label")) for row in rows)
    return {row: labels[0] for row, labels in found if len(labels) == 1}


def _folders(manifest: Manifest) -> dict[int, str]:
    """The folder of the file of each row: below the first that all share."""
    columns = [name for name in MEDIA if name in manifest.columns]
    found = {}
    for row in range(min(len(manifest), _MOST_ROWS)):
        files = (manifest.column(name)[row] for name in columns)
        file = next((each for each in files if isinstance(each, str)), None)
        if file is not None:
            found[row] = PurePosixPath(file.replace("\\", "/")).parent.parts
    if len(set(found.values())) < 2:
        return {}
    shared = 1
    while len({parts[:shared] for parts in found.values()}) == 1:
        shared += 1
    return {row: "/".join(parts[:shared]) for row, parts in found.items()}


def _unlikely(
    manifest: Manifest, classes: dict[int, str]
) -> Iterator[tuple[int, str, str]]:
    """Row, class, and the class that its words tell."""
    words = {
        row: {
            word
            for text in manifest.texts_of(row, "text")
            for word in _WORD.findall(text.casefold())
        }
        for row in classes
    }
    sizes = Counter(name for row, name in classes.items() if words[row])
    names = sorted(name for name, size in sizes.items() if size >= _FEWEST)
    rows = [
        row for row, name in classes.items() if name in names and words[row]
    ]
    if not 2 <= len(names) <= _MOST:
        return
    places = {name: place for place, name in enumerate(names)}
    counts: dict[str, np.ndarray] = {}
    for row in rows:
        for word in words[row]:
            if word not in counts:
                counts[word] = np.zeros(len(names))
            counts[word][places[classes[row]]] += 1.0
    total = np.array([sizes[name] for name in names], float)
    odd, told = [], 0
    for row in rows:
        own = places[classes[row]]
        without = np.zeros(len(names))
        without[own] = 1.0
        number = total - without
        seen = np.array([counts[word] for word in words[row]]) - without
        scores = np.log((seen + 0.5) / (number + 1.0)).sum(axis=0)
        scores += np.log(number)
        second, best = np.argsort(scores)[-2:]
        if scores[best] - scores[second] < np.log(_TIMES):
            continue
        told += 1
        if best != own:
            odd.append((row, names[own], names[best]))
    if len(odd) <= (1.0 - _AGREE) * told:
        yield from odd
