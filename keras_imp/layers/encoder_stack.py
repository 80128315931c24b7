"""Many equal encoder blocks as one layer with stacked weights.

Every weight has a leading `num_layers` axis, whatever way the stack runs, so a
checkpoint does not depend on it. A scan compiles one block instead of
`num_layers` of them, which counts in alternating training: there is one graph
per (task, shape).
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_imp import _keras_private as keras_private
from keras_imp._errors import check_positive
from keras_imp._values import value_of
from keras_imp.layers._runtime.config import arguments_of
from keras_imp.layers._runtime.frozen_rows import frozen_rows_of
from keras_imp.layers._runtime.layer_loop import layer_loop
from keras_imp.layers._runtime.seeds import draw_seeds
from keras_imp.layers.encoder_block import (
    SEEDS_PER_BLOCK,
    EncoderBlock,
    check_one_feed_forward,
)
from keras_imp.layers.low_rank_updates import LowRankUpdates
from keras_imp.layers.moe.base import SparseFeedForward
from keras_imp.layers.moe.report import RoutingReport
from keras_imp.layers.moe.reporting import ReportingLayer
from keras_imp.layers.moe.spec import MoESpec
from keras_imp.typing import Tensor

# Where a stack has the block that it runs. Keras saves what it finds in any
# attribute, tracked or not, but for those that begin with two underscores.
BLOCK = "__block"


@keras.saving.register_keras_serializable(package="keras_imp")
class EncoderStack(ReportingLayer):
    """`num_layers` encoder blocks in a row, with stacked weights.

    Equal to calling the blocks one after the other. Each block draws its own
    initial weights.

    Args:
        num_layers: Number of blocks.
        num_heads: Number of attention heads.
        intermediate_dim: Width inside the feed-forward networks; None if
            `feed_forward` is given.
        qk_layer_norm: Whether queries and keys are normalized per head.
        dropout: Dropout rate of the blocks.
        dropout_broadcast: Whether dropout removes whole heads and channels.
        use_bias: Whether dense layers and norms have biases.
        activation: Of the feed-forward networks; see `FeedForward`. Routed
            layers have their own.
        layer_norm_epsilon: Epsilon of the norms.
        qkv_init: `"conventional"` or the faithful `"imp"`.
        scan_layers: Whether to compile one block and loop over it, instead of
            one copy per layer. True compiles several times faster in deep
            models; an eager call on JAX has nothing to compile and takes the
            copies. Defaults to True on JAX for two layers or more, and to False
            elsewhere: one layer has nothing to share, on TensorFlow a step is
            a tenth slower with it, and torch has nothing to compile.
        remat: Whether to recompute each block in the backward pass instead of
            keeping its activations: less memory for about a third more work.
        seed: Seed of the dropout. Defaults to a random one.
        feed_forward: A routed layer, such as `ExpertChoiceMoE`: each block
            gets one with its arguments.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`, `dtype`.

    Call arguments:
        tokens: Shape `(batch, tokens, hidden_dim)`.
        padding_mask: True where a token is real, shape `(batch, tokens)`.
        mask: Keras' own mask, such as that of `Embedding(mask_zero=True)`;
            Keras hands it in. Used where there is no `padding_mask`.
        use_causal_mask: As for `EncoderBlock`.
        return_report: Whether to return the `RoutingReport` of the routed
            layers too, each value with a leading layer axis; the caller then
            adds the sum of its losses to the model's.
        training: Whether to apply dropout.

    Returns:
        Shape and dtype of `tokens`; with `return_report` a pair.

    Example:
        >>> import keras, keras_imp
        >>> stack = keras_imp.layers.EncoderStack(
        ...     num_layers=3, num_heads=2, intermediate_dim=16)
        >>> tuple(stack(keras.ops.ones((2, 5, 8))).shape)
        (2, 5, 8)

    Reference:
        docs/method.md, Encoder (scan over layers, rematerialization).
    """

    def __init__(
        self,
        num_layers: int,
        num_heads: int,
        intermediate_dim: int | None = None,
        qk_layer_norm: bool = False,
        dropout: float = 0.0,
        dropout_broadcast: bool = False,
        use_bias: bool = False,
        activation: str = "gelu_tanh",
        layer_norm_epsilon: float = 1e-6,
        qkv_init: str = "conventional",
        scan_layers: bool | None = None,
        remat: bool = False,
        seed: int | None = None,
        feed_forward: SparseFeedForward | MoESpec | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        check_positive(num_layers=num_layers)
        check_one_feed_forward(intermediate_dim, feed_forward)
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.intermediate_dim = intermediate_dim
        self.qk_layer_norm = qk_layer_norm
        self.dropout = dropout
        self.dropout_broadcast = dropout_broadcast
        self.use_bias = use_bias
        self.activation = activation
        self.layer_norm_epsilon = layer_norm_epsilon
        self.qkv_init = qkv_init
        self.scan_layers = scan_layers
        self.remat = remat
        self.seed = seed
        self.feed_forward = MoESpec.of(feed_forward)
        self.lora: LowRankUpdates | None = None
        self.uses_seeds = dropout > 0 or (
            self.feed_forward is not None and self.feed_forward.uses_seeds
        )
        if self.uses_seeds:
            self.seed_generator = keras.random.SeedGenerator(seed)

    @property
    def is_routed(self) -> bool:
        """Whether the feed-forward networks have experts."""
        return self.feed_forward is not None

    def make_block(self) -> EncoderBlock:
        """A fresh block of this stack, not built.

        Returns:
            The block. Its dropout uses the seeds that the stack hands in.
        """
        block = EncoderBlock(
            self.num_heads,
            self.intermediate_dim,
            qk_layer_norm=self.qk_layer_norm,
            dropout=self.dropout,
            dropout_broadcast=self.dropout_broadcast,
            use_bias=self.use_bias,
            activation=self.activation,
            layer_norm_epsilon=self.layer_norm_epsilon,
            qkv_init=self.qkv_init,
            feed_forward=self.feed_forward,
            dtype=self.dtype_policy,
            name="block",
        )
        if self.is_routed:
            block.feed_forward.reports_routing = False  # The stack does.
        return block

    def build(self, tokens_shape, **kwargs):
        blocks = []
        for _ in range(self.num_layers):
            block = self.make_block()
            block.build(tokens_shape)
            blocks.append(block)
        # The last block stays as the program to run; its own weights are never
        # read. Untracked, so that they are neither counted nor saved.
        self.__dict__[BLOCK] = blocks[-1]
        self.stacked = [
            self._stack(variables)
            for variables in zip(
                *(block.trainable_variables for block in blocks), strict=True
            )
        ]
        if self.feed_forward is not None:
            names = [f"layer_{i}" for i in range(self.num_layers)]
            self.create_totals(names, self.feed_forward.num_experts)
        # Biases that balance the experts: state, one row per layer.
        biases = [_balance_bias(block) for block in blocks]
        self.stacked_bias = (
            self._stack(tuple(biases), trainable=False)
            if biases[0] is not None
            else None
        )

    def call(
        self,
        tokens: Tensor,
        padding_mask: Tensor | None = None,
        use_causal_mask: bool = False,
        return_report: bool = False,
        mask: Tensor | None = None,
        training: bool | None = None,
    ):
        if padding_mask is None:
            padding_mask = mask
        seeds = None
        if training and self.uses_seeds:
            seeds = draw_seeds(
                self.seed_generator, (self.num_layers, SEEDS_PER_BLOCK)
            )

        outputs, found = layer_loop(
            self._body(padding_mask, use_causal_mask, training),
            ops.cast(tokens, self.compute_dtype),
            [ops.convert_to_tensor(v) for v in self._looped()],
            seeds,
            scan=self._scans(),
            remat=self.remat and bool(training),
            reports=self.is_routed,
        )
        if not self.is_routed:
            return outputs
        count = len(RoutingReport._fields)
        report = RoutingReport(*found[:count])
        if training and self.stacked_bias is not None and self._trains_router():
            bias = self._without_frozen(found[count])
            self.stacked_bias.assign(ops.stop_gradient(bias))
        if return_report:
            return outputs, report
        if training:
            self.add_loss(ops.sum(report.loss))
        self.report_routing(report, training, padding_mask=padding_mask)
        return outputs

    def get_config(self) -> dict[str, Any]:
        spec = self.feed_forward
        config = arguments_of(
            self,
            EncoderStack,
            feed_forward=None if spec is None else spec.serialized,
        )
        return {**super().get_config(), **config}

    def compute_output_spec(self, tokens, *args, return_report=False, **kwargs):
        if return_report:
            return super().compute_output_spec(
                tokens, *args, return_report=True, **kwargs
            )
        return keras.KerasTensor(tokens.shape, dtype=self.compute_dtype)

    def block_weights(self, layer: int) -> list[np.ndarray]:
        """Weights of one layer, in the order of `EncoderBlock.weights`.

        Args:
            layer: Index of the layer, from 0.

        Returns:
            Arrays without the leading layer axis, with low-rank updates.
        """
        rows = [value_of(v)[layer] for v in self.stacked]
        if self.lora is None:
            return rows
        return self.lora.rows_with_updates(rows, layer)

    def add_lora(
        self, rank: int, targets: Sequence[str], alpha: float
    ) -> LowRankUpdates:
        """Give kernels of a built stack low-rank updates.

        Args:
            rank: As for `LowRankUpdates`.
            targets: As for `LowRankUpdates`.
            alpha: As for `LowRankUpdates`.

        Returns:
            The updates, which change no output yet. What is trainable is left
            as it is.
        """
        updates = LowRankUpdates(
            self.stacked,
            targets,
            rank,
            alpha,
            name="lora",
            dtype=self.dtype_policy,
        )
        with keras.name_scope(
            self.name, override_parent=self.path.rpartition("/")[0]
        ):
            updates.build()
        with keras_private.unlocked(self):
            self.lora = updates
        return updates

    def merge_lora(self) -> None:
        """Add the low-rank updates to their kernels, and have none."""
        if self.lora is not None:
            self.lora.merge_into(self.stacked)
            keras_private.untrack(self, self.lora)
            self.lora = None

    def _trains_router(self) -> bool:
        """Whether routers are not frozen: else their balance stays too."""
        return any(v.trainable for v in self._routers())

    def _without_frozen(self, bias: Tensor) -> Tensor:
        """New biases, of layers whose router the optimizer leaves the old."""
        old = ops.convert_to_tensor(self.stacked_bias)
        for router in self._routers():
            frozen = frozen_rows_of(router)
            if frozen is not None:
                bias = ops.where(frozen[:, None], old, bias)
        return bias

    def _routers(self) -> list[keras.Variable]:
        return [v for v in self.stacked if "router" in v.name]

    def _looped(self) -> list[keras.Variable]:
        """What each turn of the loop gets a row of."""
        bias = [] if self.stacked_bias is None else [self.stacked_bias]
        factors = [] if self.lora is None else self.lora.variables
        return [*self.stacked, *bias, *factors]

    def _body(
        self,
        padding_mask: Tensor | None,
        use_causal_mask: bool,
        training: bool | None,
    ) -> Callable[..., tuple[Tensor, tuple]]:
        """One turn of the loop: the block with the weights of one layer."""
        block = self.__dict__[BLOCK]
        bias = _balance_bias(block)
        state = block.non_trainable_variables
        constants = [v.value for v in state]
        count = len(block.trainable_variables)
        first_factor = count + (bias is not None)
        lora = self.lora

        def run(x: Tensor, weights: list, dropout_seeds: Tensor | None):
            of_block = weights[:count]
            if lora is not None:
                of_block = lora.add_to(of_block, weights[first_factor:])
            outputs, new_state = block.stateless_call(
                of_block,
                # The bias of this layer comes with its weights.
                [
                    weights[count] if v is bias else constant
                    for v, constant in zip(state, constants)
                ],
                x,
                padding_mask=padding_mask,
                dropout_seeds=dropout_seeds,
                use_causal_mask=use_causal_mask,
                return_report=self.is_routed,
                training=training,
            )
            if not self.is_routed:
                return outputs, ()
            x, report = outputs
            if bias is None:
                return x, tuple(report)
            new = dict(zip(map(id, state), new_state))
            return x, (*report, new[id(bias)])

        return run

    def _scans(self) -> bool:
        # Asked at call time: a config moves between backends.
        if self.scan_layers is None:
            return keras.config.backend() == "jax" and self.num_layers > 1
        return self.scan_layers

    def _stack(
        self, variables: tuple[keras.Variable, ...], trainable: bool = True
    ) -> keras.Variable:
        """One variable that holds the same weight of every block."""
        first = variables[0]

        def initial(shape, dtype=None):
            return ops.stack([ops.cast(v.value, dtype) for v in variables])

        return self.add_weight(
            name="_".join(first.path.split("/")[-2:]),
            shape=(self.num_layers, *first.shape),
            dtype=first.dtype,
            initializer=initial,
            trainable=trainable,
            # The block casts what it multiplies; its norms and its router
            # take float32.
            autocast=False,
        )


def _balance_bias(block: EncoderBlock) -> keras.Variable | None:
    return getattr(block.feed_forward, "balance_bias", None)
