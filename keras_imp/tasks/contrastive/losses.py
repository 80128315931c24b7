"""From similarities of all pairs of a batch to losses: pure functions.

Legend: i, j examples; m, n instances of an example, such as its captions.
Arrays of similarities have the shape (i, m, j, n).
"""

from typing import NamedTuple

from keras import ops

from keras_imp.typing import Tensor

# Logit of what must not count: far below any similarity / temperature.
EXCLUDED = -1e10


class PairLoss(NamedTuple):
    """Losses of both directions, one value per example, shape `(batch,)`.

    Attributes:
        a_to_b: Given an example's `a`, find its `b` among all.
        b_to_a: Given an example's `b`, find its `a` among all.

    Example:
        >>> import keras, keras_imp
        >>> loss = keras_imp.tasks.contrastive_loss(
        ...     keras.ops.zeros((3, 1, 3, 1)))
        >>> tuple(loss.a_to_b.shape)
        (3,)
    """

    a_to_b: Tensor
    b_to_a: Tensor


def contrastive_loss(
    logits: Tensor,
    excluded: Tensor | None = None,
    margin: float = 0.0,
    same: Tensor | None = None,
) -> PairLoss:
    """Cross-modal NCE with several positives per example.

    Source: docs/method.md, Tasks and losses.

    With one instance per example, no groups and no margin this is the
    symmetric InfoNCE loss. With several positives, all instances of the
    example and of those of its group, they sit together inside the logarithm
    (MIL-NCE): one that ranks first is enough.

    Args:
        logits: Similarities / temperature, float32, shape `(batch, m, batch,
            n)`; example i of `a` against example j of `b`.
        excluded: True where a pair must not count, same shape.
        margin: Subtracted from the positives of the numerator.
        same: True where example j is a positive of example i, shape `(batch,
            batch)`. Defaults to i = j.

    Returns:
        The loss of each example in both directions.

    Example:
        >>> import keras
        >>> from keras_imp.tasks import contrastive_loss
        >>> s = keras.ops.reshape(
        ...     keras.ops.array([[0.9, 0.1], [0.2, 0.6]]), (2, 1, 2, 1))
        >>> loss = contrastive_loss(s)
        >>> round(float(keras.ops.mean(loss.a_to_b)), 4)
        0.4421
    """
    if excluded is not None:
        logits = ops.where(excluded, EXCLUDED, logits)
    matches = _matches(same, logits)
    positives = ops.where(matches, logits - margin, EXCLUDED)
    rows, columns = (
        ops.logsumexp(logits, axis=axes) - ops.logsumexp(positives, axis=axes)
        for axes in ((1, 2, 3), (0, 1, 3))
    )
    return PairLoss(a_to_b=rows, b_to_a=columns)


def sigmoid_contrastive_loss(
    logits: Tensor,
    excluded: Tensor | None = None,
    margin: float = 0.0,
    same: Tensor | None = None,
) -> PairLoss:
    """Sigmoid pairwise loss: each pair of examples is a question by itself.

    Softplus(-logit) for a pair that matches, softplus(logit) for one that does
    not; the loss of an example is the sum over its pairs. With several
    instances, a pair of examples counts as the mean over its pairs of
    instances, so that the number of captions does not scale the loss.

    Args:
        logits: Similarities / temperature + bias, float32, shape `(batch, m,
            batch, n)`.
        excluded: True where a pair must not count, same shape.
        margin: Subtracted from the logits of pairs that match.
        same: True where example j is a positive of example i, shape `(batch,
            batch)`. Defaults to i = j.

    Returns:
        The loss of each example in both directions. The mean over examples is
        the same for both, and the loss of the paper.

    Example:
        >>> import keras
        >>> from keras_imp.tasks import sigmoid_contrastive_loss
        >>> loss = sigmoid_contrastive_loss(keras.ops.zeros((3, 1, 3, 1)))
        >>> [round(float(value), 4) for value in loss.a_to_b]  # 3 ln 2
        [2.0794, 2.0794, 2.0794]

    Reference:
        [SigLIP](https://arxiv.org/abs/2303.15343), section 3.2.
    """
    matches = _matches(same, logits)
    terms = ops.softplus(ops.where(matches, margin - logits, logits))
    if excluded is None:
        pairs = ops.mean(terms, axis=(1, 3))
    else:
        counts = ops.where(excluded, 0.0, ops.ones_like(terms))
        total = ops.sum(terms * counts, axis=(1, 3))
        pairs = total / ops.maximum(ops.sum(counts, axis=(1, 3)), 1.0)
    return PairLoss(
        a_to_b=ops.sum(pairs, axis=1), b_to_a=ops.sum(pairs, axis=0)
    )


def _matches(same: Tensor | None, logits: Tensor) -> Tensor:
    """`same` beside the instances, (i, 1, j, 1)."""
    if same is None:
        batch = logits.shape[0] or ops.shape(logits)[0]
        same = ops.eye(batch, dtype="bool")
    return same[:, None, :, None]
