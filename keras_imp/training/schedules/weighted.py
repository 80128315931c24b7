"""Each step's task at random, with constant shares."""

from collections.abc import Mapping

import numpy as np

from keras_imp._errors import check_positive, message
from keras_imp.training.schedules._checks import check_names, check_task_values
from keras_imp.training.schedules.base import BLOCK, Schedule, Sizes


class Weighted(Schedule):
    """Draw each step's task at random, in proportion to weights.

    Args:
        weights: Weight of each task, all greater than 0. They need not sum to
            1. Defaults to equal weights.
        temperature: Fractions are proportional to `weight ** (1 /
            temperature)`: 1 takes the weights as they are, more makes the
            fractions more equal, infinity equal, less than 1 sharpens them.

    Raises:
        ValueError: If a weight or the temperature is 0 or negative, or names
            do not match.

    Example:
        >>> import keras_imp
        >>> schedule = keras_imp.schedules.Weighted({"a": 3, "b": 1})
        >>> schedule = schedule.bind(("a", "b"), seed=0)
        >>> 0.70 < schedule.counts(10_000)["a"] / 10_000 < 0.80
        True

    Reference:
        [IMP](https://arxiv.org/abs/2305.06324), algorithm 1; the temperature:
        [T5](https://arxiv.org/abs/1910.10683), section 3.5.2.
    """

    def __init__(
        self,
        weights: dict[str, float] | None = None,
        temperature: float = 1.0,
    ):
        self.weights = weights
        self.temperature = temperature
        check_task_values("weight", weights or {})
        check_positive(temperature=temperature)

    def bind(
        self,
        names: tuple[str, ...],
        seed: int = 0,
        sizes: Sizes | None = None,
    ) -> "Weighted":
        super().bind(names, seed, sizes)
        weights = self._weights_of(self.names, sizes or {})
        values = np.array([weights[name] for name in self.names], "float64")
        # Of the largest, so that a low temperature does not overflow.
        powers = (values / values.max()) ** (1 / self.temperature)
        self._shares = powers / powers.sum()
        return self

    def draw(self, block: int) -> np.ndarray:
        generator = self.generator(block)
        return generator.choice(len(self.names), size=BLOCK, p=self._shares)

    def _weights_of(
        self, names: tuple[str, ...], sizes: Sizes
    ) -> Mapping[str, float]:
        weights = self.weights or dict.fromkeys(names, 1.0)
        check_names("weights", weights, names)
        return weights


class Proportional(Weighted):
    """Draw each step's task at random, in proportion to the size of its data.

    Shares are proportional to `min(size, max_size) ** (1 / temperature)`.

    Args:
        sizes: Size of each task's data, in any one unit. By default, what the
            sources of the mixture know without being read: the examples of
            one pass if every source has an attribute `num_examples`, as
            `keras_imp.data.Arrays` has; otherwise the batches of one pass,
            `len(source)`, of every source. Units are never mixed.
        temperature: As in `Weighted`.
        max_size: Sizes above it count as it, so that one huge data set leaves
            steps to the others. In the unit of the sizes. Defaults to no
            limit.

    Raises:
        ValueError: If a size, the temperature or `max_size` is 0 or negative,
            names do not match, or a source does not know its size.

    Example:
        >>> import keras_imp
        >>> schedule = keras_imp.schedules.Proportional(
        ...     {"small": 100, "huge": 10**9}, max_size=300)
        >>> schedule = schedule.bind(("small", "huge"), seed=0)
        >>> 0.20 < schedule.counts(10_000)["small"] / 10_000 < 0.30
        True

    Reference:
        [T5](https://arxiv.org/abs/1910.10683), section 3.5.2.
    """

    def __init__(
        self,
        sizes: dict[str, float] | None = None,
        temperature: float = 1.0,
        max_size: float | None = None,
    ):
        super().__init__(temperature=temperature)
        self.sizes = sizes
        self.max_size = max_size
        check_task_values("size", sizes or {})
        if max_size is not None:
            check_positive(max_size=max_size)

    def _weights_of(
        self, names: tuple[str, ...], sizes: Sizes
    ) -> Mapping[str, float]:
        if self.sizes is not None:
            check_names("sizes", self.sizes, names)
        limit = float("inf") if self.max_size is None else self.max_size
        known = sizes if self.sizes is None else self.sizes
        return {name: min(_known(known, name), limit) for name in names}


def _known(sizes: Mapping[str, float | None], name: str) -> float:
    size = sizes.get(name)
    if size is None:
        raise ValueError(
            message(
                "A schedule by size must know the size of each task's data.",
                "Give `sizes` to the schedule: this source has neither a "
                "length nor `num_examples`.",
                task=name,
                size=None,
            )
        )
    return size
