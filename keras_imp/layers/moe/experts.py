"""Feed-forward networks side by side, each on its own tokens."""

import keras
from keras import ops

from keras_imp.layers._runtime.activations import activate
from keras_imp.layers._runtime.device import runs_on
from keras_imp.layers._runtime.layer import Layer
from keras_imp.layers._runtime.layouts import check_axis_divides
from keras_imp.layers._runtime.seeds import dropout as seeded_dropout
from keras_imp.layers.dense import lecun_normal
from keras_imp.layers.moe.sequential import (
    run_experts_sequentially,
    sequential_is_faster,
)
from keras_imp.typing import Tensor


class Experts(Layer):
    """`num_experts` feed-forward networks with stacked weights.

    Args:
        num_experts: Number of experts.
        intermediate_dim: Width inside each.
        dropout: Rate after the activation.
        use_bias: Whether they have biases.
        activation: As for `FeedForward`.
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
        activation: str = "gelu_tanh",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_experts = num_experts
        self.intermediate_dim = intermediate_dim
        self.dropout = dropout
        self.use_bias = use_bias
        self.activation = activation

    def build(self, slots_shape):
        width, inner = slots_shape[-1], self.intermediate_dim
        self._on_cpu = runs_on("cpu")
        check_axis_divides(
            f"{self.path}/expand_kernel", 0, num_experts=self.num_experts
        )
        self.expand = self._kernel("expand_kernel", width, inner)
        self.contract = self._kernel("contract_kernel", inner, width)
        if self.use_bias:
            self.expand_bias = self._bias("expand_bias", inner)
            self.contract_bias = self._bias("contract_bias", width)

    def call(self, slots: Tensor, dropout_seed: Tensor | None = None) -> Tensor:
        if self.use_sequential_experts(slots.shape[1], 1):
            return self._call_sequentially(slots, dropout_seed)
        weights = self._weights(slots.dtype)
        x = ops.matmul(slots, weights["expand"])
        if self.use_bias:
            x = x + weights["expand_bias"]
        x = activate(x, self.activation)
        if dropout_seed is not None:
            x = seeded_dropout(x, self.dropout, dropout_seed)
        x = ops.matmul(x, weights["contract"])
        return x + weights["contract_bias"] if self.use_bias else x

    def use_sequential_experts(self, groups: int | None, capacity: int) -> bool:
        """Whether `gather_compute_combine` is the faster way for the tokens.

        The other is to gather them for all experts, call, and scatter them.

        Args:
            groups: Groups of tokens, if known.
            capacity: Slots of each expert for a group.

        Returns:
            Only for large experts on a CPU.
        """
        # Unknown, or a symbol of JAX, where only shapes are computed.
        if not self._on_cpu or not isinstance(groups, int):
            return False
        return sequential_is_faster(
            self.num_experts, groups * capacity, self.intermediate_dim
        )

    def gather_compute_combine(
        self,
        tokens: Tensor,
        rows: Tensor,
        gates: Tensor,
        dropout_seed: Tensor | None = None,
    ) -> Tensor:
        """Gather its tokens, compute and combine, for one expert at a time.

        Args:
            tokens: Shape `(n, hidden_dim)`.
            rows: Token in each slot, int32, shape `(num_experts, num_slots)`.
            gates: Factors of the outputs, float32, shape `(num_experts,
                num_slots)`.
            dropout_seed: As of the call.

        Returns:
            Sum over the slots that a token is in. Shape and dtype of `tokens`.
        """
        arrays = {
            "rows": rows,
            "gates": gates[..., None],
            **self._weights(tokens.dtype),
        }
        if dropout_seed is not None:
            shape = (*ops.shape(rows), self.intermediate_dim)
            arrays["keep"] = seeded_dropout(
                ops.ones(shape, tokens.dtype), self.dropout, dropout_seed
            )
        return run_experts_sequentially(tokens, arrays, self.activation)

    def _call_sequentially(
        self, slots: Tensor, dropout_seed: Tensor | None
    ) -> Tensor:
        """The call as a sum: each slot is the only one of its token."""
        shape = slots.shape[:2]
        rows = ops.arange(shape[0] * shape[1], dtype="int32")
        outputs = self.gather_compute_combine(
            ops.reshape(slots, (-1, slots.shape[-1])),
            ops.reshape(rows, shape),
            ops.ones(shape, "float32"),
            dropout_seed,
        )
        return ops.reshape(outputs, slots.shape)

    def _weights(self, dtype: str) -> dict[str, Tensor]:
        weights = {"expand": self.expand, "contract": self.contract}
        if self.use_bias:
            weights["expand_bias"] = self.expand_bias
            weights["contract_bias"] = self.contract_bias
        return {
            name: ops.cast(variable, dtype)
            for name, variable in weights.items()
        }

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
