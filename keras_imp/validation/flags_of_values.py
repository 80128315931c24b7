"""Flags of labels that stand out among those of all rows, and of gaps.

One wrong label in thousands moves no distribution, and a schema that is
inferred from the rows allows it: it is told by its neighbors.
"""

import functools
import html
import re
from collections.abc import Iterator

import numpy as np

from keras_imp.data.manifest.numbers import are_targets, as_number
from keras_imp.data.reading.aliases import MEDIA
from keras_imp.validation.findings import WARNING, Finding
from keras_imp.validation.rows import RowKeys

# A label of so few rows, or of so small a fraction of those of a usual one and
# still few, is rare where a usual one has so many times more.
_FEW, _SMALL, _STILL_FEW = 2, 0.01, 10
_TIMES = 20
# A label that is written like another one which has so many times its rows.
_LIKELY = 10
# Labels are compared with each other up to so many.
_MOST_LABELS = 1000
# One letter of a shorter label is too much of it.
_SHORTEST = 4
# Fraction of rows with a value above which one without it has a gap.
_MOST_HAVE = 0.5
# Fraction of rows whose labels are numbers, above which the others are none;
# and of numbers that tell what is far from them, if there are enough.
_NUMBERS = 0.9
_ENOUGH = 50
# Probability of a split without a label, if its groups were drawn at random,
# below which it is no chance; and fraction of the labels above which their
# absence is meant, as where classes are to be new.
_NO_CHANCE = 1e-3
_MEANT = 0.2
# Labels that are named of those that a split has not.
_MOST_NAMED = 10
# What stands between the words of a label.
_BETWEEN = re.compile(r"(?<=\D)[\s_-]+|[\s_-]+(?=\D|$)")
# A number that is so many times the next smaller one is far from it.
_GAP = 10.0


def gaps(keys: RowKeys) -> Iterator[Finding]:
    """Rows without a value that most rows of their kind have.

    That is a text, a label, a time or a weight.

    Args:
        keys: What identifies the rows.

    Yields:
        `gap`, of each row and column.
    """
    kinds = np.zeros(len(keys), "int64")
    values = np.zeros(len(keys), "int64")
    for name in MEDIA:
        filled = keys.array_of("files", name) != 0
        kinds = 2 * kinds + filled
        values += filled
    has = {
        "text": np.isin(np.arange(len(keys)), keys.texts[0]),
        "label": np.isin(np.arange(len(keys)), keys.labels[0]),
    }
    values += has["text"].astype("int64") + has["label"]
    has |= {
        name: np.asarray(of_rows, bool)
        for name, of_rows in keys.numbers.items()
    }
    for column, filled in has.items():
        alike = np.bincount(kinds)
        own = np.bincount(kinds, weights=filled)
        most = own > _MOST_HAVE * alike
        # One value alone is `incomplete`.
        for row in np.flatnonzero(~filled & most[kinds] & (values > 1)):
            yield Finding(int(row), "gap", WARNING, column)


def missing_labels(keys: RowKeys) -> Iterator[Finding]:
    """Labels of the training data that another split has not, though it should.

    Args:
        keys: What identifies the rows.

    Yields:
        `label_missing`, of the first row with a label of each such split.
    """
    reference = keys.references
    if len(reference) != 1 or not keys.label_names or are_numbers(keys):
        return
    rows, labels = map(np.asarray, keys.labels)
    part, group = keys.array_of("part"), keys.array_of("group")
    # A row without a group is one of its own.
    alone = np.arange(len(keys), dtype="uint64")
    _, one = np.unique(
        np.where(group == 0, alone, group)[rows], return_inverse=True
    )
    trained = part[rows] == reference[0]
    names, trained_name = list(keys.label_names), keys.names[reference[0]]
    counts = np.bincount(labels[trained], minlength=len(names))
    # The groups of each label: one pass, since there may be many labels.
    pairs = np.unique(np.stack([labels[trained], one[trained]]), axis=1)
    groups = np.bincount(pairs[0], minlength=len(names))
    total = len(np.unique(one[trained]))
    for number, name in enumerate(keys.names):
        own = part[rows] == number
        if number == reference[0] or not own.any():
            continue
        count = len(np.unique(one[own]))
        fraction = count / (count + total)
        is_missing = np.bincount(labels[own], minlength=len(names)) == 0
        is_missing &= groups > 0
        if is_missing.sum() > max(1.0, _MEANT * np.count_nonzero(groups)):
            continue
        by_chance = (1.0 - fraction) ** groups
        told = np.flatnonzero(is_missing & (by_chance < _NO_CHANCE))
        if told.size:
            most = [
                f"{names[label]!r} ({counts[label]} of {trained_name!r})"
                for label in told[:_MOST_NAMED]
            ]
            if len(told) > _MOST_NAMED:
                most.append(f"{len(told) - _MOST_NAMED} more")
            detail = f"no row of {name!r} has {', '.join(most)}"
            first = int(rows[own][0])
            yield Finding(first, "label_missing", WARNING, "label", detail)


def odd_labels(keys: RowKeys) -> Iterator[Finding]:
    """Labels that are another one misspelled, or that hardly a row has.

    Args:
        keys: What identifies the rows.

    Yields:
        `label_variant` and `label_rare`; `label_number` of numbers.
    """
    names = list(keys.label_names)
    if not names:
        return
    rows, labels = map(np.asarray, keys.labels)
    if are_numbers(keys):
        yield from _odd_numbers(names, rows, labels)
        return
    counts = np.bincount(labels, minlength=len(names))
    usual = float(np.median(counts[labels]))
    # Rows of each label together: one pass, since many labels may be rare.
    ordered = rows[np.argsort(labels, kind="stable")]
    ends = np.cumsum(counts)
    for place, name in enumerate(names):
        like = _likely(name, counts[place], names, counts)
        flag, detail = "label_variant", f"{name!r}, like {like!r}"
        if like is None:
            few = max(_FEW, min(_SMALL * usual, _STILL_FEW))
            if counts[place] > few or counts[place] * _TIMES > usual:
                continue
            flag, detail = "label_rare", name
        for row in ordered[ends[place] - counts[place] : ends[place]]:
            yield Finding(int(row), flag, WARNING, "label", detail)


def are_numbers(keys: RowKeys) -> bool:
    """Whether labels are numbers to be predicted, and no classes.

    Args:
        keys: What identifies the rows.

    Returns:
        True if those of nine of ten rows are finite numbers, which are targets
        as `keras-imp train` takes them. Of several labels of a row, each names
        a class.

    Example:
        >>> from keras_imp.validation.flags_of_values import are_numbers
        >>> from keras_imp.validation.rows import RowKeys
        >>> keys = RowKeys()
        >>> for label in ("0.5", "2"):
        ...     keys.add(0, {"places": {}, "is_segment": False, "hashes": {},
        ...                  "texts": [], "labels": [label]})
        >>> are_numbers(keys)
        True
    """
    of_rows = np.asarray(keys.labels[0])
    # Those of a row follow each other.
    if (of_rows[1:] == of_rows[:-1]).any():
        return False
    counts = np.bincount(np.asarray(keys.labels[1], "int64"))
    total = int(counts.sum())
    numbers = []
    rows = 0
    for label, place in keys.label_names.items():
        number = as_number(label)
        if number is not None:
            numbers.append(number)
            rows += int(counts[place])
    return rows >= _NUMBERS * total and are_targets(numbers, total)


def _odd_numbers(
    names: list[str], rows: np.ndarray, labels: np.ndarray
) -> Iterator[Finding]:
    """Labels that are no numbers, or far from all others."""
    numbers = np.array([as_number(name) for name in names], "float64")
    values = numbers[labels]
    least, most = _usual_range(values[np.isfinite(values)])
    for place in np.flatnonzero(~((values >= least) & (values <= most))):
        detail = names[labels[place]]
        if np.isfinite(values[place]):
            detail += f", where others are from {least:g} to {most:g}"
        yield Finding(
            int(rows[place]), "label_number", WARNING, "label", detail
        )


def _usual_range(values: np.ndarray) -> tuple[float, float]:
    """The least and the most of numbers, without a few far from all others.

    One number below 0 that some rows have, where nearly all are above it,
    stands for no value; and a few beyond a gap have another unit.
    """
    ordered = np.sort(values)
    least, most = ordered[0], ordered[-1]
    few = max(_FEW, _SMALL * len(ordered))
    positive = ordered[ordered > 0]
    if len(positive) < max(_ENOUGH, _NUMBERS * len(ordered)):
        return least, most
    below = ordered[ordered < 0]
    if 0 < len(below) <= few and below[0] == below[-1]:
        least = 0.0
    gaps = np.flatnonzero(positive[1:] > _GAP * positive[:-1])
    if gaps.size:
        beyond = positive[gaps[0] + 1 :]
        if len(beyond) <= few and len(np.unique(beyond)) == len(beyond):
            most = positive[gaps[0]]
    return least, most


def _likely(
    name: str, count: int, names: list[str], counts: np.ndarray
) -> str | None:
    """The label that was meant, if this one is it with an error."""
    if len(names) > _MOST_LABELS:
        return None
    best = None
    for other in np.argsort(-counts, kind="stable"):
        if names[other] == name:
            break
        written = _plain(names[other])
        # Alone, "a" and "A" may be two letters.
        if written == _plain(name) and len(written) > 1:
            return names[other]
        is_likely = best is None and counts[other] >= _LIKELY * count
        if is_likely and _one_error(written, _plain(name)):
            best = names[other]
    return best


@functools.lru_cache(4096)
def _plain(label: str) -> str:
    """A label without case, and without what stands between its words.

    Programs for web pages write an ampersand as an entity. A sign before digits
    and what stands between digits count: "-10" is not "10".
    """
    return _BETWEEN.sub("", html.unescape(label).casefold().strip())


def _one_error(first: str, second: str) -> bool:
    """Whether one letter is missing, added, another, or has changed places.

    Digits count: "class 1" and "class 2" are two labels.
    """
    if min(len(first), len(second)) < _SHORTEST or first == second:
        return False
    start = 0
    while start < min(len(first), len(second)) and (
        first[start] == second[start]
    ):
        start += 1
    if len(first) == len(second):
        rest, other = first[start:], second[start:]
        wrong = rest[:1] + other[:1]
        swapped = rest[:2] == other[:2][::-1] and rest[2:] == other[2:]
        swapped &= rest[:2].isalpha()
        return swapped or (rest[1:] == other[1:] and wrong.isalpha())
    if abs(len(first) - len(second)) > 1:
        return False
    longer, shorter = sorted((first, second), key=len, reverse=True)
    is_added = longer[start + 1 :] == shorter[start:]
    return is_added and longer[start].isalpha()
