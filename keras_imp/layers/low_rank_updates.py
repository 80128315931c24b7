"""Low-rank updates of the stacked kernels of encoder blocks (LoRA).

The sum of a kernel and its update is made in the loop over the layers, before
a block runs with it. So a block knows nothing of it, and scan, plain loop,
rematerialization and experts are served alike.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_imp._saving.names import save_variables, variables_by_position
from keras_imp._values import value_of
from keras_imp.layers.dense import lecun_normal
from keras_imp.typing import Tensor

# Kinds of kernels: of attention, and of feed-forward networks, also where these
# are experts.
TARGETS = ("query", "key", "value", "output", "expand", "contract")
_KERNEL = re.compile(r"(?:experts_)?(\w+)_kernel")


def kind_of(name: str) -> str | None:
    """The kind of a kernel.

    Args:
        name: Name of a stacked weight.

    Returns:
        One of `TARGETS`; None for a weight that is no such kernel.

    Example:
        >>> from keras_imp.layers.low_rank_updates import kind_of
        >>> kind_of("experts_expand_kernel"), kind_of("query_norm_gamma")
        ('expand', None)
    """
    found = _KERNEL.fullmatch(name)
    return found[1] if found and found[1] in TARGETS else None


class LowRankUpdates(keras.layers.Layer):
    """What is added to some kernels of a stack: alpha / rank * A B.

    A kernel of shape `(layers, rows, columns)`, or `(layers, experts, rows,
    columns)`, has factors A `(..., rows, rank)` and B `(..., rank, columns)`:
    each layer, and each expert of a layer, its own. A starts at random with
    variance 1 / rows, B at 0, so that nothing changes at the start.

    Args:
        kernels: Weights of a stack, of which those of the targets are updated.
        targets: Kinds of kernels, of `TARGETS`.
        rank: Columns of A and rows of B.
        alpha: The updates are scaled by alpha / rank.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`, `dtype`.

    Attributes:
        scale: alpha / rank.
        places: Which of the weights have an update.

    Reference:
        [Hu et al., 2021](https://arxiv.org/abs/2106.09685), section 4.1.
    """

    def __init__(
        self,
        kernels: Sequence[keras.Variable],
        targets: Sequence[str],
        rank: int,
        alpha: float,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.rank = rank
        self.scale = alpha / rank
        chosen = [
            place
            for place, kernel in enumerate(kernels)
            if kind_of(kernel.name) in targets
        ]
        self.places = tuple(chosen)
        self._kernels = tuple(
            (kernels[i].name, tuple(kernels[i].shape), kernels[i].dtype)
            for i in chosen
        )

    def build(self) -> None:
        """Make the factors."""
        for name, shape, dtype in self._kernels:
            *leading, rows, columns = shape
            options: dict[str, Any] = {
                "dtype": dtype,
                # They are added to the kernel in its own dtype.
                "autocast": False,
            }
            self.add_weight(
                name=f"lora_a_{name}",
                shape=(*leading, rows, self.rank),
                initializer=lecun_normal((rows,)),
                **options,
            )
            self.add_weight(
                name=f"lora_b_{name}",
                shape=(*leading, self.rank, columns),
                initializer="zeros",
                **options,
            )

    @property
    def pairs(self) -> list[tuple[keras.Variable, keras.Variable]]:
        """A and B of each kernel that has an update."""
        factors = self.variables
        return list(zip(factors[::2], factors[1::2]))

    def add_to(self, weights: list[Tensor], factors: list[Tensor]) -> list:
        """Weights with their updates.

        Args:
            weights: Values of the weights, or one row of each.
            factors: Values of `variables`, or one row of each.

        Returns:
            A list of the same shapes and dtypes as `weights`.
        """
        updated = list(weights)
        for place, a, b in zip(self.places, factors[::2], factors[1::2]):
            updated[place] = weights[place] + self.scale * ops.matmul(a, b)
        return updated

    def merge_into(self, weights: list[keras.Variable]) -> None:
        """Add the updates to the weights for good, and become zero.

        A function that was compiled before still adds the updates.

        Args:
            weights: The variables that `kernels` of the constructor were.
        """
        values = [ops.convert_to_tensor(v) for v in weights]
        factors = [ops.convert_to_tensor(v) for v in self.variables]
        merged = self.add_to(values, factors)
        for place, (_, b) in zip(self.places, self.pairs):
            weights[place].assign(merged[place])
            b.assign(ops.zeros(b.shape, b.dtype))

    def rows_with_updates(
        self, weights: list[np.ndarray], layer: int
    ) -> list[np.ndarray]:
        """Weights of one layer with their updates, on the host.

        Args:
            weights: Of the layer.
            layer: Its index.

        Returns:
            Arrays of the same shapes and dtypes.
        """
        updated = list(weights)
        for place, (a, b) in zip(self.places, self.pairs):
            rows = [value_of(v)[layer].astype("float32") for v in (a, b)]
            update = self.scale * (rows[0] @ rows[1])
            kernel = weights[place]
            updated[place] = (kernel + update).astype(kernel.dtype)
        return updated

    def save_own_variables(self, store: Any) -> None:
        save_variables(super().save_own_variables, store)

    def load_own_variables(self, store: Any) -> None:
        save: Callable[[Any], None] = super().save_own_variables
        super().load_own_variables(variables_by_position(save, store))
