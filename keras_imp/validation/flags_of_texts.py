"""Flags of texts that stand out among those of all rows."""

import bisect
import re
from array import array
from collections import Counter
from collections.abc import Iterator

import numpy as np

from keras_imp.data.manifest import Manifest
from keras_imp.data.reading.aliases import MEDIA
from keras_imp.validation.findings import WARNING, Finding
from keras_imp.validation.majority import majority_of
from keras_imp.validation.rows import RowKeys
from keras_imp.validation.texts import is_name_of

# A text of so many rows, and so many times those of a usual one.
_OFTEN, _TIMES = 20, 20
# A text of so many rows, such a fraction of them of one group, is of this one,
# if such a fraction of these texts is.
_SHARED, _MOSTLY, _MOST_TOLD = 4, 0.7, 0.9
# Texts are cut where so many have one length, and so many times those of a
# length nearby, which a few must have.
_CUT, _CUT_TIMES, _NEARBY = 20, 6.0, 3
# Shorter texts have few lengths.
_SHORTEST = 12
# Texts of fewer lengths are of few forms.
_LENGTHS = 20
# Texts are cut within a word where so many of one length end in the start of a
# word, and are such a fraction of those that do.
_PARTS, _PARTS_TOLD = 10, 0.5
# Texts with more words than any language has are not looked at so.
_MOST_WORDS = 500_000
# Fraction of the texts that are the name of their file, above which they are
# meant to be: words in images, and license plates.
_MEANT = 0.1
# Labels are looked for in texts up to so many, and of so many characters.
_MOST_LABELS, _SHORTEST_LABEL = 1000, 3
# Fraction of the texts of a label that name it, above which those are odd that
# name another one, if there are enough.
_AGREE, _ENOUGH = 0.6, 20
_WORD = re.compile(r"[^\W_]+")


def repeated_texts(keys: RowKeys) -> Iterator[Finding]:
    """Texts of many rows, where most rows have one of their own.

    Rows of one group count once: the images of one thing may share a caption.

    Args:
        keys: What identifies the rows.

    Yields:
        `text_repeated`, of each row.
    """
    rows, texts = map(np.asarray, keys.texts)
    if not len(texts):
        return
    group = keys.array_of("group")[rows]
    one = np.where(group == 0, rows.astype("uint64"), group)
    _, which = np.unique(texts, return_inverse=True)
    pairs = np.unique(
        np.stack([which.reshape(-1), one.astype("int64")]), axis=1
    )
    own = np.bincount(pairs[0])[which.reshape(-1)]
    least = max(_OFTEN, _TIMES * float(np.median(own)))
    for place in np.flatnonzero(own >= least):
        what = "groups" if group[place] else "rows"
        detail = f"of {own[place]} {what}"
        yield Finding(
            int(rows[place]), "text_repeated", WARNING, "text", detail
        )


def texts_of_groups(keys: RowKeys) -> Iterator[Finding]:
    """Rows with a text that other rows have, nearly all of another group.

    Where the rows of a group share their texts, as several images of one thing
    do, a text of another group has slipped there.

    Args:
        keys: What identifies the rows.

    Yields:
        `text_group`, of each row.
    """
    rows, texts = map(np.asarray, keys.texts)
    group = keys.array_of("group")[rows]
    kept = group != 0
    rows, texts, group = rows[kept], texts[kept], group[kept]
    if not len(rows):
        return
    which, own = (
        np.unique(each, return_inverse=True)[1].reshape(-1)
        for each in (texts, group)
    )
    usual, most, sizes = majority_of(which, own)
    is_shared = sizes >= _SHARED
    is_told = is_shared & (most >= _MOSTLY * sizes)
    # One in ten of such texts may belong to several groups.
    if is_told.sum() < _MOST_TOLD * max(1, is_shared.sum()):
        return
    is_odd = is_told[which] & (own != usual[which])
    for found in np.unique(rows[is_odd]):
        yield Finding(int(found), "text_group", WARNING, "text")


def cut_texts(manifest: Manifest, offset: int) -> Iterator[Finding]:
    """Texts of a length that far more texts have than of any nearby.

    A field of a table holds so many characters, and the rest is lost. Texts of
    few forms have equal lengths too, but few of them. Where many texts are
    short, those that end in the start of a word tell.

    Args:
        manifest: The rows.
        offset: Number of the first one.

    Yields:
        `text_cut`, of each row.
    """
    if "text" not in manifest.columns:
        return
    cut = _cut_length(manifest)
    if cut is not None:
        length, count = cut
        detail = f"{count} texts of {length} characters"
        for row, text in _texts(manifest):
            if len(text) == length:
                yield Finding(offset + row, "text_cut", WARNING, "text", detail)
        return
    parts = _ending_in_part(manifest)
    lengths = Counter(len(text) for _, text, _ in parts)
    for length, count in lengths.most_common(1):
        if count >= max(_PARTS, _PARTS_TOLD * len(parts)):
            for row, text, word in parts:
                if len(text) == length:
                    detail = f"{length} characters, the last ones {word!r}"
                    yield Finding(
                        offset + row, "text_cut", WARNING, "text", detail
                    )


def _cut_length(manifest: Manifest) -> tuple[int, int] | None:
    """The one length that far more texts have than any nearby, and how many."""
    hashes, lengths = array("q"), array("q")
    for _, text in _texts(manifest):
        # Numbered texts of one form are one.
        hashes.append(hash(re.sub(r"\d+", "0", text)))
        lengths.append(len(text))
    _, first = np.unique(np.asarray(hashes), return_index=True)
    if not len(first):
        return None
    counts = np.bincount(np.asarray(lengths)[first])
    padded = np.pad(counts, _NEARBY)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _NEARBY + 1)
    nearby = (windows.sum(axis=1) - counts) / (2 * _NEARBY)
    is_cut = (counts >= _CUT) & (counts >= _CUT_TIMES * nearby) & (nearby >= 1)
    is_cut[:_SHORTEST] = False
    if is_cut.sum() != 1 or np.count_nonzero(counts) < _LENGTHS:
        return None
    length = int(is_cut.argmax())
    return length, int(counts[length])


def _ending_in_part(manifest: Manifest) -> list[tuple[int, str, str]]:
    """Rows, texts, and last words that are only the start of another one."""
    inner: set[str] = set()
    last: Counter[str] = Counter()
    for _, text in _texts(manifest):
        *words, end = _WORD.findall(text.casefold()) or [""]
        inner.update(words)
        last[end] += 1
        if len(inner) + len(last) > _MOST_WORDS:
            return []
    # What several texts end in is a word.
    known = inner | {word for word, count in last.items() if count > _SHARED}
    ordered = sorted(known)
    found = []
    for row, text in _texts(manifest):
        # A sign after the last word ends a text; without spaces there are no
        # words.
        if len(text) < _SHORTEST or " " not in text or not text[-1].isalnum():
            continue
        (end,) = _WORD.findall(text.casefold())[-1:]
        if end not in known and _is_start(end, ordered):
            found.append((row, text, end))
    return found


def _is_start(word: str, ordered: list[str]) -> bool:
    """Whether a word is the start of a longer one that is not its plural."""
    place = bisect.bisect_left(ordered, word)
    for longer in ordered[place : place + 3]:
        if longer.startswith(word) and longer[len(word) :] not in ("s", "es"):
            return True
    return False


def names_as_texts(manifest: Manifest, offset: int) -> Iterator[Finding]:
    """Texts that are the name of their file, where most are not.

    Args:
        manifest: The rows.
        offset: Number of the first one.

    Yields:
        `text_placeholder`, of each row.
    """
    columns = [name for name in MEDIA if name in manifest.columns]
    if "text" not in manifest.columns or not columns:
        return
    found, total = [], 0
    for row, text in _texts(manifest):
        files = (manifest.column(name)[row] for name in columns)
        total += 1
        if any(is_name_of(text, file) for file in files if file):
            found.append(row)
    if len(found) <= _MEANT * total:
        for row in dict.fromkeys(found):
            yield Finding(
                offset + row,
                "text_placeholder",
                WARNING,
                "text",
                "the name of the file",
            )


def contradicted_labels(manifest: Manifest, offset: int) -> Iterator[Finding]:
    """Rows whose text names another label, and not that of the row.

    Only of labels that texts name, most of them their own.

    Args:
        manifest: The rows.
        offset: Number of the first one.

    Yields:
        `text_label`, of each row.
    """
    if not {"text", "label"} <= set(manifest.columns):
        return
    labels = {label for _, label in _texts(manifest, "label")}
    names = {_words(label) for label in labels}
    names = {name for name in names if len(name) >= _SHORTEST_LABEL}
    if not 2 <= len(names) <= _MOST_LABELS:
        return
    longest = max(name.count(" ") for name in names) + 1
    having: Counter[str] = Counter()
    agreeing: Counter[str] = Counter()
    others: list[tuple[int, str, set[str]]] = []
    for row in range(len(manifest)):
        own = set(map(_words, manifest.texts_of(row, "label")))
        texts = manifest.texts_of(row, "text") if len(own) == 1 else ()
        if not texts:
            continue
        named: set[str] = set()
        for text in texts:
            named |= _named(_words(text).split(), names, longest)
        having.update(own)
        agreeing.update(named & own)
        if named and not named & own:
            others.append((row, min(own), named))
    # Labels that texts of their rows name: "drum" may be a word of others.
    told = {
        name
        for name, count in having.items()
        if agreeing[name] >= max(_ENOUGH, _AGREE * count)
    }
    for row, label, named in others:
        if label in told and told & named:
            detail = f"{min(told & named)!r}, not {label!r}"
            yield Finding(offset + row, "text_label", WARNING, "text", detail)


def _texts(
    manifest: Manifest, column: str = "text"
) -> Iterator[tuple[int, str]]:
    """Row and text, of all texts of a column."""
    for row in range(len(manifest)):
        for text in manifest.texts_of(row, column):
            yield row, text


def _named(words: list[str], names: set[str], longest: int) -> set[str]:
    """Names in a text: of a name that is part of another, the longer one."""
    found, start = set(), 0
    while start < len(words):
        for size in range(longest, 0, -1):
            name = " ".join(words[start : start + size])
            if name in names:
                found.add(name)
                start += size - 1
                break
        start += 1
    return found


def _words(text: str) -> str:
    """The words of a text, in lower case and the singular, with one space."""
    words = _WORD.findall(text.casefold().replace("&", " and "))
    return " ".join(
        word[:-1] if len(word) > _SHORTEST_LABEL and word[-1] == "s" else word
        for word in words
    )
