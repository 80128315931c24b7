"""Which pairs of a batch match, and which must not count as negatives.

Legend: i, j examples; m, n captions of an example.
"""

from typing import NamedTuple

import numpy as np
from keras import ops

from keras_imp.tasks.contrastive.captions import captions_of
from keras_imp.typing import Tensor


class BatchMasks(NamedTuple):
    """What the examples of a batch are to each other, True where it holds.

    Attributes:
        same: j is a positive of i, (i, j).
        captions: Caption n of j does not count for i: it is empty, or a
            caption of i too; (i, j, n), or None without text.
        examples: j does not count for i: they share a caption; (i, j), or
            None if equal captions count.
    """

    same: Tensor
    captions: Tensor | None
    examples: Tensor | None

    def of_pair(self, a: str, b: str) -> Tensor | None:
        """What must not count between two modalities.

        Args:
            a: A modality.
            b: Another one.

        Returns:
            To be broadcast to (i of a, m, j of b, n); None if all counts.
        """
        if b == "text" and self.captions is not None:
            return self.captions[:, None]  # (i, 1, j, n)
        if a == "text" and self.captions is not None:
            # Examples of a now come second: j, n, i, 1.
            return ops.transpose(self.captions, (1, 2, 0))[:, :, :, None]
        return (
            None if self.examples is None else self.examples[:, None, :, None]
        )


def batch_masks(
    x: dict[str, Tensor],
    groups: Tensor | None,
    batch: int,
    mask_duplicates: bool,
) -> BatchMasks:
    """Masks of one batch.

    Args:
        x: Inputs by modality; only `text` is looked at.
        groups: Group id of each example, int, shape `(batch,)`, or None if
            each is a group of its own.
        batch: Number of examples.
        mask_duplicates: Whether equal captions of different groups are no
            negatives.

    Returns:
        The masks.
    """
    if groups is None:
        same = ops.eye(batch, dtype="bool")
    else:
        groups = ops.cast(groups, "int32")
        same = ops.equal(groups[:, None], groups[None])
    if "text" not in x:
        return BatchMasks(same, None, None)
    ids = captions_of(x)
    empty = ops.logical_not(ops.any(ids != 0, axis=2))  # (j, n)
    captions = ops.broadcast_to(empty[None], (ids.shape[0], *empty.shape))
    if not mask_duplicates:
        return BatchMasks(same, captions, None)
    repeated = _repeated_captions(ids, empty, same)
    return BatchMasks(
        same, ops.logical_or(captions, repeated), ops.any(repeated, axis=2)
    )


def example_weights(
    x: dict[str, Tensor], sample_weight: Tensor | None, a: str, b: str
) -> Tensor | None:
    """Weight 0, in a pair with text, for an example without real captions.

    Args:
        x: Inputs by modality.
        sample_weight: Weight of each example, or None.
        a: A modality of the pair.
        b: The other one.

    Returns:
        Weights, shape `(batch,)`, or None for equal ones.
    """
    if "text" not in (a, b):
        return sample_weight
    real = ops.cast(ops.any(captions_of(x) != 0, axis=(1, 2)), "float32")
    if sample_weight is None:
        return real
    return real * ops.cast(sample_weight, "float32")


def _repeated_captions(ids: Tensor, empty: Tensor, same: Tensor) -> Tensor:
    """True where caption n of j is also one of i, in another group, (i, j, n).

    Captions are compared by two 32-bit hashes, so that the cost does not grow
    with their length.
    """
    length = ids.shape[2]
    odd = np.random.default_rng(0).integers(0, 2**30, (2, length)) * 2 + 1
    odd = (odd % 2**31).astype("int32")
    equal = None
    for multipliers in odd:
        # int32 products wrap around alike on every backend.
        hashes = ops.sum(ids * ops.convert_to_tensor(multipliers), axis=2)
        found = hashes[:, :, None, None] == hashes[None, None]  # (i, m, j, n)
        equal = found if equal is None else ops.logical_and(equal, found)
    equal = ops.logical_and(equal, ops.logical_not(empty)[:, :, None, None])
    other = ops.logical_not(same)[:, :, None]
    return ops.logical_and(ops.any(equal, axis=1), other)
