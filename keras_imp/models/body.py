"""All layers of the encoder in a row, and what the routed ones report."""

from keras import ops

from keras_imp._errors import message
from keras_imp.layers._runtime.replicas import defer_all_reduce, replicas
from keras_imp.layers.encoder_stack import EncoderStack
from keras_imp.layers.moe.base import SparseFeedForward
from keras_imp.layers.moe.grouping import check_known
from keras_imp.layers.moe.report import RoutingReport
from keras_imp.layers.moe.reporting import ReportingLayer
from keras_imp.layers.moe.spec import MoESpec
from keras_imp.models.modalities import check_modality
from keras_imp.models.sparse.placement import Run
from keras_imp.typing import Tensor


class EncoderBody(ReportingLayer):
    """A stack for each run of layers of one kind.

    It adds the routed layers' losses, and reports for each modality what they
    did.

    Args:
        runs: Dense and routed layers, from the first to the last.
        num_heads: Number of attention heads.
        intermediate_dim: Width inside the dense feed-forward networks.
        feed_forward: The routed layer of each routed block; None if no layer
            is routed.
        modalities: Names of the modalities to count for.
        qk_layer_norm: Whether queries and keys are normalized per head.
        dropout: Dropout rate.
        dropout_broadcast: Whether to drop whole heads and channels.
        use_bias: Whether dense layers and norms have biases.
        activation: Of the dense feed-forward networks.
        layer_norm_epsilon: Epsilon of the norms.
        causal: Names of the modalities in which no token attends to one after
            it.
        qkv_init: Initialization of queries, keys and values.
        scan_layers: As for `EncoderStack`.
        remat: As for `EncoderStack`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`, `dtype`.

    Call arguments:
        tokens: Shape `(batch, tokens, hidden_dim)`.
        modality: What the tokens are of; None if the caller reports, and no
            modality is causal.
        padding_mask: True where a token is real, shape `(batch, tokens)`.
        passes: How many passes this one stands for: its losses are added as
            often.
        training: Whether to apply dropout and to add losses.

    Returns:
        Tokens, in shape and dtype of `tokens`, and the `RoutingReport` of all
        routed layers, each value with a layer axis first, or None.

    Raises:
        ValueError: If the modality is none of `modalities`, or is not given
            where some are causal.
    """

    def __init__(
        self,
        runs: list[Run],
        num_heads: int,
        intermediate_dim: int,
        feed_forward: SparseFeedForward | MoESpec | None,
        modalities: tuple[str, ...],
        qk_layer_norm: bool = False,
        dropout: float = 0.0,
        dropout_broadcast: bool = False,
        use_bias: bool = False,
        activation: str = "gelu_tanh",
        layer_norm_epsilon: float = 1e-6,
        causal: tuple[str, ...] = (),
        qkv_init: str = "conventional",
        scan_layers: bool | None = None,
        remat: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.modalities = modalities
        self.causal = causal
        self.feed_forward = MoESpec.of(feed_forward)
        self.stacks = [
            EncoderStack(
                len(run.layers),
                num_heads,
                None if run.is_routed else intermediate_dim,
                feed_forward=self.feed_forward if run.is_routed else None,
                qk_layer_norm=qk_layer_norm,
                dropout=dropout,
                dropout_broadcast=dropout_broadcast,
                use_bias=use_bias,
                activation=activation,
                layer_norm_epsilon=layer_norm_epsilon,
                qkv_init=qkv_init,
                scan_layers=scan_layers,
                remat=remat,
                dtype=self.dtype_policy,
                name="sparse_stack" if run.is_routed else "stack",
            )
            for run in runs
        ]
        self.routed_layers = tuple(
            layer for run in runs if run.is_routed for layer in run.layers
        )
        for stack in self.stacks:
            stack.reports_routing = False  # This layer does.

    @property
    def is_routed(self) -> bool:
        """Whether any layer has experts."""
        return self.feed_forward is not None

    def build(self, tokens_shape):
        for stack in self.stacks:
            stack.build(tokens_shape)
        if self.feed_forward is not None:
            names = [f"layer_{layer}" for layer in self.routed_layers]
            self.create_totals(
                names, self.feed_forward.num_experts, self.modalities
            )

    def call(
        self,
        tokens: Tensor,
        modality: str | None = None,
        padding_mask: Tensor | None = None,
        passes: int = 1,
        training: bool | None = None,
    ) -> tuple[Tensor, RoutingReport | None]:
        if modality is not None:
            check_modality(modality, self.modalities)
        else:
            self.check_shared_pass()
        x, reports = tokens, []
        options = {
            "padding_mask": padding_mask,
            "use_causal_mask": modality in self.causal,
            "training": training,
        }
        for stack in self.stacks:
            if stack.is_routed:
                x, report = stack(x, return_report=True, **options)
                reports.append(report)
            else:
                x = stack(x, **options)
        if not reports:
            return x, None
        report = RoutingReport(
            *(ops.concatenate(parts) for parts in zip(*reports, strict=True))
        )
        if training:
            self.add_loss(passes * ops.sum(report.loss))
            if padding_mask is not None and replicas().deferred is not None:
                _count_tokens_alike(
                    ops.sum(report.z_loss) * passes * self._z_loss_weight(),
                    padding_mask,
                )
        if modality is not None:
            self.report_routing(report, training, modality, padding_mask)
        return x, report

    def check_shared_pass(self) -> None:
        """Raise unless several modalities can share a pass.

        Raises:
            ValueError: If one of them is causal.
        """
        if self.causal:
            raise ValueError(
                message(
                    "Several inputs must not share a pass where one of them "
                    "is causal.",
                    "Use AlternatingModel, or CombinedModel without "
                    'strategy="padded".',
                    causal=self.causal,
                )
            )

    def check_length(self, tokens: Tensor) -> None:
        """Raise if routed layers need a number of tokens that is not known.

        Args:
            tokens: Symbolic, shape `(batch, tokens, hidden_dim)`.

        Raises:
            ValueError: If they do.
        """
        if self.feed_forward is not None and tokens.shape[1] is None:
            check_known(tokens, self.feed_forward.config["group_size"])

    def _z_loss_weight(self) -> float:
        return self.feed_forward.router_z_loss if self.feed_forward else 0.0


def _count_tokens_alike(z_loss: Tensor, padding_mask: Tensor) -> None:
    """Correct the losses where one replica has more tokens than another.

    The z-loss is a mean over tokens, a step's loss one over replicas.
    """
    tokens = ops.sum(ops.cast(padding_mask, "float32"))

    def extra_loss(means):
        return (tokens / ops.maximum(means[0], 1e-6) - 1.0) * z_loss

    defer_all_reduce([tokens], extra_loss)
