"""Orthogonal factors of many matrices at once, by products alone.

The orthogonal factor of G = U S V' is U V': G with all its singular values set
to 1. Newton and Schulz' iteration comes close to it with odd polynomials,
x -> a x + b x^3 + c x^5 of the singular values, which cost matrix products and
nothing else. Three things keep them few:

- The singular values are scaled by a bound that the first products give, the
  Frobenius norm of (G G')^2, fourth root. It is at most n^(1/8) times the
  largest one (1.8 for n = 128), the usual norm of G up to n^(1/2) (11 times):
  the difference is what one to two steps do.
- Each step has a polynomial of its own, the best for where the steps before it
  have brought the singular values (Polar Express).
- Where one side is much longer, the steps are taken on the square G G'.
"""

import math
from collections.abc import Sequence

import numpy as np
from keras import ops

from keras_imp.typing import Tensor

Polynomials = Sequence[Sequence[float]]

# The five steps of Keller Jordan's Muon: one polynomial, found by hand.
KELLER_JORDAN = ((3.4445, -4.7750, 2.0315),) * 5
# `minimax_polynomials(3, 0.01)`.
THREE_STEPS = (
    (8.0934, -23.6204, 17.4462),
    (3.6070, -2.6486, 0.5119),
    (2.6537, -1.9394, 0.4351),
)
# Added to the norm of G, so that what is left of old gradients comes to rest.
EPSILON = 1e-7
# Instead of a division by 0.
TINY = 1e-30
# How far below the bound the singular values begin, for rounding errors: the
# polynomials grow fast beyond it.
MARGIN = 1.01
# From this ratio of the sides on, steps on the square of G have less work.
WIDE = 1.5
# Rounding errors of the square grow by a^2 in each step on it: after more of
# them, products in TF32 or bfloat16 would leave some values far above 1.
STEPS_ON_SQUARE = 3


def orthogonalize(
    matrices: Tensor, polynomials: Polynomials = THREE_STEPS
) -> Tensor:
    """The orthogonal factor of each matrix, approximately.

    Args:
        matrices: float32 or float64, shape `(..., n, m)`; n <= m saves work.
        polynomials: Coefficients `(a, b, c)` of each step.

    Returns:
        Shape and dtype of `matrices`. Zeros stay zeros.

    Example:
        >>> import keras, numpy as np
        >>> from keras_imp.training.optimizers.orthogonalize import (
        ...     orthogonalize)
        >>> values = np.random.default_rng(0).normal(size=(2, 8, 32))
        >>> found = orthogonalize(keras.ops.cast(values, "float32"))
        >>> s = np.linalg.svd(np.array(found), compute_uv=False)
        >>> bool((s > 0.7).all() and (s < 1.3).all())
        True

    Reference:
        [Keller Jordan, 2024](https://kellerjordan.github.io/posts/muon/);
        [Amsel et al., 2025](https://arxiv.org/abs/2505.16932).
    """
    rows, columns = matrices.shape[-2:]
    gram = ops.matmul(matrices, _transposed(matrices))
    # First by the norm of G: its fourth power may be too small for a float32.
    trace = _trace(gram)
    gram = gram / (trace + TINY)
    square = ops.matmul(gram, gram)
    # Of (G G')^2, whose largest eigenvalue is a fourth power.
    bound = MARGIN * ops.sqrt(ops.sqrt(_frobenius(square) + TINY))
    gram = gram / ops.square(bound)
    square = square / ops.square(ops.square(bound))
    scaled = matrices / ((ops.sqrt(trace) + EPSILON) * bound)
    use_square = columns >= WIDE * rows and len(polynomials) <= STEPS_ON_SQUARE
    steps = _on_squares if use_square else _on_matrices
    return steps(scaled, gram, square, polynomials)


def minimax_polynomials(
    steps: int, smallest: float
) -> tuple[tuple[float, float, float], ...]:
    """Polynomials that bring singular values in [smallest, 1] close to 1.

    Each is the odd polynomial of degree 5 with the least largest error on the
    interval that the steps before it leave: together they are the best for
    their number.

    Args:
        steps: How many.
        smallest: Lower end of the first interval. What is below grows by the
            product of all a.

    Returns:
        Coefficients `(a, b, c)` of each step, rounded to 4 digits.

    Example:
        >>> from keras_imp.training.optimizers.orthogonalize import (
        ...     minimax_polynomials)
        >>> minimax_polynomials(1, 0.5)
        ((2.6708, -3.2854, 1.6386),)

    Reference:
        [Amsel et al., 2025](https://arxiv.org/abs/2505.16932), section 3.
    """
    found = []
    low, high = smallest, 1.0
    for _ in range(steps):
        a, b, c, error = _best_quintic(low, high)
        found.append((round(a, 4), round(b, 4), round(c, 4)))
        # The same room for rounding errors as at the start.
        low, high = 1.0 - error, MARGIN * (1.0 + error)
    return tuple(found)


# Steps ----------------------------------------------------------------------


def _on_matrices(
    x: Tensor, gram: Tensor, square: Tensor, polynomials: Polynomials
) -> Tensor:
    """Takes x to (a + b x x' + c (x x')^2) x, given the first two powers."""
    for i, (a, b, c) in enumerate(polynomials):
        if i:
            gram = ops.matmul(x, _transposed(x))
            square = ops.matmul(gram, gram)
        x = a * x + ops.matmul(b * gram + c * square, x)
    return x


def _on_squares(
    x: Tensor, gram: Tensor, square: Tensor, polynomials: Polynomials
) -> Tensor:
    """The same, with the product of all factors in front of x.

    The factors are polynomials of one symmetric matrix, so they commute, and a
    step takes x x' to p x x' p.
    """
    identity = ops.eye(x.shape[-2], dtype=x.dtype)

    def factor_of(step: Sequence[float]) -> Tensor:
        a, b, c = step
        return a * identity + b * gram + c * square

    last = product = factor_of(polynomials[0])
    for step in polynomials[1:]:
        gram = ops.matmul(ops.matmul(last, gram), last)
        square = ops.matmul(gram, gram)
        last = factor_of(step)
        product = ops.matmul(last, product)
    return ops.matmul(product, x)


def _transposed(x: Tensor) -> Tensor:
    return ops.swapaxes(x, -1, -2)


def _trace(x: Tensor) -> Tensor:
    return ops.trace(x, axis1=-2, axis2=-1)[..., None, None]


def _frobenius(x: Tensor) -> Tensor:
    return ops.sqrt(ops.sum(ops.square(x), axis=(-2, -1), keepdims=True))


# Polynomials ----------------------------------------------------------------


def _best_quintic(low: float, high: float) -> tuple[float, ...]:
    """Coefficients and the largest error of the best one, by Remez' exchange.

    Its errors are of equal size and turn their sign at 4 points.
    """
    points = np.linspace(low, high, 4)
    signs = np.array([1.0, -1.0, 1.0, -1.0])
    for _ in range(50):
        powers = [points, points**3, points**5, signs]
        a, b, c, error = np.linalg.solve(np.transpose(powers), np.ones(4))
        # Where the polynomial has its maximum and its minimum.
        root = math.sqrt(9 * b * b - 20 * a * c)
        turns = [-3 * b - root, -3 * b + root]
        points[1:3] = np.sqrt(np.divide(turns, 10 * c))
    return float(a), float(b), float(c), abs(float(error))
