"""Flags: what is wrong with a row, as it stands among all others.

Statistics of a data set cannot see a row twice: two sets that share nothing
look as unlike as two that share all. So copies are found by hashes, and labels
by their sets.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from keras_imp.data.manifest import Manifest
from keras_imp.data.reading.aliases import MEDIA, SPLITS
from keras_imp.validation.findings import ERROR, WARNING, Finding
from keras_imp.validation.flags_of_alterations import altered_images
from keras_imp.validation.flags_of_features import cut_audio, unusual_features
from keras_imp.validation.flags_of_marks import marked_labels
from keras_imp.validation.flags_of_neighbors import unlike_labels
from keras_imp.validation.flags_of_texts import (
    contradicted_labels,
    cut_texts,
    names_as_texts,
    repeated_texts,
    texts_of_groups,
)
from keras_imp.validation.flags_of_values import (
    are_numbers,
    gaps,
    missing_labels,
    odd_labels,
)
from keras_imp.validation.flags_of_words import unlikely_texts
from keras_imp.validation.majority import majority_of
from keras_imp.validation.rows import AGAINST, ALL, RowKeys
from keras_imp.validation.sketches import near_copies

# Flag to its severity and its meaning. The words are written to reports and
# compared by scripts: add, never rename.
FLAGS: dict[str, tuple[str, str]] = {
    "unreadable": (ERROR, "A file that cannot be used."),
    "incomplete": (ERROR, "A row without what makes it an example."),
    "leak_image": (ERROR, "The image is one of another split, too."),
    "leak_video": (ERROR, "The video is one of another split, too."),
    "leak_audio": (ERROR, "The audio is one of another split, too."),
    "leak_group": (ERROR, "The group has rows in another split, too."),
    "leak_text": (ERROR, "A text is one of another split, too."),
    "label_unseen": (ERROR, "The label is not in the training data."),
    "near_image": (WARNING, "The image is nearly one of another split."),
    "near_video": (WARNING, "The video is nearly one of another split."),
    "near_audio": (WARNING, "The audio is nearly one of another split."),
    "label_conflict": (WARNING, "The same content has another label, too."),
    "label_unlike": (
        WARNING,
        "It looks like the rows of one other label, not like its own.",
    ),
    "label_shifted": (
        WARNING,
        "Rows of a block look like the label of the row beside them.",
    ),
    "label_run": (
        WARNING,
        "Many rows in succession have one label, and do not look like it.",
    ),
    "label_mark": (
        WARNING,
        "A color at one place that only this label has, and in training only.",
    ),
    "label_missing": (
        WARNING,
        "Rows with the label are missing in a split that should have some.",
    ),
    "label_variant": (WARNING, "The label is like a more frequent one."),
    "label_rare": (WARNING, "Hardly a row has the label."),
    "label_number": (
        WARNING,
        "Not a number, as nearly all labels are, or far from them.",
    ),
    "group_label": (WARNING, "Most rows of the group have another label."),
    "split_rare": (WARNING, "Hardly a row is of this split."),
    "gap": (
        WARNING,
        "No text, label, time or weight, which most such rows have; NaN and "
        "null are none.",
    ),
    "text_encoding": (WARNING, "A text was read with a wrong encoding."),
    "text_markup": (WARNING, "A text with markup, or that is a written list."),
    "text_placeholder": (WARNING, "A word that stands for a missing text."),
    "text_label": (WARNING, "The text names another label than the row's."),
    "text_unlike": (
        WARNING,
        "The words are those of another label, or of another folder.",
    ),
    "text_group": (WARNING, "Most rows with the text are of another group."),
    "text_cut": (WARNING, "A text of a length at which texts were cut."),
    "text_repeated": (WARNING, "A text of many rows, where most have others."),
    "altered": (
        WARNING,
        "Turned, flipped or with red for blue, unlike its group or label.",
    ),
    "audio_cut": (WARNING, "Audio of a length at which audio was cut."),
    "unusual": (WARNING, "Not made as nearly all others are."),
    "past_end": (WARNING, "The segment ends after its file does."),
    "duplicate": (WARNING, "A copy of another row or file of its split."),
    "blank": (WARNING, "An image or a video of one color."),
    "silent": (WARNING, "Audio of silence."),
    "damaged": (WARNING, "Parts are repaired, left out or cut off."),
    "short": (WARNING, "Less than a tenth of a second."),
    "tiny": (WARNING, "Less than 8 pixels on each side."),
    "aspect": (WARNING, "One side is more than 20 times the other."),
    "clipped": (WARNING, "More than 1 % of the samples at full scale."),
    "several_images": (WARNING, "Pages or frames, of which one is used."),
    "long_text": (WARNING, "A text of more than 20,000 bytes."),
}
# A second label in a group is odd if so few groups have one, or so small a
# fraction of them; and so small a fraction of few groups.
_MIXED, _MIXED_PART, _MIXED_MOST = 2, 0.01, 0.1
# A split of so small a fraction of the rows, and so few, is likely to be none.
_RARE_SPLIT, _FEW_ROWS = 0.01, 10
# Notes of the decoders, which are flags by another name; `extension` is none.
_OF_NOTES = {
    "animated": "several_images",
    "pages": "several_images",
    "truncated": "damaged",
}
# What shows without decoding, and is a flag by the same name.
_OF_TABLE = ("duplicate", "long_text")
# What a file lacks; all other reasons of this form are of rows.
_OF_FILES = ("no_audio", "no_video")


def flags_of_row(
    row: int, faults: Sequence[Sequence[str]], notes: Sequence[str]
) -> Iterator[Finding]:
    """The flags that show in a row alone.

    Args:
        row: Its number.
        faults: Column and reason of what is wrong with it.
        notes: Words of the decoders about its files.

    Yields:
        The flags.

    Example:
        >>> from keras_imp.validation.flags import flags_of_row
        >>> [f.flag for f in flags_of_row(0, [("image", "empty")], ["blank"])]
        ['unreadable', 'blank']
    """
    yield from _of_faults(row, faults)
    yield from _of_notes(row, notes)


def flags_across_rows(keys: RowKeys) -> Iterator[Finding]:
    """The flags that show only where a row is compared with others.

    Args:
        keys: What identifies the rows.

    Yields:
        The flags.

    Example:
        >>> from keras_imp.validation.flags import flags_across_rows
        >>> from keras_imp.validation.rows import Part, RowKeys
        >>> keys = RowKeys()
        >>> keys.parts = [Part("train", True), Part("test", False)]
        >>> same = {"places": {}, "is_segment": False, "texts": [],
        ...         "labels": [], "hashes": {"image": "00000000000000ff"}}
        >>> for part in (0, 1):
        ...     keys.add(part, same)
        >>> finding, = flags_across_rows(keys)
        >>> finding.flag, finding.row, finding.other
        ('leak_image', 1, 0)
    """
    told = set()
    for finding in _leaks(keys):
        told.add((finding.column, finding.row))
        yield finding
    yield from near_copies(keys.sketches, keys.array_of("part"), told)
    yield from _duplicates(keys)
    yield from _unseen_labels(keys)
    yield from missing_labels(keys)
    yield from _conflicts(keys)
    yield from unlike_labels(keys)
    yield from altered_images(keys)
    yield from marked_labels(keys)
    yield from odd_labels(keys)
    yield from _of_groups(keys)
    yield from _rare_splits(keys)
    yield from gaps(keys)
    yield from repeated_texts(keys)
    yield from texts_of_groups(keys)
    yield from unusual_features(keys)
    yield from cut_audio(keys)


def flags_from_texts(manifest: Manifest, offset: int) -> Iterator[Finding]:
    """The flags that need the texts themselves, not what identifies them.

    Args:
        manifest: The rows.
        offset: Number of the first one.

    Yields:
        The flags.

    Example:
        >>> import keras_imp
        >>> from keras_imp.validation.flags import flags_from_texts
        >>> labels = ["cat", "dog"] * 30
        >>> texts = [f"a {label}" for label in labels]
        >>> texts[7] = "a cat"
        >>> manifest = keras_imp.data.Manifest({"text": texts, "label": labels})
        >>> [finding.flag for finding in flags_from_texts(manifest, 0)]
        ['text_label']
    """
    yield from cut_texts(manifest, offset)
    yield from names_as_texts(manifest, offset)
    yield from contradicted_labels(manifest, offset)
    yield from unlikely_texts(manifest, offset)


def text_severity(keys: RowKeys) -> str:
    """Severity of a text in two splits: an error where rows are texts alone.

    Two images may have one caption, and neither tells of the other.

    Args:
        keys: What identifies the rows.

    Returns:
        `"error"` or `"warning"`.
    """
    has_files = any(keys.array_of("files", name).any() for name in MEDIA)
    return WARNING if has_files else ERROR


def _of_faults(row: int, faults: Sequence[Sequence[str]]) -> Iterator[Finding]:
    for column, reason in faults:
        flag = "unreadable"
        if reason in _OF_TABLE:
            flag = reason
        elif reason.startswith("no_") and reason not in _OF_FILES:
            flag = "incomplete"
        yield Finding(row, flag, FLAGS[flag][0], column, reason)


def _of_notes(row: int, notes: Sequence[str]) -> Iterator[Finding]:
    for note in notes:
        word = note.removeprefix("audio_")
        flag = _OF_NOTES.get(word, word)
        if flag in FLAGS:
            yield Finding(row, flag, FLAGS[flag][0], "", note)
        elif word != "extension":
            # The audio of a video, which its images do without.
            yield Finding(row, "damaged", WARNING, "audio", word)


def _leaks(keys: RowKeys) -> Iterator[Finding]:
    part = keys.array_of("part")
    for name in MEDIA:
        for values in (
            _content(keys, name),
            keys.array_of("recordings", name),
        ):
            yield from _shared(f"leak_{name}", values, part, column=name)
    yield from _shared("leak_group", keys.array_of("group"), part, "group")
    rows, texts = map(np.asarray, keys.texts)
    severity = text_severity(keys)
    for finding in _shared("leak_text", texts, part[rows], "text"):
        yield finding._replace(
            row=int(rows[finding.row]),
            other=int(rows[finding.other]),
            severity=severity,
        )


def _content(keys: RowKeys, name: str) -> np.ndarray:
    """What rows show: all that is blank or silent is alike, and tells nothing.

    It has a flag of its own.
    """
    empty = keys.array_of("empty", name) != 0
    return np.where(empty, 0, keys.array_of("media", name))


def _shared(
    flag: str, values: np.ndarray, part: np.ndarray, column: str
) -> Iterator[Finding]:
    """Rows with a value that a part before theirs has too."""
    first = _first_of(values, part)
    for row in np.flatnonzero(first != np.arange(len(values))):
        if values[row] and part[first[row]] != part[row]:
            yield Finding(
                int(row), flag, FLAGS[flag][0], column, other=int(first[row])
            )


def _first_of(values: np.ndarray, part: np.ndarray) -> np.ndarray:
    """The first row, in the order of the parts, that has each row's value."""
    if not len(values):
        return np.zeros(0, "int64")
    order = np.lexsort((np.arange(len(values)), part, values))
    ranked = values[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    lengths = np.diff(np.r_[starts, len(ranked)])
    first = np.empty(len(values), "int64")
    first[order] = np.repeat(order[starts], lengths)
    return first


def _duplicates(keys: RowKeys) -> Iterator[Finding]:
    """Files that show what another file of their part shows."""
    part = keys.array_of("part").astype("uint64")
    for name in MEDIA:
        content = _content(keys, name)
        files = keys.array_of("files", name)
        # Equal content in one part; a file with several rows is no copy.
        mixed = np.where(content, content * np.uint64(31) + part, 0)
        first = _first_of(mixed, np.zeros(len(mixed), "int64"))
        again = (mixed != 0) & (files != files[first])
        for row in np.flatnonzero(again):
            yield Finding(
                int(row), "duplicate", WARNING, name, other=int(first[row])
            )


def _unseen_labels(keys: RowKeys) -> Iterator[Finding]:
    names = list(keys.label_names)
    reference = keys.references
    if not reference or len(keys.parts) == 1 or are_numbers(keys):
        return
    rows, labels = map(np.asarray, keys.labels)
    trained = np.isin(keys.array_of("part")[rows], reference)
    seen = np.zeros(len(names), bool)
    seen[labels[trained]] = True
    if not seen.any():
        return
    for place in np.flatnonzero(~seen[labels]):
        yield Finding(
            int(rows[place]),
            "label_unseen",
            ERROR,
            "label",
            names[labels[place]],
        )


def _conflicts(keys: RowKeys) -> Iterator[Finding]:
    """Rows whose content has another label in an earlier row."""
    if are_numbers(keys):
        return
    single, names = keys.single_labels(), list(keys.label_names)
    for name in MEDIA:
        labeled = single >= 0
        content = np.where(labeled, _content(keys, name), 0)
        first = _first_of(content, np.zeros(len(content), "int64"))
        for row in np.flatnonzero(content):
            other = int(first[row])
            if single[other] != single[row]:
                detail = f"{names[single[row]]!r}, not {names[single[other]]!r}"
                yield Finding(
                    int(row), "label_conflict", WARNING, name, detail, other
                )


def _of_groups(keys: RowKeys) -> Iterator[Finding]:
    """Rows with another label than their group, where groups have one."""
    group = keys.array_of("group")
    if not group.any() or are_numbers(keys):
        return
    single = keys.single_labels()
    rows = np.flatnonzero((group != 0) & (single >= 0))
    if not len(rows):
        return
    _, own = np.unique(group[rows], return_inverse=True)
    own = own.reshape(-1)
    usual, most, sizes = majority_of(own, single[rows])
    several = sizes > 1
    mixed = np.count_nonzero((most < sizes) & several)
    total = np.count_nonzero(several)
    if mixed > min(max(_MIXED, _MIXED_PART * total), _MIXED_MOST * total):
        return
    names = list(keys.label_names)
    is_odd = (2 * most[own] > sizes[own]) & (single[rows] != usual[own])
    for place in np.flatnonzero(is_odd):
        row = int(rows[place])
        detail = f"{names[single[row]]!r}, not {names[usual[own[place]]]!r}"
        yield Finding(row, "group_label", WARNING, "label", detail)


def _rare_splits(keys: RowKeys) -> Iterator[Finding]:
    """Rows of splits that are none: a column that slipped, a header."""
    part = keys.array_of("part")
    counts = np.bincount(part, minlength=len(keys.parts))
    own = sum(n for n, name in zip(counts, keys.names) if name != AGAINST)
    most = min(_FEW_ROWS, _RARE_SPLIT * own)
    for number, name in enumerate(keys.names):
        if name in (*SPLITS, ALL, AGAINST) or counts[number] > most:
            continue
        for row in np.flatnonzero(part == number):
            yield Finding(int(row), "split_rare", WARNING, "split", name)
