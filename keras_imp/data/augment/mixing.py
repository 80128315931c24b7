"""Mixup: each example becomes a weighted mean of two, with their targets."""

import numpy as np

from keras_imp._errors import message
from keras_imp.data.augment._checks import check_rows
from keras_imp.data.augment.draws import Draws


def mix(
    values: np.ndarray,
    targets: np.ndarray,
    draws: Draws,
    *,
    amount: tuple[float, float] = (0.0, 0.5),
) -> tuple[np.ndarray, np.ndarray]:
    """Mix each example with the next one of its batch, the last with the first.

    Unlike all other augmentations, the result depends on a second row: the
    batch must be mixed as a whole.

    Args:
        values: Images, spectrograms or waveforms, uint8 or float, an example
            per row.
        targets: Float, shape `(rows, classes)`: one-hot classes.
        draws: Draws of the rows.
        amount: Least and largest weight of the other example; the weight is
            uniform in between.

    Returns:
        A pair: mixed values in their dtype, and mixed targets.

    Raises:
        ValueError: If `values` are neither uint8 nor float, the targets are no
            float array with a row per example, or `amount` is out of its
            range.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data import augment
        >>> x = np.array([[0.0, 0.0], [1.0, 1.0]])
        >>> mixed, targets = augment.mix(
        ...     x, np.eye(2), augment.Draws(0, 0, 2), amount=(0.25, 0.25))
        >>> mixed.tolist(), targets.tolist()
        ([[0.25, 0.25], [0.75, 0.75]], [[0.75, 0.25], [0.25, 0.75]])

    Reference:
        [Zhang et al., 2018](https://arxiv.org/abs/1710.09412).
    """
    check_rows(values, draws)
    if values.dtype != "uint8" and values.dtype.kind != "f":
        raise ValueError(
            message("`values` must be uint8 or float.", dtype=values.dtype.name)
        )
    if targets.dtype.kind != "f" or len(targets) != len(values):
        raise ValueError(
            message(
                "`targets` must be float, with a row for each example.",
                "Make classes one-hot: np.eye(num_classes)[y].",
                examples=len(values),
                shape=targets.shape,
                dtype=targets.dtype.name,
            )
        )
    if np.shape(amount) != (2,) or not 0 <= amount[0] <= amount[1] <= 1:
        raise ValueError(
            message(
                "`amount` must be the least and the largest weight, in [0, 1].",
                amount=amount,
            )
        )
    weights = draws.uniform("mix", *amount)
    return _mean(values, weights), _mean(targets, weights)


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    weights = weights.reshape(-1, *[1] * (values.ndim - 1))
    mixed = (1 - weights) * values + weights * np.roll(values, -1, axis=0)
    if values.dtype == "uint8":
        mixed += 0.5  # The cast cuts.
    return mixed.astype(values.dtype)
