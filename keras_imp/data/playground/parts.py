"""Which examples make up a split, or a part of a fold."""

from typing import NamedTuple

import numpy as np

from keras_imp._errors import message

SPLITS = ("train", "validation", "test")

# How many folds train and validation together are divided into.
FOLDS = 5

# The fold of an example that trains in every fold.
ALWAYS_TRAINS = -1


class Part(NamedTuple):
    """What `load` was asked for.

    Attributes:
        split: `"train"`, `"validation"` or `"test"`.
        fold: Number of the fold, or None for the split as it is.
    """

    split: str
    fold: int | None

    @property
    def sources(self) -> tuple[str, ...]:
        """The splits whose files are read."""
        return (self.split,) if self.fold is None else SPLITS[:2]

    def rows(self, folds: np.ndarray) -> np.ndarray:
        """Positions of the examples that belong to the part.

        Args:
            folds: Fold of each example of the sources, in their order.

        Returns:
            The positions, ascending.
        """
        if self.fold is None:
            return np.arange(len(folds))
        held_out = folds == self.fold
        return np.flatnonzero(
            held_out if self.split == "validation" else ~held_out
        )


def check(split: str, fold: int | None) -> Part:
    """Return the part, or raise if there is none.

    Args:
        split: Name of the split.
        fold: Number of the fold, or None.

    Returns:
        The part.

    Raises:
        ValueError: If the split or the fold is unknown.
    """
    if split not in SPLITS:
        raise ValueError(
            message(
                '`split` must be "train", "validation" or "test".',
                "Use one of the three names.",
                split=split,
            )
        )
    if fold is None:
        return Part(split, None)
    if split == "test":
        raise ValueError(
            message(
                "Folds divide the training and validation splits; the test "
                "split is one.",
                "Leave `fold` out, or load another split.",
                split=split,
                fold=fold,
            )
        )
    if fold not in range(FOLDS):
        raise ValueError(
            message(
                f"`fold` must be None or an integer from 0 to {FOLDS - 1}.",
                "Use one of `range(playground.FOLDS)`.",
                fold=fold,
            )
        )
    return Part(split, fold)
