"""Which rows of a task are trained on, and which are held out."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from keras_imp._errors import message
from keras_imp.data.manifest import Manifest, groups
from keras_imp.data.reading.matching import nearest
from keras_imp.evaluation.run_folder import RunError


class Split(NamedTuple):
    """Two parts of some rows.

    Attributes:
        train: Numbers of the rows to train on, int64.
        validation: Numbers of those that are held out, int64.
        told: Where the split is from, as a sentence.
    """

    train: np.ndarray
    validation: np.ndarray
    told: str


def split_rows(
    name: str,
    manifest: Manifest,
    rows: np.ndarray,
    fraction: float,
    seed: int,
    labeled: bool,
    copies: Sequence[tuple[int, int]] = (),
    roots: Mapping[int, int] | None = None,
) -> Split:
    """Split the rows of a task: as its data says, else by group.

    Args:
        name: Name of the task.
        manifest: All rows.
        rows: Numbers of those that can be used.
        fraction: Fraction of the groups to hold out, where there is no split.
        seed: Seed of that.
        labeled: Whether rows have labels that must occur in training.
        copies: Numbers of two rows each that show the same, and stay together.
        roots: For groups that stay together in all tasks, the hash of one of
            them, in place of `copies`. Defaults to those of `copies`.

    Returns:
        The split.

    Raises:
        RunError: If a part has no rows, or a label is in validation only.
    """
    if "split" in manifest.columns:
        split = _given(name, manifest, rows)
        if len(split.validation):
            if labeled:
                _check_labels(name, manifest, split)
            return split
        rows = split.train
    hashes = groups.hashes(manifest, salt=str(seed))
    if roots is None:
        roots = roots_of(pairs_of(hashes, copies))
    hashes = _joined(hashes, roots)[rows]
    return _held_out(name, manifest, rows, hashes, fraction, labeled)


def _given(name: str, manifest: Manifest, rows: np.ndarray) -> Split:
    """The split of the column; without validation rows, the test rows."""
    column = manifest.column("split")
    values = np.array([column[row] or "" for row in rows.tolist()])
    parts = {each: rows[values == each] for each in np.unique(values).tolist()}
    if "train" not in parts:
        raise RunError(
            message(
                "A column `split` must have rows of 'train'.",
                nearest("train", parts),
                task=name,
                splits=list(parts),
            )
        )
    held_out = next((n for n in ("validation", "test") if n in parts), None)
    if held_out is None:
        return Split(parts["train"], rows[:0], "")
    others = [
        f"{len(found):,} of {each or 'none'!r}"
        for each, found in parts.items()
        if each not in ("train", held_out)
    ]
    told = f"{held_out!r} of the column `split` is held out."
    if others:
        told += f" Not used: {', '.join(others)}."
    return Split(parts["train"], parts[held_out], told)


def _held_out(
    name: str,
    manifest: Manifest,
    rows: np.ndarray,
    hashes: np.ndarray,
    fraction: float,
    labeled: bool,
) -> Split:
    """A part of the groups, drawn by their hashes: the lowest ones."""
    limit = np.uint64(int(fraction * 2**64))
    order = np.unique(hashes)
    # Of few groups none may be below it: two rows are needed to compare.
    least = order[: max(1, min(2, len(order) // 2))]
    is_out = (hashes < limit) | np.isin(hashes, least)
    told = f"{fraction:.0%} of the groups are held out, drawn by the seed."
    if labeled:
        is_out, moved = _seen_labels(manifest, rows, hashes, is_out)
        if moved:
            told += (
                f" {moved} rows stay in training, since no other row there has "
                "their label."
            )
    if is_out.all() or not is_out.any():
        raise RunError(
            message(
                f"Task {name!r} needs rows to train on and others to validate "
                "with, not of the same group, and of each label several.",
                "Add rows, or a column `split`.",
                rows=len(rows),
                groups=len(order),
            )
        )
    return Split(rows[~is_out], rows[is_out], told)


def pairs_of(
    hashes: np.ndarray, copies: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """The groups of rows that show the same.

    Args:
        hashes: That of the group of each row, uint64.
        copies: Numbers of two rows each.

    Returns:
        Hashes of two groups each.
    """
    return [(int(hashes[other]), int(hashes[row])) for row, other in copies]


def roots_of(pairs: Sequence[tuple[int, int]]) -> dict[int, int]:
    """One of the groups that stay together, for each of them.

    Args:
        pairs: Hashes of two groups each.

    Returns:
        The hash of the chosen one, for each group that is not it.
    """
    above: dict[int, int] = {}

    def root(value: int) -> int:
        top = value
        while top in above:
            top = above[top]
        while value != top:
            above[value], value = top, above[value]
        return top

    for pair in pairs:
        first, second = map(root, pair)
        if first != second:
            above[second] = first
    return {value: root(value) for value in list(above)}


def _joined(hashes: np.ndarray, roots: Mapping[int, int]) -> np.ndarray:
    """The same with one hash for groups that stay together."""
    moved = np.isin(hashes, np.fromiter(roots, "uint64", len(roots)))
    joined = hashes.copy()
    joined[moved] = [roots[int(value)] for value in hashes[moved]]
    return joined


def _seen_labels(
    manifest: Manifest, rows: np.ndarray, hashes: np.ndarray, is_out: np.ndarray
) -> tuple[np.ndarray, int]:
    """Bring groups back to training that have a label of their own."""
    seen: set[str] = set()
    for row in rows[~is_out].tolist():
        seen.update(manifest.texts_of(row, "label"))
    back = []
    for place in np.flatnonzero(is_out).tolist():
        labels = set(manifest.texts_of(int(rows[place]), "label"))
        if not labels <= seen:
            back.append(hashes[place])
            seen |= labels
    return is_out & ~np.isin(hashes, back), int(np.isin(hashes, back).sum())


def _check_labels(name: str, manifest: Manifest, split: Split) -> None:
    seen = {
        label
        for row in split.train.tolist()
        for label in manifest.texts_of(row, "label")
    }
    unseen: dict[str, int] = {}
    for row in split.validation.tolist():
        for label in manifest.texts_of(row, "label"):
            if label not in seen:
                unseen.setdefault(label, row)
    if unseen:
        label, row = next(iter(unseen.items()))
        raise RunError(
            message(
                f"Task {name!r}: labels of validation rows must occur in "
                f"training. The first one that does not is in "
                f"{manifest.where(row)}.",
                nearest(label, sorted(seen)),
                labels=list(unseen)[:5],
            )
        )
