"""What all feed-forward layers of many experts share: the way of a token.

One call reads from top to bottom in `SparseFeedForward.call`: group, ask the
router, assign slots, carry tokens to the experts and back, report. What
differs between its subclasses in `mixture_of_experts.py` is the assignment.
"""

from typing import Any, NamedTuple

import keras
from keras import ops

from keras_imp._errors import check_choice, check_positive, check_rate, message
from keras_imp.layers._runtime.activations import ACTIVATIONS
from keras_imp.layers._runtime.config import arguments_of
from keras_imp.layers._runtime.device import runs_on
from keras_imp.layers._runtime.replicas import check_whole_batch
from keras_imp.layers._runtime.seeds import GivenSeed, draw_seeds
from keras_imp.layers.feed_forward import FeedForward
from keras_imp.layers.moe import dispatch, routing
from keras_imp.layers.moe.experts import Experts
from keras_imp.layers.moe.grouping import (
    Groups,
    check_known,
    group,
    imp_group_size,
    ungroup,
)
from keras_imp.layers.moe.report import RoutingReport
from keras_imp.layers.moe.reporting import ReportingLayer
from keras_imp.layers.moe.statistics import (
    router_z_loss,
    routing_statistics,
)
from keras_imp.typing import Tensor


class RouteResult(NamedTuple):
    """What became of the tokens of each group.

    Attributes:
        outputs: Of the experts, weighted and summed, shape `(g, s, d)`.
        weights: Gate of each token and expert, 0 where they do not meet,
            float32, shape `(g, s, e)`.
        losses: Weighted auxiliary losses of the router, without the z-loss.
    """

    outputs: Tensor
    weights: Tensor
    losses: tuple[Tensor, ...] = ()


class SparseFeedForward(ReportingLayer):
    """Base of the routed layers. Use one of the subclasses.

    Args:
        num_experts: Number of experts.
        intermediate_dim: Width inside each expert.
        capacity_factor: Expert capacity factor: each expert has
            ceil(capacity_factor * tokens / num_experts) slots for the real
            tokens of a group; 1.0 matches the work of the dense layer.
        group_size: In which group tokens compete for slots: None for each
            example alone, so that no output depends on the batch; a number of
            tokens; or `"batch"`.
        router_z_loss: Weight of the router's z-loss.
        router_jitter: The router's input is multiplied by uniform noise in
            [1 - jitter, 1 + jitter] in training.
        shared_expert: Whether one more expert takes every token, with the
            fraction that the gates leave: 1 - their sum. It costs as much as a
            dense layer; no token is left with nothing.
        dropout: Rate inside the experts.
        use_bias: Whether the experts have biases. The router has none.
        activation: As for `FeedForward`.
        dispatch: How tokens travel: `"gather"`, `"one_hot"` or `"auto"`, the
            faster one for the device; the results are the same.
        variant: `"fixed"`, or `"imp"` for the first implementation: groups of
            2048 tokens over examples, a capacity that may round to 0, and
            padding that competes for slots.
        seed: Seed of dropout and jitter. Defaults to a random one.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`, `dtype`.
    """

    # Whether a token's output depends on tokens after it.
    sees_the_future = True
    # Whether experts work on mixtures of tokens instead of tokens.
    mixes_tokens = False

    def __init__(
        self,
        num_experts: int,
        intermediate_dim: int,
        capacity_factor: float = 1.0,
        group_size: int | str | None = None,
        router_z_loss: float = 1e-3,
        router_jitter: float = 0.0,
        shared_expert: bool = False,
        dropout: float = 0.0,
        use_bias: bool = False,
        activation: str = "gelu_tanh",
        dispatch: str = "auto",
        variant: str = "fixed",
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        check_positive(
            num_experts=num_experts,
            intermediate_dim=intermediate_dim,
            capacity_factor=capacity_factor,
        )
        check_rate(router_jitter=router_jitter, dropout=dropout)
        check_choice(("auto", "gather", "one_hot"), dispatch=dispatch)
        check_choice(("fixed", "imp"), variant=variant)
        check_choice(ACTIVATIONS, activation=activation)
        _check_group_size(group_size)
        if router_z_loss < 0:
            raise ValueError(
                message(
                    "`router_z_loss` must not be negative.",
                    router_z_loss=router_z_loss,
                )
            )
        self.num_experts = num_experts
        self.intermediate_dim = intermediate_dim
        self.capacity_factor = capacity_factor
        self.group_size = group_size
        self.router_z_loss = router_z_loss
        self.router_jitter = router_jitter
        self.shared_expert = shared_expert
        self.dropout = dropout
        self.use_bias = use_bias
        self.activation = activation
        self.dispatch = dispatch
        self.variant = variant
        self.seed = seed
        if self.uses_seeds:
            self.seed_generator = keras.random.SeedGenerator(seed)

    @property
    def uses_seeds(self) -> bool:
        """Whether training draws random numbers."""
        return self.dropout > 0 or self.router_jitter > 0

    @property
    def active_fraction(self) -> float:
        """Fraction of the experts' weights that a token meets, on average.

        Raises:
            NotImplementedError: If a router does not say so.
        """
        raise NotImplementedError(
            message(
                "A routed layer must have the property `active_fraction`: the "
                "fraction of the experts' weights that a token meets.",
                layer=type(self).__name__,
            )
        )

    def build(self, tokens_shape, **kwargs):
        width = tokens_shape[-1]
        self._on_tpu = runs_on("tpu")
        self.router = self.add_weight(
            name="router_kernel",
            shape=(width, self._router_outputs()),
            initializer=keras.initializers.RandomNormal(stddev=0.02),
            # float32 whatever the compute dtype: half precision rounds the
            # differences that decide who goes where.
            autocast=False,
        )
        self.experts = Experts(
            self.num_experts,
            self.intermediate_dim,
            dropout=self.dropout,
            use_bias=self.use_bias,
            activation=self.activation,
            dtype=self.dtype_policy,
            name="experts",
        )
        self.experts.build((self.num_experts, None, width))
        if self.shared_expert:
            self.shared = FeedForward(
                self.intermediate_dim,
                dropout=self.dropout,
                use_bias=self.use_bias,
                activation=self.activation,
                dtype=self.dtype_policy,
                name="shared",
            )
            self.shared.build((None, None, width))
        self.create_totals(("",), self.num_experts)

    def call(
        self,
        tokens: Tensor,
        padding_mask: Tensor | None = None,
        dropout_seed: Tensor | None = None,
        use_causal_mask: bool = False,
        return_report: bool = False,
        mask: Tensor | None = None,
        training: bool | None = None,
    ):
        if padding_mask is None:
            padding_mask = mask
        self._check_call(tokens, padding_mask, use_causal_mask)
        size = self._group_size(tokens)
        if self.variant == "imp":
            padding_mask = None
        grouped = group(tokens, padding_mask, size)
        seed = self._seed(dropout_seed, training)
        logits = self._logits(grouped.tokens, seed)
        routed = self._route(
            grouped, logits, seed if self.dropout else None, training
        )
        weights = ungroup(routed.weights, tokens, size)
        outputs = ungroup(routed.outputs, tokens, size)
        if self.shared_expert:
            outputs = outputs + self._share(
                tokens, padding_mask, weights, seed, training
            )
        z_loss = router_z_loss(logits, grouped.padding_mask)
        loss = sum(routed.losses, self.router_z_loss * z_loss)
        if not return_report:
            if training:
                self.add_loss(loss)
            if not self.is_asked(training):
                return outputs
        counts = routing_statistics(ops.stop_gradient(weights), padding_mask)
        report = RoutingReport(loss, z_loss, *counts, weights)
        if return_report:
            return outputs, report
        self.report_routing(
            RoutingReport(*(ops.expand_dims(x, 0) for x in report)),
            training,
            padding_mask=padding_mask,
        )
        return outputs

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        # A subclass adds arguments to those of the base.
        for cls in (SparseFeedForward, type(self)):
            config.update(arguments_of(self, cls))
        return config

    def compute_output_spec(self, tokens, *args, return_report=False, **kwargs):
        if return_report:
            return super().compute_output_spec(
                tokens, *args, return_report=True, **kwargs
            )
        return keras.KerasTensor(tokens.shape, dtype=self.compute_dtype)

    # What the subclasses decide --------------------------------------------

    def _router_outputs(self) -> int:
        return self.num_experts

    def _route(
        self,
        groups: Groups,
        logits: Tensor,
        dropout_seed: Tensor | None,
        training: bool | None,
    ) -> RouteResult:
        """Assign the tokens of each group and call the experts on them."""
        raise NotImplementedError

    # Shared steps -----------------------------------------------------------

    def _logits(self, tokens: Tensor, seed: Tensor | None) -> Tensor:
        x = ops.cast(tokens, "float32")
        if seed is not None and self.router_jitter:
            noise = keras.random.uniform(
                ops.shape(x),
                1.0 - self.router_jitter,
                1.0 + self.router_jitter,
                dtype="float32",
                # Another stream than the dropout, which has `seed`.
                seed=GivenSeed(seed + 1),
            )
            x = x * noise
        return self._project(x)

    def _project(self, x: Tensor) -> Tensor:
        router = ops.cast(self.router, x.dtype)
        rows = ops.matmul(ops.reshape(x, (-1, x.shape[-1])), router)
        return ops.reshape(rows, (-1, x.shape[1], rows.shape[-1]))

    def _capacity(self, num_tokens: int) -> int:
        return routing.expert_capacity(
            num_tokens, self.num_experts, self.capacity_factor, self.variant
        )

    def _live_slots(self, padding_mask: Tensor | None) -> Tensor | None:
        if padding_mask is None or self.variant == "imp":
            return None
        return routing.live_slots(
            padding_mask, self.num_experts, self.capacity_factor
        )

    def _apply(
        self,
        tokens: Tensor,
        assignment: routing.Assignment,
        dropout_seed: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Outputs and gates, (g, s, d) and (g, s, e)."""
        one_hot = dispatch.chooses_one_hot(
            self.dispatch, tokens.shape[1], self._on_tpu
        )
        gates = dispatch.token_gates(assignment, tokens.shape[1])
        groups, _, capacity = assignment.tokens.shape
        if not one_hot and self.experts.use_sequential_experts(
            groups, capacity
        ):
            outputs = self.experts.gather_compute_combine(
                ops.reshape(tokens, (-1, tokens.shape[-1])),
                dispatch.rows_by_expert(tokens, assignment),
                dispatch.slot_gates(assignment),
                dropout_seed,
            )
            return ops.reshape(outputs, tokens.shape), gates
        slots = dispatch.to_slots(tokens, assignment, one_hot)
        slots = self.experts(slots, dropout_seed=dropout_seed)
        outputs = dispatch.from_slots(slots, tokens, assignment, one_hot)
        return outputs, gates

    def _share(self, tokens, padding_mask, weights, seed, training) -> Tensor:
        """The shared expert, with what the gates leave."""
        rest = 1.0 - ops.sum(weights, axis=-1, keepdims=True)
        if padding_mask is not None:
            real = ops.cast(padding_mask, "bool")[..., None]
            rest = ops.where(real, rest, 0.0)
        outputs = self.shared(
            tokens,
            dropout_seed=None if seed is None else seed + 2,
            training=training,
        )
        return outputs * ops.cast(rest, outputs.dtype)

    def _seed(self, given: Tensor | None, training) -> Tensor | None:
        if not (training and self.uses_seeds):
            return None
        return draw_seeds(self.seed_generator, ()) if given is None else given

    def _group_size(self, tokens: Tensor) -> int | None:
        if self.variant == "imp" or self.group_size is not None:
            check_whole_batch(
                "Groups must be single examples where replicas share a batch: "
                "others would end where the rows of a replica do.",
                group_size=self.group_size,
                variant=self.variant,
            )
        if self.variant == "imp" or self.group_size == "batch":
            check_known(tokens, "batch")
            count = tokens.shape[0] * tokens.shape[1]
            if self.variant == "imp":
                return imp_group_size(count, self.num_experts)
            return count
        check_known(tokens, self.group_size)
        return None if self.group_size is None else int(self.group_size)

    def _check_call(self, tokens, padding_mask, use_causal_mask) -> None:
        shape = None if padding_mask is None else tuple(padding_mask.shape)
        if shape is not None and len(shape) != 2:
            raise ValueError(
                message(
                    "`padding_mask` must have the shape (batch, tokens).",
                    "A mask of pairs, such as a causal one, has no place in "
                    "a routed layer.",
                    shape=shape,
                )
            )
        if use_causal_mask and self.sees_the_future:
            raise ValueError(
                message(
                    f"{type(self).__name__} must not be used under a causal "
                    "mask: which tokens it serves depends on later tokens.",
                    "Use TokenChoiceMoE without `batch_priority`.",
                    use_causal_mask=True,
                )
            )


def _check_group_size(group_size: int | str | None) -> None:
    if group_size is None or group_size == "batch":
        return
    if isinstance(group_size, str) or group_size < 1:
        raise ValueError(
            message(
                "`group_size` must be None (each example alone), a number of "
                'tokens, or "batch".',
                group_size=group_size,
            )
        )
