"""What the routed layers do with one modality, over an epoch."""

import keras
import numpy as np
from keras import ops

from keras_imp.layers._runtime.replicas import defer_all_reduce, replicas
from keras_imp.layers.moe.base import RoutingReport
from keras_imp.typing import Tensor

# The figures of a layer that are logged, in the order of the rows of `totals`.
LOGGED = (
    "left_behind",
    "confidence",
    "z_loss",
    "min_load",
    "max_load",
    "min_importance",
)


@keras.saving.register_keras_serializable(package="keras_imp")
class RoutingMetric(keras.metrics.Metric):
    """Means of the routing figures of one modality, per layer and expert.

    `result()` has the figures of each layer as scalars, to be logged as
    `routing/<modality>/layer_<i>/<figure>`: `left_behind`, the share of tokens
    that no expert took; `confidence`, the mean gate; `z_loss`; `min_load` and
    `max_load`, the least and most loaded expert's share of the (token, expert)
    pairs; `min_importance`, the least share of the gates. NaN until updated.

    Args:
        modality: Modality, for the names.
        layers: Indices of the routed layers in the encoder.
        num_experts: Number of experts.

    Example:
        >>> from keras_imp.models.sparse.metric import RoutingMetric
        >>> metric = RoutingMetric("text", layers=(2, 3), num_experts=4)
        >>> metric.importance().shape
        (2, 4)
        >>> sorted(metric.result())[0]
        'routing/text/layer_2/confidence'
    """

    def __init__(
        self, modality: str, layers: tuple[int, ...], num_experts: int
    ):
        super().__init__(name=f"routing/{modality}", dtype="float32")
        self.modality = modality
        self.layers = tuple(layers)
        self.num_experts = num_experts
        count = len(self.layers)
        self.totals = self._zeros("totals", (len(LOGGED), count))
        self.load_total = self._zeros("load", (count, num_experts))
        self.importance_total = self._zeros("importance", (count, num_experts))
        self.batches = self._zeros("batches", ())

    def update_state(
        self,
        report: RoutingReport,
        padding_mask: Tensor | None = None,
        pass_mask: Tensor | None = None,
    ) -> None:
        """Add one batch.

        Args:
            report: Of all routed layers, each value with a layer axis first.
            padding_mask: True where a token is real, shape `(batch, tokens)`.
            pass_mask: The same of all tokens that went through the encoder
                with these, of which the z-loss is; the batch's own by default.
        """
        report = RoutingReport(*(ops.stop_gradient(value) for value in report))
        if replicas().deferred is None:
            # A metric is the sum over the replicas; each has a part.
            self._add(report, 1.0 / replicas().count)
        else:
            if pass_mask is None:
                pass_mask = padding_mask
            self._add_whole(report, _count(padding_mask), _count(pass_mask))

    def result(self) -> dict[str, Tensor]:
        means = ops.where(
            self.batches.value > 0,
            self.totals.value / ops.maximum(self.batches.value, 1.0),
            float("nan"),
        )
        return {
            f"{self.name}/layer_{layer}/{figure}": means[row, column]
            for column, layer in enumerate(self.layers)
            for row, figure in enumerate(LOGGED)
        }

    def load(self) -> np.ndarray:
        """Each expert's mean share of the (token, expert) pairs.

        Returns:
            Shape `(layers, experts)`; NaN if the modality was not seen.
        """
        return self._mean(self.load_total)

    def importance(self) -> np.ndarray:
        """Each expert's mean share of the gates.

        Returns:
            Shape `(layers, experts)`; NaN if the modality was not seen.
        """
        return self._mean(self.importance_total)

    def get_config(self):
        return {
            "modality": self.modality,
            "layers": self.layers,
            "num_experts": self.num_experts,
        }

    def _add(self, report: RoutingReport, weight: float = 1.0) -> None:
        figures = ops.stack(
            [
                report.left_behind,
                report.confidence,
                report.z_loss,
                ops.min(report.load, axis=-1),
                ops.max(report.load, axis=-1),
                ops.min(report.importance, axis=-1),
            ]
        )
        self.totals.assign_add(weight * figures)
        self.load_total.assign_add(weight * report.load)
        self.importance_total.assign_add(weight * report.importance)
        self.batches.assign_add(weight * ops.ones(()))

    def _add_whole(
        self, report: RoutingReport, tokens: Tensor, passed: Tensor
    ) -> None:
        """Add the figures of the whole batch, of which this is a part."""
        pairs = ops.cast(report.weights > 0.0, "float32")
        pairs, gates = (
            ops.sum(values, axis=(1, 2, 3))
            for values in (pairs, report.weights)
        )
        # What each figure is a share of.
        bases = {
            "left_behind": tokens,
            "z_loss": passed,
            "confidence": pairs,
            "load": pairs[:, None],
            "importance": gates[:, None],
        }
        parts = [getattr(report, name) * base for name, base in bases.items()]

        def add(means):
            whole = {
                name: part / ops.maximum(base, 1e-9)
                for name, part, base in zip(
                    bases, means, means[len(bases) :], strict=False
                )
            }
            # All of it, so one of them adds.
            if not replicas().index:
                self._add(report._replace(**whole))
            return 0.0

        defer_all_reduce([*parts, *bases.values()], add)

    def _zeros(self, name: str, shape: tuple[int, ...]) -> keras.Variable:
        # Not `add_variable`: its variables are cast where the encoder computes
        # in half precision, and on torch an update then changes a copy.
        return keras.Variable(
            "zeros",
            shape=shape,
            dtype="float32",
            trainable=False,
            autocast=False,
            aggregation="sum",
            synchronization="on_read",
            name=name,
        )

    def _mean(self, total: keras.Variable) -> np.ndarray:
        batches = float(ops.convert_to_numpy(self.batches))
        total = ops.convert_to_numpy(total)
        return total / batches if batches else np.full_like(total, np.nan)


def _count(padding_mask: Tensor | None) -> Tensor:
    """Real tokens; without padding each replica has as many as another."""
    if padding_mask is None:
        return ops.ones(())
    return ops.sum(ops.cast(padding_mask, "float32"))
