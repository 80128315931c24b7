"""What the losses compute, in NumPy and float64, written to be read."""

import numpy as np

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


def nce(similarities, counts=None, margin=0.0):
    """Losses of both directions, by loops over the bags of imp.md 7.1.

    Args:
        similarities: Similarity over temperature, `(i, m, j, n)`.
        counts: Whether pair (i, m, j, n) counts. Defaults to all.
        margin: Subtracted from the positives.
    """
    s = similarities
    counts = np.ones(s.shape, bool) if counts is None else counts

    def log_sum(values, of):
        return np.log(np.exp(values[of]).sum())

    a_to_b, b_to_a = [], []
    for i in range(len(s)):
        positive = log_sum(s[i, :, i] - margin, counts[i, :, i])
        a_to_b.append(log_sum(s[i], counts[i]) - positive)
        b_to_a.append(log_sum(s[:, :, i], counts[:, :, i]) - positive)
    return np.array(a_to_b), np.array(b_to_a)


def unit_vectors(rng, *shape):
    x = rng.normal(size=shape)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def similarities(u, v):
    """`(i, m, j, n)` of vectors `(i, [m,] d)` and `(j, [n,] d)`."""
    u = u if u.ndim == 3 else u[:, None]
    v = v if v.ndim == 3 else v[:, None]
    return np.einsum("imd,jnd->imjn", u, v)
