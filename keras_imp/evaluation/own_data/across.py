"""Files that several data sets have: held out of one task, held out of all.

One encoder learns all tasks. So rows of two data sets that show the same stay
together where the splits are drawn, and are told of where the data gives them.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from keras_imp.data.decoding.errors import BadFile
from keras_imp.data.manifest import Manifest
from keras_imp.data.manifest.media import THERE, Files
from keras_imp.data.reading.aliases import MEDIA
from keras_imp.evaluation.own_data.look import Look

if TYPE_CHECKING:
    from keras_imp.evaluation.own_data.rows import TaskRows


class ContentKeys(NamedTuple):
    """What tells that rows show the same as rows of another data set.

    Attributes:
        rows: Their numbers, int64. One with two files is there twice.
        keys: Equal for one file, and for files that are decoded to the same,
            uint64, of the shape of `rows`.
    """

    rows: np.ndarray
    keys: np.ndarray


def content_keys(manifest: Manifest, look: Look) -> ContentKeys:
    """The files of some rows, and what they are decoded to.

    Args:
        manifest: The rows.
        look: What was seen of them.

    Returns:
        Keys of all files that are not in an archive, and of the content of
        those that were decoded.
    """
    rows, keys = array("q"), array("Q")
    for row, key in _file_keys(manifest):
        rows.append(row)
        keys.append(key)
    for row, contents in look.contents.items():
        rows.extend([row] * len(contents))
        keys.extend(contents)
    return ContentKeys(np.array(rows, "int64"), np.array(keys, "uint64"))


def joined_groups(
    data: Sequence[tuple[np.ndarray, ContentKeys]],
) -> list[tuple[int, int]]:
    """Groups of several data sets that show the same.

    Args:
        data: Of each data set the hashes of its rows' groups, and what its
            rows show.

    Returns:
        Hashes of two groups each, the lower one first.
    """
    own = [hashes[each.rows] for hashes, each in data]
    number = np.repeat(np.arange(len(own)), [len(each) for each in own])
    hashes = np.concatenate(own)
    keys = np.concatenate([each.keys for _, each in data])
    order = np.lexsort((hashes, keys))
    keys, hashes, number = keys[order], hashes[order], number[order]
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    which = which.reshape(-1)
    several = np.zeros(len(first), bool)
    several[which[number != number[first[which]]]] = True
    pairs = np.stack([hashes[first[which]], hashes], axis=1)
    apart = several[which] & (pairs[:, 0] != pairs[:, 1])
    return [
        (int(low), int(high)) for low, high in np.unique(pairs[apart], axis=0)
    ]


def trained_on_elsewhere(
    tasks: Mapping[str, "TaskRows"], keys: Mapping[str, ContentKeys]
) -> dict[str, list[str]]:
    """Rows that are held out, and show what another task trains on.

    Args:
        tasks: Rows of all tasks.
        keys: What the rows of their data sets show, by task; of none, nothing
            is told.

    Returns:
        Sentences by task.
    """
    told: dict[str, list[str]] = {name: [] for name in keys}
    for name in keys:
        rows = tasks[name]
        held_out = _of_part(keys[name], rows.validation.numbers)
        for other, others in tasks.items():
            if other == name:
                continue
            trained = _of_part(keys[other], others.train.numbers)
            is_both = np.isin(held_out.keys, trained.keys)
            if not is_both.any():
                continue
            place = int(is_both.argmax())
            as_row = trained.rows[trained.keys == held_out.keys[place]][0]
            number = len(np.unique(held_out.rows[is_both]))
            told[name].append(
                f"{number:,} of {len(rows.validation):,} rows held out show "
                f"what task {other!r} trains on. The first one: "
                f"{rows.validation.where(held_out.rows[place])}, as "
                f"{others.train.where(as_row)}. A column `split` that agrees "
                "prevents it."
            )
    return told


def _file_keys(manifest: Manifest) -> Iterator[tuple[int, int]]:
    """The row and the number of each file that is there, by any path."""
    for column in MEDIA:
        if column not in manifest.columns:
            continue
        files = manifest.column(column)
        if not isinstance(files, Files):
            continue
        there = files.is_filled() & (files.states == THERE)
        for row in np.flatnonzero(there).tolist():
            try:
                state = files.source(row).stat()
            except (BadFile, OSError):
                # It has gone since; whoever reads it says so.
                continue
            yield row, hash((state.st_dev, state.st_ino)) & (2**64 - 1)


def _of_part(found: ContentKeys, numbers: np.ndarray) -> ContentKeys:
    kept = np.isin(found.rows, numbers)
    return ContentKeys(found.rows[kept], found.keys[kept])
