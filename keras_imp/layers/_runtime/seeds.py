"""Random seeds that are handed in, so that a layer scan can be random.

A `keras.random.SeedGenerator` keeps its state in a variable. Inside a scan or
a rematerialized function that state would advance where nothing can see it:
gradients come out wrong silently. So a stack draws all seeds before its
loop and hands one row to each block.
"""

import keras
from keras import ops

from keras_imp.layers._runtime.replicas import replicas
from keras_imp.typing import Tensor


class GivenSeed(keras.random.SeedGenerator):
    """A seed generator that returns the one seed it was given.

    Args:
        seed: Shape `(2,)`, the integer type of the backend's seeds.
    """

    # The parent would create a variable, which is what this class is to avoid.
    def __init__(self, seed: Tensor):
        self._seed = seed

    def next(self, ordered: bool = True) -> Tensor:
        return self._seed


def draw_seeds(
    generator: keras.random.SeedGenerator, shape: tuple[int, ...]
) -> Tensor:
    """Draw many seeds at once from one generator.

    Args:
        generator: Where the randomness comes from; its state advances once.
        shape: How many seeds, such as `(layers, uses per layer)`.

    Returns:
        Seeds, shape `(*shape, 2)`, in the integer type of the backend's seeds.
    """
    draws = keras.random.randint(
        (*shape, 2), 0, 2**31 - 1, dtype="int32", seed=generator
    )
    seeds = ops.cast(draws, generator.state.dtype)
    # A generator's state is the same on each replica.
    return seeds + replicas().index if replicas().index else seeds


def dropout(
    x: Tensor, rate: float, seed: Tensor, noise_shape: tuple | None = None
) -> Tensor:
    """Dropout with a seed that was handed in.

    Args:
        x: Any tensor.
        rate: Fraction of the values to set to zero.
        seed: Shape `(2,)`, a row of `draw_seeds`.
        noise_shape: Shape of the random mask, broadcast against `x`.

    Returns:
        Shape and dtype of `x`.
    """
    shape = ops.shape(x) if noise_shape is None else noise_shape
    # float32 draws: in half precision a uniform number has few values.
    draws = keras.random.uniform(shape, dtype="float32", seed=GivenSeed(seed))
    keep = ops.cast(draws >= rate, x.dtype)
    return x * keep * (1.0 / (1.0 - rate))
