"""Feed-forward networks side by side, each on its own tokens."""

import keras
from keras import ops

from keras_imp.layers._layouts import check_axis_divides
from keras_imp.layers._seeds import dropout as seeded_dropout
from keras_imp.layers.dense import lecun_normal
from keras_imp.typing import Tensor


class Experts(keras.layers.Layer):
    """`num_experts` feed-forward networks with stacked weights.

    Args:
        num_experts: Number of experts.
        intermediate_dim: Width inside each.
        dropout: Rate after the activation.
        use_bias: Whether they have biases.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`, `dtype`.

    Call arguments:
        slots: Shape `(num_experts, rows, hidden_dim)`.
        dropout_seed: Seed of the dropout, shape `(2,)`, or None for none.

    Returns:
        Shape and dtype of `slots`.
    """

    def __init__(
        self,
        num_experts: int,
        intermediate_dim: int,
        dropout: float = 0.0,
        use_bias: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_experts = num_experts
        self.intermediate_dim = intermediate_dim
        self.dropout = dropout
        self.use_bias = use_bias

    def build(self, slots_shape):
        width, inner = slots_shape[-1], self.intermediate_dim
        check_axis_divides(
            f"{self.path}/expand_kernel", 0, num_experts=self.num_experts
        )
        self.expand = self._kernel("expand_kernel", width, inner)
        self.contract = self._kernel("contract_kernel", inner, width)
        if self.use_bias:
            self.expand_bias = self._bias("expand_bias", inner)
            self.contract_bias = self._bias("contract_bias", width)

    def call(self, slots: Tensor, dropout_seed: Tensor | None = None) -> Tensor:
        x = ops.matmul(slots, ops.cast(self.expand, slots.dtype))
        if self.use_bias:
            x = x + ops.cast(self.expand_bias, x.dtype)
        x = ops.gelu(x, approximate=True)
        if dropout_seed is not None:
            x = seeded_dropout(x, self.dropout, dropout_seed)
        x = ops.matmul(x, ops.cast(self.contract, x.dtype))
        if self.use_bias:
            x = x + ops.cast(self.contract_bias, x.dtype)
        return x

    def _kernel(self, name: str, rows: int, columns: int) -> keras.Variable:
        return self.add_weight(
            name=name,
            shape=(self.num_experts, rows, columns),
            # Each expert alone: the expert axis is no part of the fan-in.
            initializer=lecun_normal((rows,)),
        )

    def _bias(self, name: str, columns: int) -> keras.Variable:
        return self.add_weight(
            name=name,
            shape=(self.num_experts, 1, columns),
            initializer="zeros",
        )
