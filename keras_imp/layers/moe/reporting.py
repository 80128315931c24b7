"""Layers that tell what they route, and who asks them.

The outermost layer tells: a routed layer in one's own model by itself, a stack
for its blocks, the encoder for its stacks, by modality.
"""

import contextlib
import threading
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import keras

from keras_imp._errors import message
from keras_imp._keras_private import all_layers
from keras_imp.layers._runtime.layer import Layer
from keras_imp.layers.moe.report import RoutingReport
from keras_imp.layers.moe.totals import RoutingTotals
from keras_imp.typing import Tensor


class ReportingLayer(Layer):
    """Base of the layers that tell what they route.

    They keep totals over batches, in variables that are no weights: under
    `fit`, `evaluate` and `predict` of any model, not in a plain call.

    Attributes:
        reports_routing: Whether this layer does; False where the layer around
            it does. To be set before it is built.
    """

    reports_routing = True

    @property
    def is_routed(self) -> bool:
        """Whether there is anything to tell."""
        return True

    @property
    def routing_totals(self) -> dict[str, RoutingTotals]:
        """What was routed since the last reset, by kind of tokens.

        A layer that does not know what its tokens are of has one entry, `""`.
        """
        return self.__dict__.get("_routing_totals", {})

    @property
    def variables(self) -> list[keras.Variable]:
        """All state; the totals are in it, and not among the weights."""
        totals = self.routing_totals.values()
        return [*super().variables, *(v for t in totals for v in t.variables)]

    def create_totals(
        self,
        layers: Iterable[str],
        num_experts: int,
        names: Iterable[str] = ("",),
    ) -> None:
        """Create the totals, unless the layer around this one reports.

        Args:
            layers: Names of the routed layers that it reports on.
            num_experts: Number of experts of each.
            names: Kinds of tokens to count for.
        """
        if not self.reports_routing:
            return
        totals = {
            name: RoutingTotals(tuple(layers), num_experts, name)
            for name in names
        }
        # Past Keras' tracking: it would make them weights.
        self.__dict__["_routing_totals"] = totals
        self.totals_reset = TotalsReset(totals)

    def is_asked(self, training: bool | None) -> bool:
        """Whether anyone wants to know what this call routes.

        Args:
            training: As in `call`; None is a plain call, which is not counted.

        Returns:
            The answer.
        """
        asked = training is not None or _observers.calls is not None
        return self.reports_routing and asked

    def report_routing(
        self,
        report: RoutingReport,
        training: bool | None,
        name: str = "",
        padding_mask: Tensor | None = None,
        pass_mask: Tensor | None = None,
    ) -> None:
        """Count what was routed, and show it to who observes.

        Args:
            report: Each value with a layer axis first.
            training: As in `call`; None is a plain call, which is not counted.
            name: What the tokens are of, one of the totals.
            padding_mask: True where a token is real, shape `(batch, tokens)`.
            pass_mask: The same of all tokens that went through the layers with
                these; the batch's own by default.
        """
        if not self.reports_routing:
            return
        if training is not None:
            self.routing_totals[name].add(report, padding_mask, pass_mask)
        if _observers.calls is not None:
            _observers.calls.append(
                ObservedCall(name or self.path, report.weights, padding_mask)
            )


class TotalsReset(keras.metrics.Metric):
    """Resets totals wherever Keras resets metrics: at the begin of an epoch.

    It has no state and no result, so that it adds nothing to the logs.

    Args:
        totals: What to reset.
    """

    def __init__(self, totals: dict[str, RoutingTotals]):
        super().__init__(name="routing_totals")
        self.totals = totals

    def reset_state(self) -> None:
        for totals in self.totals.values():
            totals.reset()

    def update_state(self) -> None:
        """Nothing: the layer adds to the totals."""

    def result(self) -> dict[str, Tensor]:
        return {}


class ObservedCall(NamedTuple):
    """What one call of a layer routed.

    Attributes:
        name: What the tokens are of, or else the path of the layer.
        weights: Gate of each token and expert, 0 where they do not meet,
            float32, shape `(layers, batch, tokens, experts)`.
        padding_mask: True where a token is real, shape `(batch, tokens)`, or
            None if all are.
    """

    name: str
    weights: Tensor
    padding_mask: Tensor | None


class _Observers(threading.local):
    """Where the calls of this thread are noted, if anyone observes."""

    calls: list[ObservedCall] | None = None


_observers = _Observers()


@contextlib.contextmanager
def observe_routing() -> Iterator[list[ObservedCall]]:
    """Note what the layers that are called inside route.

    Yields:
        A list that grows with each call.

    Example:
        >>> import keras, keras_imp
        >>> from keras_imp.layers.moe.reporting import observe_routing
        >>> layer = keras_imp.layers.ExpertChoiceMoE(4, intermediate_dim=16)
        >>> with observe_routing() as calls:
        ...     outputs = layer(keras.ops.ones((2, 6, 8)))
        >>> [tuple(call.weights.shape) for call in calls]
        [(1, 2, 6, 4)]
    """
    before, _observers.calls = _observers.calls, []
    try:
        yield _observers.calls
    finally:
        _observers.calls = before


def routing_totals(model: keras.Layer) -> dict[str, RoutingTotals]:
    """The totals of all layers of a model that tell what they route.

    Args:
        model: Any model or layer that is built.

    Returns:
        Totals by what the tokens are of (the modality, in an encoder of this
        package), or else by the path of the layer.

    Example:
        >>> import keras, keras_imp
        >>> from keras_imp.layers.moe.reporting import routing_totals
        >>> inputs = keras.Input((6, 8))
        >>> layer = keras_imp.layers.ExpertChoiceMoE(4, 16, name="experts")
        >>> model = keras.Model(inputs, layer(inputs))
        >>> list(routing_totals(model))
        ['experts']
    """
    found: dict[str, RoutingTotals] = {}
    for layer in all_layers(model):
        if isinstance(layer, ReportingLayer):
            for name, totals in layer.routing_totals.items():
                found[unused(name or layer.path, found)] = totals
    return found


def routing_variables(model: keras.Layer) -> list[keras.Variable]:
    """The state of the totals of all layers of a model.

    Args:
        model: Any model or layer that is built.

    Returns:
        The variables; they are state of the model and none of its weights.

    Example:
        >>> import keras_imp
        >>> from keras_imp.layers.moe.reporting import routing_variables
        >>> layer = keras_imp.layers.SoftMoE(4, 16)
        >>> layer.build((None, 6, 8))
        >>> len(routing_variables(layer))
        4
    """
    totals = routing_totals(model).values()
    return [variable for total in totals for variable in total.variables]


def check_routed(model: keras.Layer, what: str) -> None:
    """Raise unless a model has a routed layer.

    Args:
        model: Any model or layer.
        what: Who needs one.

    Raises:
        ValueError: If it has none.

    Example:
        >>> import keras_imp
        >>> from keras_imp.layers.moe.reporting import check_routed
        >>> check_routed(keras_imp.layers.SoftMoE(4, 16), "This example")
    """
    layers = (x for x in all_layers(model) if isinstance(x, ReportingLayer))
    if not any(layer.is_routed for layer in layers):
        raise ValueError(
            message(
                f"{what} needs a model with a routed layer.",
                "Such layers are keras_imp.layers.ExpertChoiceMoE, "
                "TokenChoiceMoE and SoftMoE, and those of a sparse IMPEncoder.",
                model=type(model).__name__,
            )
        )


def routing_figures(model: keras.Layer) -> dict[str, float]:
    """Means over the batches since the last reset, as `fit` logs them.

    Args:
        model: Any model that is built.

    Returns:
        `routing/<name>/<layer>/<figure>`, as `RoutingTotals.result` has them;
        nothing of layers that saw no batch.

    Example:
        >>> import keras, keras_imp
        >>> from keras_imp.layers.moe.reporting import routing_figures
        >>> inputs = keras.Input((6, 8))
        >>> layer = keras_imp.layers.ExpertChoiceMoE(4, 16, name="experts")
        >>> model = keras.Model(inputs, layer(inputs))
        >>> outputs = model(keras.ops.ones((2, 6, 8)), training=False)
        >>> sorted(routing_figures(model))[0]
        'routing/experts/confidence'
    """
    return {
        f"routing/{name}/{figure}": value
        for name, totals in routing_totals(model).items()
        for figure, value in totals.result().items()
    }


def unused(name: str, taken: dict[str, Any]) -> str:
    """The name, with a number if it is taken.

    Args:
        name: The wanted name.
        taken: The names that are taken, as keys.

    Returns:
        The first free one of name, name_2, name_3, ...

    Example:
        >>> from keras_imp.layers.moe.reporting import unused
        >>> unused("experts", {"experts": None})
        'experts_2'
    """
    free, count = name, 1
    while free in taken:
        count += 1
        free = f"{name}_{count}"
    return free
