"""Feed-forward layers of many experts, of which each token meets a few.

Three ways to assign tokens to experts; `routing.py` decides each of them, and
`base.py` has what they share.
"""

import keras
from keras import ops

from keras_imp._errors import (
    check_positive,
    message,
)
from keras_imp.layers._runtime.frozen_rows import frozen_rows_of
from keras_imp.layers._runtime.replicas import check_whole_batch
from keras_imp.layers.moe import routing
from keras_imp.layers.moe.base import RouteResult, SparseFeedForward
from keras_imp.layers.moe.statistics import load_loss
from keras_imp.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_imp")
class ExpertChoiceMoE(SparseFeedForward):
    """A feed-forward layer with expert-choice routing.

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
            `dropout`, `use_bias`, `activation`, `dispatch`, `variant`, `seed`;
            and those of `keras.layers.Layer`.

    Call arguments:
        tokens: Shape `(batch, tokens, hidden_dim)`.
        padding_mask: True where a token is real, shape `(batch, tokens)`.
            Padding never takes a slot, and its output is 0.
        mask: Keras' own mask, such as that of `Embedding(mask_zero=True)`;
            Keras hands it in. Used where there is no `padding_mask`.
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
        docs/method.md, Mixture of experts;
        [Zhou et al., 2022](https://arxiv.org/abs/2202.09368).
    """

    @property
    def active_fraction(self) -> float:
        return min(1.0, self.capacity_factor / self.num_experts)

    def _route(self, groups, logits, dropout_seed, training):
        tokens, padding_mask = groups
        capacity = self._capacity(tokens.shape[1])
        if capacity == 0:
            return RouteResult(ops.zeros_like(tokens), ops.zeros_like(logits))
        assignment = routing.expert_choice(
            ops.softmax(logits, axis=-1),
            capacity,
            padding_mask,
            self._live_slots(padding_mask),
        )
        return RouteResult(*self._apply(tokens, assignment, dropout_seed))


@keras.saving.register_keras_serializable(package="keras_imp")
class TokenChoiceMoE(SparseFeedForward):
    """A feed-forward layer with token-choice routing.

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
        mask: Keras' own mask, such as that of `Embedding(mask_zero=True)`;
            Keras hands it in. Used where there is no `padding_mask`.
        dropout_seed: Seed to use instead of the layer's own, shape `(2,)`.
        use_causal_mask: Whether later tokens must not change the output;
            refused under `batch_priority`. The capacity still grows with the
            number of tokens.
        return_report: Whether to return a `RoutingReport` too; its loss is
            then not added to the model's.
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
        docs/method.md, Mixture of experts;
        [Switch Transformer](https://arxiv.org/abs/2101.03961);
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
        self.balance_bias: keras.Variable | None = None
        self.sees_the_future = batch_priority

    @property
    def active_fraction(self) -> float:
        return self.num_selected / self.num_experts

    def build(self, tokens_shape, **kwargs):
        super().build(tokens_shape, **kwargs)
        if self.balance_rate:
            self.balance_bias = self.add_weight(
                name="balance_bias",
                shape=(self.num_experts,),
                initializer="zeros",
                trainable=False,
                # The nudges are too small to be added in half precision.
                dtype="float32",
                autocast=False,
            )

    def _route(self, groups, logits, dropout_seed, training):
        tokens, padding_mask = groups
        probabilities = ops.softmax(logits, axis=-1)
        choices = routing.choose_experts(
            probabilities, self.num_selected, padding_mask, self._bias()
        )
        if training and self._trains_router() and self.balance_bias is not None:
            self._balance(self.balance_bias, choices)
        loss = load_loss(probabilities, choices, padding_mask)
        losses = (self._load_loss_weight() * loss,)
        capacity = self._capacity(tokens.shape[1])
        if capacity == 0:
            outputs, weights = ops.zeros_like(tokens), ops.zeros_like(logits)
            return RouteResult(outputs, weights, losses)
        assignment = routing.token_choice(
            probabilities,
            choices,
            capacity,
            self.batch_priority,
            self._live_slots(padding_mask),
        )
        outputs, weights = self._apply(tokens, assignment, dropout_seed)
        return RouteResult(outputs, weights, losses)

    def _trains_router(self) -> bool:
        """Whether the router is not frozen: else its balance stays too."""
        # Frozen as a whole or not: a stack has the routers of several layers.
        frozen = frozen_rows_of(self.router)
        return self.router.trainable and (frozen is None or not frozen.all())

    def _bias(self) -> Tensor | None:
        if self.balance_bias is None:
            return None
        return ops.convert_to_tensor(self.balance_bias)

    def _balance(self, bias: keras.Variable, choices: Tensor) -> None:
        """Nudge the bias of the next step by the load of this one."""
        check_whole_batch(
            "`balance_rate` must be 0 where replicas share a batch: each "
            "would balance the load of its own rows.",
            balance_rate=self.balance_rate,
        )
        chosen = ops.cast(choices >= 0, "float32")
        nudged = routing.balanced_bias(
            ops.convert_to_tensor(bias),
            ops.sum(chosen, axis=(0, 1)),
            self.balance_rate,
        )
        bias.assign(ops.stop_gradient(nudged))

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
        mask: Keras' own mask, such as that of `Embedding(mask_zero=True)`;
            Keras hands it in. Used where there is no `padding_mask`.
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
        docs/method.md, Mixture of experts;
        [Puigcerver et al., 2023](https://arxiv.org/abs/2308.00951).
    """

    mixes_tokens = True

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

    @property
    def active_fraction(self) -> float:
        return 1.0

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
        router = ops.cast(self.router, x.dtype)
        norm = ops.rsqrt(ops.sum(router * router, axis=0) + 1e-6)
        return ops.matmul(x, router * norm) * ops.cast(self.scale, x.dtype)

    def _route(self, groups, logits, dropout_seed, training):
        tokens, padding_mask = groups
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
        return RouteResult(outputs, weights)
