"""All layers of the encoder in a row, and what the routed ones report."""

import keras
from keras import ops

from keras_imp.layers._runtime.replicas import defer_all_reduce, replicas
from keras_imp.layers.encoder_stack import EncoderStack
from keras_imp.layers.moe.base import (
    RoutingReport,
    SparseFeedForward,
)
from keras_imp.models.sparse.metric import RoutingMetric
from keras_imp.models.sparse.placement import Run
from keras_imp.typing import Tensor


class EncoderBody(keras.layers.Layer):
    """A stack for each run of layers of one kind.

    It adds the routed layers' losses, and counts for each modality what they
    did: under `fit`, `evaluate` and `predict`, not in a plain call.

    Args:
        runs: Dense and routed layers, from the first to the last.
        num_heads: Number of attention heads.
        intermediate_dim: Width inside the dense feed-forward networks.
        feed_forward: The routed layer, copied into each routed block; None if
            no layer is routed.
        modalities: Names of the modalities to count for.
        qk_layer_norm: Whether queries and keys are normalized per head.
        dropout: Dropout rate.
        dropout_broadcast: Whether to drop whole heads and channels.
        qkv_init: Initialization of queries, keys and values.
        scan_layers: As for `EncoderStack`.
        remat: As for `EncoderStack`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`, `dtype`.

    Call arguments:
        tokens: Shape `(batch, tokens, hidden_dim)`.
        modality: What the tokens are of; None if the caller counts.
        padding_mask: True where a token is real, shape `(batch, tokens)`.
        passes: How many passes this one stands for: its losses are added as
            often.
        training: Whether to apply dropout and to add losses.

    Returns:
        Tokens, in shape and dtype of `tokens`, and the `RoutingReport` of all
        routed layers, each value with a layer axis first, or None.
    """

    def __init__(
        self,
        runs: list[Run],
        num_heads: int,
        intermediate_dim: int,
        feed_forward: SparseFeedForward | None,
        modalities: tuple[str, ...],
        qk_layer_norm: bool = False,
        dropout: float = 0.0,
        dropout_broadcast: bool = False,
        qkv_init: str = "conventional",
        scan_layers: bool | None = None,
        remat: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.stacks = [
            EncoderStack(
                len(run.layers),
                num_heads,
                None if run.is_routed else intermediate_dim,
                feed_forward=feed_forward if run.is_routed else None,
                qk_layer_norm=qk_layer_norm,
                dropout=dropout,
                dropout_broadcast=dropout_broadcast,
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
        self.z_loss_weight = feed_forward.router_z_loss if feed_forward else 0.0
        # In a layer, not in the model: Keras leaves out the metrics of a model
        # inside of another one.
        self.routing_metrics = {}
        if feed_forward is not None:
            self.routing_metrics = {
                name: RoutingMetric(
                    name, self.routed_layers, feed_forward.num_experts
                )
                for name in modalities
            }

    def build(self, tokens_shape):
        for stack in self.stacks:
            stack.build(tokens_shape)

    def call(
        self,
        tokens: Tensor,
        modality: str | None = None,
        padding_mask: Tensor | None = None,
        passes: int = 1,
        training: bool | None = None,
    ) -> tuple[Tensor, RoutingReport | None]:
        x, reports = tokens, []
        for stack in self.stacks:
            options = {"padding_mask": padding_mask, "training": training}
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
                self._count_tokens_alike(report, padding_mask, passes)
        if modality is not None:
            self.count(modality, report, training, padding_mask)
        return x, report

    def count(
        self,
        modality: str,
        report: RoutingReport,
        training: bool | None,
        padding_mask: Tensor | None = None,
        pass_mask: Tensor | None = None,
    ) -> None:
        """Add what the routed layers did with one batch to the metrics.

        Args:
            modality: What the batch was of.
            report: Of all routed layers, each value with a layer axis first.
            training: As in `call`; None is a plain call, which is not counted.
            padding_mask: As in `call`.
            pass_mask: Of all tokens that went through with these.
        """
        if training is not None:
            self.routing_metrics[modality].update_state(
                report, padding_mask, pass_mask
            )

    def _count_tokens_alike(
        self, report: RoutingReport, padding_mask: Tensor, passes: int
    ) -> None:
        """Correct the losses where one replica has more tokens than another.

        The z-loss is a mean over tokens, a step's loss one over replicas.
        """
        tokens = ops.sum(ops.cast(padding_mask, "float32"))

        def extra_loss(means):
            extra = tokens / ops.maximum(means[0], 1e-6) - 1.0
            return passes * extra * self.z_loss_weight * ops.sum(report.z_loss)

        defer_all_reduce([tokens], extra_loss)
