"""What the losses compute, in NumPy and float64, written to be read."""

import itertools

import numpy as np

from tests.helpers.layer_oracles import softmax

# Largest absolute and relative error of a float32 loss against float64.
TOLERANCE = 2e-5


def softmax_cross_entropy(logits, targets, smoothing=0.0):
    """One loss per example; targets as probabilities."""
    targets = targets * (1 - smoothing) + smoothing / targets.shape[-1]
    shifted = logits - logits.max(-1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return -(targets * logs).sum(-1)


def sigmoid_cross_entropy(logits, targets, smoothing=0.0):
    """One loss per example, the mean over classes."""
    targets = targets * (1 - smoothing) + smoothing / 2
    p = 1 / (1 + np.exp(-logits))
    terms = targets * np.log(p) + (1 - targets) * np.log(1 - p)
    return -terms.mean(-1)


def weighted_mean(values, weights=None):
    return np.average(values, weights=weights)


def nce(similarities, counts=None, margin=0.0, groups=None):
    """Losses of both directions, by loops over the bags.

    Source: docs/method.md, Tasks and losses.

    Args:
        similarities: Similarity over temperature, `(i, m, j, n)`.
        counts: Whether pair (i, m, j, n) counts. Defaults to all.
        margin: Subtracted from the positives.
        groups: A number for each example; those with the same one match.
    """
    s = similarities
    counts = np.ones(s.shape, bool) if counts is None else counts
    groups = np.arange(len(s)) if groups is None else groups

    def log_sum(values, of):
        return np.log(np.exp(values[of]).sum())

    a_to_b, b_to_a = [], []
    for i in range(len(s)):
        own = np.flatnonzero(groups == groups[i])
        positive = log_sum(s[i][:, own] - margin, counts[i][:, own])
        a_to_b.append(log_sum(s[i], counts[i]) - positive)
        positive = log_sum(s[own][:, :, i] - margin, counts[own][:, :, i])
        b_to_a.append(log_sum(s[:, :, i], counts[:, :, i]) - positive)
    return np.array(a_to_b), np.array(b_to_a)


def sigmoid_pairs(logits, counts=None, margin=0.0, groups=None):
    """Losses of both directions, one pair of examples after the other.

    Args:
        logits: Similarity over temperature plus bias, `(i, m, j, n)`.
        counts: Whether pair (i, m, j, n) counts. Defaults to all.
        margin: Subtracted from the logits of pairs that match.
        groups: A number for each example; those with the same one match.
    """
    batch = len(logits)
    groups = np.arange(batch) if groups is None else groups
    counts = np.ones(logits.shape, bool) if counts is None else counts
    pairs = np.zeros((batch, batch))
    for i, j in itertools.product(range(batch), range(batch)):
        z = logits[i, :, j][counts[i, :, j]]
        z = z - margin if groups[i] == groups[j] else -z
        if len(z):
            pairs[i, j] = -np.log(1 / (1 + np.exp(-z))).mean()
    return pairs.sum(1), pairs.sum(0)


def token_losses(logits, targets):
    """Cross-entropy of each of `(..., words)`."""
    probabilities = softmax(logits)
    right = np.take_along_axis(probabilities, targets[..., None], -1)
    return -np.log(right[..., 0])


def masked_patch_loss(targets, predictions, normalize=True):
    """One loss per example: squared error, mean over its hidden patches."""
    if normalize:
        mean = targets.mean(-1, keepdims=True)
        variance = targets.var(-1, keepdims=True)
        targets = (targets - mean) / np.sqrt(variance + 1e-6)
    return ((targets - predictions) ** 2).mean((1, 2))


def unit_vectors(rng, *shape):
    x = rng.normal(size=shape)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def similarities(u, v):
    """`(i, m, j, n)` of vectors `(i, [m,] d)` and `(j, [n,] d)`."""
    u = u if u.ndim == 3 else u[:, None]
    v = v if v.ndim == 3 else v[:, None]
    return np.einsum("imd,jnd->imjn", u, v)
