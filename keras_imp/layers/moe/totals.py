"""What routed layers did over many batches, kept in the layers themselves.

A `keras.metrics.Metric` cannot be updated in a forward pass: Keras' trainer on
JAX gives that pass the variables of layers, not those of metrics. So the totals
are variables of a layer. They are no weights: nothing counts or saves them.
"""

import keras
import numpy as np
from keras import ops

from keras_imp._repr import ShowsArguments
from keras_imp._values import value_of
from keras_imp.layers._runtime.replicas import defer_all_reduce, replicas
from keras_imp.layers.moe.report import RoutingReport
from keras_imp.typing import Tensor

# The figures of a layer that are logged, in the order of the rows of `sums`.
FIGURES = (
    "left_behind",
    "confidence",
    "z_loss",
    "min_load",
    "max_load",
    "min_importance",
)


class RoutingTotals(ShowsArguments):
    """Sums of the routing figures of some layers over batches.

    `result()` has the means of each layer: `left_behind`, the fraction of
    tokens that no expert took; `confidence`, the mean gate; `z_loss`;
    `min_load` and `max_load`, the least and most loaded expert's fraction of
    the (token, expert) pairs; `min_importance`, the least fraction of the
    gates.

    Args:
        layers: Names of the routed layers, such as `("layer_2", "layer_3")`;
            `("",)` for one that needs none.
        num_experts: Number of experts of each.
        name: What they count, such as `"image"`: a layer may have several
            totals, and the paths of its variables must differ.

    Example:
        >>> from keras_imp.layers.moe.totals import RoutingTotals
        >>> totals = RoutingTotals(("layer_2", "layer_3"), num_experts=4)
        >>> totals.result(), totals.importance().shape
        ({}, (2, 4))
    """

    def __init__(
        self, layers: tuple[str, ...], num_experts: int, name: str = ""
    ):
        self.layers = tuple(layers)
        self.num_experts = num_experts
        count = len(self.layers)
        by_expert = (count, num_experts)
        self.sums = _zeros(name, "sums", (len(FIGURES), count))
        self.load_sum = _zeros(name, "load", by_expert)
        self.importance_sum = _zeros(name, "importance", by_expert)
        self.batches = _zeros(name, "batches", ())

    @property
    def variables(self) -> list[keras.Variable]:
        """All state."""
        return [self.sums, self.load_sum, self.importance_sum, self.batches]

    @property
    def names(self) -> list[str]:
        """Names of the values of `result`."""
        return [
            f"{layer}/{figure}" if layer else figure
            for layer in self.layers
            for figure in FIGURES
        ]

    def add(
        self,
        report: RoutingReport,
        padding_mask: Tensor | None = None,
        pass_mask: Tensor | None = None,
    ) -> None:
        """Add one batch.

        Args:
            report: Of all layers, each value with a layer axis first.
            padding_mask: True where a token is real, shape `(batch, tokens)`.
            pass_mask: The same of all tokens that went through the layers with
                these, of which the z-loss is; the batch's own by default.
        """
        report = RoutingReport(*(ops.stop_gradient(value) for value in report))
        if replicas().deferred is None:
            # The variables are sums over the replicas; each has a part.
            self._add(report, 1.0 / replicas().count)
        else:
            if pass_mask is None:
                pass_mask = padding_mask
            self._add_whole(report, _count(padding_mask), _count(pass_mask))

    def reset(self) -> None:
        """Forget all batches."""
        for variable in self.variables:
            variable.assign(ops.zeros(variable.shape))

    def result(self) -> dict[str, float]:
        """The means, by layer and figure.

        Returns:
            Numbers by `"<layer>/<figure>"`; nothing before the first batch.
        """
        batches = float(value_of(self.batches))
        if not batches:
            return {}
        means = value_of(self.sums) / batches
        return dict(zip(self.names, means.T.ravel().tolist()))

    def load(self) -> np.ndarray:
        """Each expert's mean fraction of the (token, expert) pairs.

        Returns:
            Shape `(layers, experts)`; NaN before the first batch.
        """
        return self._mean(self.load_sum)

    def importance(self) -> np.ndarray:
        """Each expert's mean fraction of the gates.

        Returns:
            Shape `(layers, experts)`; NaN before the first batch.
        """
        return self._mean(self.importance_sum)

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
        self.sums.assign_add(weight * figures)
        self.load_sum.assign_add(weight * report.load)
        self.importance_sum.assign_add(weight * report.importance)
        self.batches.assign_add(weight * ops.ones((), "float32"))

    def _add_whole(
        self, report: RoutingReport, tokens: Tensor, passed: Tensor
    ) -> None:
        """Add the figures of the whole batch, of which this is a part."""
        pairs = ops.cast(report.weights > 0.0, "float32")
        pairs, gates = (
            ops.sum(values, axis=(1, 2, 3))
            for values in (pairs, report.weights)
        )
        # What each figure is a fraction of.
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

    def _mean(self, total: keras.Variable) -> np.ndarray:
        batches = float(value_of(self.batches))
        total = value_of(total)
        return total / batches if batches else np.full_like(total, np.nan)


def _zeros(name: str, what: str, shape: tuple[int, ...]) -> keras.Variable:
    # Not `Layer.add_weight`: that would make it a weight, and cast it where
    # the layer computes in half precision, which cannot count.
    return keras.Variable(
        "zeros",
        shape=shape,
        dtype="float32",
        trainable=False,
        autocast=False,
        aggregation="sum",
        synchronization="on_read",
        name="_".join(filter(None, ("routing", name, what))),
    )


def _count(padding_mask: Tensor | None) -> Tensor:
    """Real tokens; without padding each replica has as many as another."""
    if padding_mask is None:
        return ops.ones((), "float32")
    return ops.sum(ops.cast(padding_mask, "float32"))
