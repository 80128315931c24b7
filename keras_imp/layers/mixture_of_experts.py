"""Feed-forward layers of many experts, of which each token meets a few.

One call reads from top to bottom in `SparseFeedForward.call`: group, ask the
router, assign slots, carry tokens to the experts and back, report. What
differs between the three layers is the assignment; `routing.py` decides it.
"""

from typing import Any, NamedTuple

import keras
from keras import ops

from keras_imp._errors import (
    check_choice,
    check_positive,
    check_rate,
    message,
)
from keras_imp.layers import _dispatch, routing
from keras_imp.layers._config import arguments_of
from keras_imp.layers._device import runs_on
from keras_imp.layers._grouping import (
    check_known,
    group,
    imp_group_size,
    ungroup,
)
from keras_imp.layers._seeds import GivenSeed, draw_seeds
from keras_imp.layers._seeds import dropout as seeded_dropout
from keras_imp.layers.dense import lecun_normal
from keras_imp.layers.feed_forward import FeedForward
from keras_imp.typing import Tensor


class RoutingReport(NamedTuple):
    """What one routed layer did with one batch.

    Attributes:
        loss: Weighted auxiliary losses to be added to the task's loss.
        z_loss: The z-loss before its weight.
        load: Each expert's share of the (token, expert) pairs, shape `(e,)`.
        importance: Each expert's share of the gates, shape `(e,)`.
        left_behind: Share of the real tokens that no expert took.
        confidence: Mean gate of a (token, expert) pair.
        weights: Gate of each token and expert, 0 where they do not meet,
            float32, shape `(batch, tokens, e)`.
        bias: Bias of each expert for the next step, shape `(e,)`.
    """

    loss: Tensor
    z_loss: Tensor
    load: Tensor
    importance: Tensor
    left_behind: Tensor
    confidence: Tensor
    weights: Tensor
    bias: Tensor


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


class SparseFeedForward(keras.layers.Layer):
    """Base of the routed layers. Use one of the subclasses.

    Args:
        num_experts: Number of experts.
        intermediate_dim: Width inside each expert.
        capacity_factor: Slots of all experts together, per real token; 1 does
            as much work as the dense layer.
        group_size: In which group tokens compete for slots: None for each
            example alone, so that no output depends on the batch; a number of
            tokens; or `"batch"`.
        router_z_loss: Weight of the router's z-loss.
        router_jitter: The router's input is multiplied by uniform noise in
            [1 - jitter, 1 + jitter] in training.
        shared_expert: Whether one more expert takes every token, with the
            share that the gates leave: 1 - their sum. It costs as much as a
            dense layer; no token is left with nothing.
        dropout: Rate inside the experts.
        use_bias: Whether the experts have biases. The router has none.
        dispatch: How tokens travel: `"gather"`, `"one_hot"` or `"auto"`, the
            faster one for the device; the numbers are the same.
        variant: `"fixed"`, or `"imp"` for the first implementation: groups of
            2048 tokens over examples, a capacity that may round to 0, and
            padding that competes for slots.
        seed: Seed of dropout and jitter. Defaults to a random one.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`, `dtype`.
    """

    # Whether a token's output depends on tokens after it.
    sees_the_future = True

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
        dispatch: str = "auto",
        variant: str = "fixed",
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(
            num_experts=num_experts,
            intermediate_dim=intermediate_dim,
            capacity_factor=capacity_factor,
        )
        check_rate(router_jitter=router_jitter, dropout=dropout)
        check_choice(("auto", "gather", "one_hot"), dispatch=dispatch)
        check_choice(("fixed", "imp"), variant=variant)
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
        self.dispatch = dispatch
        self.variant = variant
        self.seed = seed
        if self.uses_seeds:
            self.seed_generator = keras.random.SeedGenerator(seed)

    @property
    def uses_seeds(self) -> bool:
        """Whether training draws random numbers."""
        return self.dropout > 0 or self.router_jitter > 0

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
            dtype=self.dtype_policy,
            name="experts",
        )
        self.experts.build((self.num_experts, None, width))
        if self.shared_expert:
            self.shared = FeedForward(
                self.intermediate_dim,
                dropout=self.dropout,
                use_bias=self.use_bias,
                dtype=self.dtype_policy,
                name="shared",
            )
            self.shared.build((None, None, width))

    def call(
        self,
        tokens: Tensor,
        padding_mask: Tensor | None = None,
        dropout_seed: Tensor | None = None,
        use_causal_mask: bool = False,
        return_report: bool = False,
        training: bool | None = None,
    ):
        self._check_call(tokens, padding_mask, use_causal_mask)
        size = self._group_size(tokens)
        if self.variant == "imp":
            padding_mask = None
        grouped = group(tokens, padding_mask, size)
        seed = self._seed(dropout_seed, training)
        logits = self._logits(grouped.tokens, seed)
        outputs, weights, losses, bias = self._route(
            grouped.tokens,
            logits,
            grouped.padding_mask,
            seed if self.dropout else None,
        )
        weights = ungroup(weights, tokens, size)
        outputs = ungroup(outputs, tokens, size)
        if self.shared_expert:
            outputs = outputs + self._share(
                tokens, padding_mask, weights, seed, training
            )
        z_loss = routing.router_z_loss(logits, grouped.padding_mask)
        loss = sum(losses, self.router_z_loss * z_loss)
        if not return_report:
            if training:
                self.add_loss(loss)
                self._set_bias(bias)
            return outputs
        counts = routing.statistics(ops.stop_gradient(weights), padding_mask)
        return outputs, RoutingReport(loss, z_loss, *counts, weights, bias)

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
        tokens: Tensor,
        logits: Tensor,
        padding_mask: Tensor | None,
        dropout_seed: Tensor | None,
    ) -> tuple[Tensor, Tensor, list[Tensor], Tensor]:
        """Outputs, gates (g, s, e), weighted losses, bias of the next step."""
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
        rows = ops.matmul(ops.reshape(x, (-1, x.shape[-1])), self.router)
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
        one_hot = _dispatch.chooses_one_hot(
            self.dispatch, tokens.shape[1], self._on_tpu
        )
        slots = _dispatch.to_slots(tokens, assignment, one_hot)
        slots = self.experts(slots, dropout_seed=dropout_seed)
        outputs = _dispatch.from_slots(slots, tokens, assignment, one_hot)
        return outputs, _dispatch.token_gates(assignment, tokens.shape[1])

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

    def _set_bias(self, bias: Tensor) -> None:
        """Keep the bias of the next step; only token choice has one."""

    def _group_size(self, tokens: Tensor) -> int | None:
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


@keras.saving.register_keras_serializable(package="keras_imp")
class ExpertChoiceMoE(SparseFeedForward):
    """A feed-forward layer whose experts choose their tokens.

    Each expert takes the tokens of a group that want it most, as many as it
    has slots; it is always full, so nothing needs to be balanced. A token may
    be taken by several experts (their outputs are summed, weighted by the
    router's probabilities), or by none (the output is 0).

    By default a group is one example: its output does not depend on the batch.

    Args:
        num_experts: Number of experts.
        intermediate_dim: Width inside each expert.
        **kwargs: Arguments of `SparseFeedForward`: `capacity_factor`,
            `group_size`, `router_z_loss`, `router_jitter`, `shared_expert`,
            `dropout`, `use_bias`, `dispatch`, `variant`, `seed`; and those of
            `keras.layers.Layer`.

    Call arguments:
        tokens: Shape `(batch, tokens, hidden_dim)`.
        padding_mask: True where a token is real, shape `(batch, tokens)`.
            Padding never takes a slot, and its output is 0.
        dropout_seed: Seed to use instead of the layer's own, shape `(2,)`.
        use_causal_mask: Refused if True: expert choice sees the future.
        return_report: Whether to return a `RoutingReport` too; its loss is
            then not added to the model's.
        training: Whether to apply dropout and jitter, and to add the losses.

    Returns:
        Shape and dtype of `tokens`; with `return_report` a pair.

    Raises:
        ValueError: If the size of a group is unknown, a mask has another
            rank, or a causal mask is asked for.

    Example:
        >>> import keras, keras_imp
        >>> layer = keras_imp.layers.ExpertChoiceMoE(4, intermediate_dim=16)
        >>> tokens = keras.random.normal((2, 6, 8))
        >>> tuple(layer(tokens).shape)
        (2, 6, 8)
        >>> _, report = layer(tokens, return_report=True)
        >>> tuple(report.weights.shape)
        (2, 6, 4)

    Reference:
        imp.md 5.3; [Zhou et al., 2022](https://arxiv.org/abs/2202.09368).
    """

    def _route(self, tokens, logits, padding_mask, dropout_seed):
        capacity = self._capacity(tokens.shape[1])
        if capacity == 0:
            nothing = ops.zeros_like(logits)
            return ops.zeros_like(tokens), nothing, [], nothing[0, 0]
        assignment = routing.expert_choice(
            ops.softmax(logits, axis=-1),
            capacity,
            padding_mask,
            self._live_slots(padding_mask),
        )
        outputs, weights = self._apply(tokens, assignment, dropout_seed)
        return outputs, weights, [], ops.zeros((self.num_experts,))


@keras.saving.register_keras_serializable(package="keras_imp")
class TokenChoiceMoE(SparseFeedForward):
    """A feed-forward layer whose tokens choose their experts.

    Each token asks for its `num_selected` most probable experts; a choice that
    finds its expert full is dropped. Two ways keep the experts equally loaded:
    a loss, or a bias per expert that is nudged by its load.

    Args:
        num_experts: Number of experts.
        intermediate_dim: Width inside each expert.
        num_selected: Experts that a token chooses.
        batch_priority: Whether tokens with a higher top probability come
            first, instead of those at the front of their group.
        load_loss_weight: Weight of the load loss. Defaults to 0.01; 1 under
            `variant="imp"`; 0 where `balance_rate` is set.
        balance_rate: Nudge of the bias per training step, such as 1e-3. 0:
            there is no bias.
        **kwargs: Arguments of `SparseFeedForward`, see `ExpertChoiceMoE`.

    Call arguments:
        tokens: Shape `(batch, tokens, hidden_dim)`.
        padding_mask: True where a token is real, shape `(batch, tokens)`.
        dropout_seed: Seed to use instead of the layer's own, shape `(2,)`.
        use_causal_mask: Whether later tokens must not change the output;
            refused under `batch_priority`. The capacity still grows with the
            number of tokens.
        return_report: Whether to return a `RoutingReport` too; its loss is
            then not added to the model's, its bias not kept.
        training: Whether to apply dropout and jitter, and to add the losses.

    Returns:
        Shape and dtype of `tokens`; with `return_report` a pair.

    Raises:
        ValueError: As `ExpertChoiceMoE`, or if `num_selected` is not in [1,
            num_experts].

    Example:
        >>> import keras, keras_imp
        >>> layer = keras_imp.layers.TokenChoiceMoE(
        ...     4, intermediate_dim=16, num_selected=2, capacity_factor=2.0)
        >>> tuple(layer(keras.random.normal((2, 6, 8))).shape)
        (2, 6, 8)

    Reference:
        imp.md 5.4; [Switch Transformer](https://arxiv.org/abs/2101.03961);
        bias: [Wang et al., 2024](https://arxiv.org/abs/2408.15664).
    """

    def __init__(
        self,
        num_experts: int,
        intermediate_dim: int,
        num_selected: int = 1,
        batch_priority: bool = False,
        load_loss_weight: float | None = None,
        balance_rate: float = 0.0,
        **kwargs,
    ):
        super().__init__(num_experts, intermediate_dim, **kwargs)
        if not 1 <= num_selected <= num_experts:
            raise ValueError(
                message(
                    "`num_selected` must be in [1, num_experts].",
                    num_selected=num_selected,
                    num_experts=num_experts,
                )
            )
        self.num_selected = num_selected
        self.batch_priority = batch_priority
        self.load_loss_weight = load_loss_weight
        self.balance_rate = balance_rate
        self.balance_bias = None
        self.sees_the_future = batch_priority

    def build(self, tokens_shape, **kwargs):
        super().build(tokens_shape, **kwargs)
        if self.balance_rate:
            self.balance_bias = self.add_weight(
                name="balance_bias",
                shape=(self.num_experts,),
                initializer="zeros",
                trainable=False,
                autocast=False,
            )

    def _route(self, tokens, logits, padding_mask, dropout_seed):
        probabilities = ops.softmax(logits, axis=-1)
        bias = self._bias()
        choices = routing.choose_experts(
            probabilities, self.num_selected, padding_mask, bias
        )
        loss = routing.load_loss(probabilities, choices, padding_mask)
        losses = [self._load_loss_weight() * loss]
        if bias is not None:
            chosen = ops.cast(choices >= 0, "float32")
            bias = routing.balanced_bias(
                bias, ops.sum(chosen, axis=(0, 1)), self.balance_rate
            )
        else:
            bias = ops.zeros((self.num_experts,))
        capacity = self._capacity(tokens.shape[1])
        if capacity == 0:
            outputs, weights = ops.zeros_like(tokens), ops.zeros_like(logits)
            return outputs, weights, losses, bias
        assignment = routing.token_choice(
            probabilities,
            choices,
            capacity,
            self.batch_priority,
            self._live_slots(padding_mask),
        )
        outputs, weights = self._apply(tokens, assignment, dropout_seed)
        return outputs, weights, losses, bias

    def _bias(self) -> Tensor | None:
        if self.balance_bias is None:
            return None
        return ops.convert_to_tensor(self.balance_bias)

    def _set_bias(self, bias: Tensor) -> None:
        if self.balance_bias is not None:
            self.balance_bias.assign(ops.stop_gradient(bias))

    def _load_loss_weight(self) -> float:
        if self.load_loss_weight is not None:
            return self.load_loss_weight
        if self.balance_rate:
            return 0.0
        return 1.0 if self.variant == "imp" else 0.01


@keras.saving.register_keras_serializable(package="keras_imp")
class SoftMoE(SparseFeedForward):
    """A feed-forward layer whose experts work on mixtures of all tokens.

    Each slot is a mean of the tokens of a group, each output a mean of the
    slots, weighted by a softmax. Nothing is dropped and nothing needs to be
    balanced; a group is one example. There is no capacity factor: the work is
    `num_experts * slots_per_expert` rows per example.

    Args:
        num_experts: Number of experts.
        intermediate_dim: Width inside each expert.
        slots_per_expert: Slots of each expert for each example.
        **kwargs: Arguments of `SparseFeedForward`, see `ExpertChoiceMoE`;
            `capacity_factor`, `group_size` and `dispatch` have no effect and
            are refused, as is `shared_expert`: the gates leave nothing.

    Call arguments:
        tokens: Shape `(batch, tokens, hidden_dim)`.
        padding_mask: True where a token is real, shape `(batch, tokens)`.
        dropout_seed: Seed to use instead of the layer's own, shape `(2,)`.
        use_causal_mask: Refused if True: every slot sees every token.
        return_report: Whether to return a `RoutingReport` too; its loss is
            then not added to the model's.
        training: Whether to apply dropout and jitter, and to add the losses.

    Returns:
        Shape and dtype of `tokens`; with `return_report` a pair.

    Raises:
        ValueError: As `ExpertChoiceMoE`.

    Example:
        >>> import keras, keras_imp
        >>> layer = keras_imp.layers.SoftMoE(
        ...     4, intermediate_dim=16, slots_per_expert=2)
        >>> tuple(layer(keras.random.normal((2, 6, 8))).shape)
        (2, 6, 8)

    Reference:
        imp.md 5.4; [Puigcerver et al., 2023](https://arxiv.org/abs/2308.00951).
    """

    def __init__(
        self,
        num_experts: int,
        intermediate_dim: int,
        slots_per_expert: int = 32,
        router_z_loss: float = 0.0,
        **kwargs,
    ):
        super().__init__(
            num_experts, intermediate_dim, router_z_loss=router_z_loss, **kwargs
        )
        check_positive(slots_per_expert=slots_per_expert)
        self.slots_per_expert = slots_per_expert
        defaults = {
            "capacity_factor": 1.0,
            "group_size": None,
            "dispatch": "auto",
            "shared_expert": False,
        }
        for name, default in defaults.items():
            if kwargs.get(name, default) != default:
                raise ValueError(
                    message(
                        f"`{name}` must not be given to SoftMoE: it has no "
                        "effect there.",
                        "Set `slots_per_expert`.",
                        **{name: kwargs[name]},
                    )
                )

    def build(self, tokens_shape, **kwargs):
        super().build(tokens_shape, **kwargs)
        self.scale = self.add_weight(
            name="scale", shape=(), initializer="ones", autocast=False
        )

    def _group_size(self, tokens: Tensor) -> None:
        return None

    def _router_outputs(self) -> int:
        return self.num_experts * self.slots_per_expert

    def _project(self, x: Tensor) -> Tensor:
        x = x * ops.rsqrt(ops.sum(x * x, axis=-1, keepdims=True) + 1e-6)
        router = ops.convert_to_tensor(self.router)
        norm = ops.rsqrt(ops.sum(router * router, axis=0) + 1e-6)
        return ops.matmul(x, router * norm) * self.scale

    def _route(self, tokens, logits, padding_mask, dropout_seed):
        dispatch, combine = routing.soft_routing(logits, padding_mask)
        width, count = tokens.shape[-1], self.slots_per_expert
        # einsum legend: g groups, s tokens, n slots, d width.
        slots = ops.einsum(
            "gsn,gsd->gnd", ops.cast(dispatch, tokens.dtype), tokens
        )
        slots = ops.reshape(slots, (-1, self.num_experts, count, width))
        slots = ops.transpose(slots, (1, 0, 2, 3))
        shape = ops.shape(slots)
        slots = ops.reshape(slots, (self.num_experts, -1, width))
        slots = self.experts(slots, dropout_seed=dropout_seed)
        slots = ops.transpose(ops.reshape(slots, shape), (1, 0, 2, 3))
        slots = ops.reshape(slots, (-1, self.num_experts * count, width))
        outputs = ops.einsum(
            "gsn,gnd->gsd", ops.cast(combine, slots.dtype), slots
        )
        weights = ops.sum(
            ops.reshape(
                combine, (-1, tokens.shape[1], self.num_experts, count)
            ),
            axis=-1,
        )
        return outputs, weights, [], ops.zeros((self.num_experts,))


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
