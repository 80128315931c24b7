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
    by_class = {"label": _labels(manifest), "folder": _folders(manifest)}
    words = _words(manifest, sorted(set().union(*by_class.values())))
    for what, classes in by_class.items():
        known = {row: name for row, name in classes.items() if words[row]}
        for row, own, other in _unlikely(words, known):
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


def _words(manifest: Manifest, rows: list[int]) -> dict[int, set[str]]:
    """The words of some rows' texts."""
    return {
        row: {
            word
            for text in manifest.texts_of(row, "text")
            for word in _WORD.findall(text.casefold())
        }
        for row in rows
    }


def _unlikely(
    words: dict[int, set[str]], classes: dict[int, str]
) -> Iterator[tuple[int, str, str]]:
    """Row, class, and the class that its words tell."""
    sizes = Counter(classes.values())
    names = sorted(name for name, size in sizes.items() if size >= _FEWEST)
    if not 2 <= len(names) <= _MOST:
        return
    places = {name: place for place, name in enumerate(names)}
    own = {row: places[n] for row, n in classes.items() if n in places}
    counts = _counts(words, own, len(names))
    total = np.array([sizes[name] for name in names], float)
    odd, told = [], 0
    for row, place in own.items():
        seen = np.array([counts[word] for word in words[row]])
        best = _told(seen, total, place)
        if best is None:
            continue
        told += 1
        if best != place:
            odd.append((row, names[place], names[best]))
    if len(odd) <= (1.0 - _AGREE) * told:
        yield from odd


def _counts(
    words: dict[int, set[str]], own: dict[int, int], classes: int
) -> dict[str, np.ndarray]:
    """In how many rows of each class a word is."""
    counts: dict[str, np.ndarray] = {}
    for row, place in own.items():
        for word in words[row]:
            if word not in counts:
                counts[word] = np.zeros(classes)
            counts[word][place] += 1.0
    return counts


def _told(seen: np.ndarray, total: np.ndarray, own: int) -> int | None:
    """The class that the words of a row tell, if they tell one.

    Args:
        seen: How many rows of each class have each word of the row.
        total: How many rows each class has.
        own: The class of the row, which is left out.
    """
    row = np.zeros(len(total))
    row[own] = 1.0
    others = total - row
    scores = np.log((seen - row + 0.5) / (others + 1.0)).sum(axis=0)
    scores += np.log(others)
    second, best = np.argsort(scores)[-2:]
    is_clear = scores[best] - scores[second] >= np.log(_TIMES)
    return int(best) if is_clear else None
