"""See through the experts: who took which token, in numbers."""

from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_imp._errors import message
from keras_imp.evaluation.routing_plots import plot_heat_map, plot_overlay
from keras_imp.layers._runtime.kept_weights import KeepsWeights
from keras_imp.layers.moe.reporting import check_routed, observe_routing, unused
from keras_imp.layers.moe.statistics import statistics_by_layer


class Routing(NamedTuple):
    """Where the tokens of one modality went.

    Attributes:
        gates: Gate of each token and expert, 0 where they do not meet,
            float32, shape `(examples, layers, tokens, experts)`.
        padding_mask: True where a token is real, shape `(examples, tokens)`.
        load: Each expert's fraction of the (token, expert) pairs, shape
            `(layers, experts)`. Equal by construction for expert choice.
        importance: Each expert's fraction of the gates, shape `(layers,
            experts)`.
        left_behind: Fraction of the real tokens that no expert took, shape
            `(layers,)`.
        confidence: Mean gate of a pair, shape `(layers,)`.

    Example:
        >>> from keras_imp.evaluation import Routing
        >>> Routing._fields[:2]
        ('gates', 'padding_mask')
    """

    gates: np.ndarray
    padding_mask: np.ndarray
    load: np.ndarray
    importance: np.ndarray
    left_behind: np.ndarray
    confidence: np.ndarray


def inspect_routing(
    model: Any,
    data: Any,
    folder: str | Path | None = None,
    batch_size: int = 32,
) -> dict[str, Routing]:
    """Show which expert took which token.

    Args:
        model: A sparse `IMPEncoder`, a model with one as its `encoder`, such as
            `AlternatingModel`, or any model that holds a routed layer.
        data: Inputs: of an encoder by modality, any subset of its own; of
            another model what its `predict` takes.
        folder: Where to draw, if given. Of an encoder `routing_heatmap.png`,
            modality by expert for each routed layer, and, if there are images,
            `routing_overlay.png`, the expert of each patch. Of another model
            `routing_heatmap_<name>.png`, one for each name.
        batch_size: Examples of a batch.

    Returns:
        The routing by modality. Of another model by the path of the routed
        layer, or by modality where it holds a sparse encoder; a layer that is
        called again adds a number.

    Raises:
        ValueError: If the model has no experts.

    Example:
        >>> import numpy as np, keras_imp
        >>> encoder = keras_imp.IMPEncoder.from_preset(
        ...     "imp_moe_tiny", modalities=("image", "text"))
        >>> routing = keras_imp.inspect_routing(
        ...     encoder, {"text": np.array([[4, 5, 6, 0]])})
        >>> routing["text"].gates.shape
        (1, 2, 4, 4)

        >>> import keras
        >>> inputs = keras.Input((6, 8))
        >>> layer = keras_imp.layers.SoftMoE(4, 16, name="experts")
        >>> own = keras.Model(inputs, layer(inputs))
        >>> routing = keras_imp.inspect_routing(own, np.ones((2, 6, 8)))
        >>> routing["experts"].gates.shape
        (2, 1, 6, 4)

    Reference:
        [LIMoE](https://arxiv.org/abs/2206.02770), figures 4 to 6.
    """
    encoder = getattr(model, "encoder", model)
    if _is_encoder_of(encoder, data):
        return _inspect_encoder(encoder, data, folder, batch_size)
    check_routed(model, "inspect_routing")
    found = _Probe(model).predict(data, batch_size=batch_size, verbose=0)
    routing = {name: _summarize(**values) for name, values in found.items()}
    if folder is not None:
        folder = _made(folder)
        for name, values in routing.items():
            file = f"routing_heatmap_{name.replace('/', '_')}.png"
            plot_heat_map({name: values.importance}, folder / file)
    return routing


def _is_encoder_of(encoder: Any, data: Any) -> bool:
    """Whether an encoder of this package takes the data by modality."""
    return (
        hasattr(encoder, "routing_gates")
        and isinstance(data, dict)
        and set(data) <= set(encoder.modalities)
    )


def _inspect_encoder(
    encoder: Any,
    data: dict[str, Any],
    folder: str | Path | None,
    batch_size: int,
) -> dict[str, Routing]:
    if not encoder.num_experts:
        raise ValueError(
            message(
                "The model must have experts.",
                'Use a sparse preset, such as "imp_moe_tiny".',
                num_experts=encoder.num_experts,
            )
        )
    probe = _EncoderProbe(encoder)
    routing = {}
    for name, values in data.items():
        encoder.check_inputs({name: values})
        found = probe.predict({name: values}, batch_size=batch_size, verbose=0)
        routing[name] = _summarize(**found[name])
    if folder is not None:
        _draw_encoder(encoder, data, routing, _made(folder))
    return routing


def _draw_encoder(
    encoder: Any,
    data: dict[str, Any],
    routing: dict[str, Routing],
    folder: Path,
) -> None:
    plot_heat_map(
        {name: found.importance for name, found in routing.items()},
        folder / "routing_heatmap.png",
        encoder.routed_layers,
    )
    if "image" in routing:
        images = data["image"]
        grid = encoder.embedder_of("image").grid(images.shape)
        plot_overlay(
            images,
            routing["image"].gates,
            grid[-2:],
            folder / "routing_overlay.png",
            encoder.routed_layers,
        )


class _EncoderProbe(KeepsWeights, keras.Model):
    """Predicts gates instead of features."""

    def __init__(self, encoder: Any):
        super().__init__(name="routing_probe")
        # Tracked: a compiled step gets its weights, and has no copy of them.
        self.encoder = encoder
        self.built = True

    def call(self, inputs):
        return self.encoder.routing_gates(inputs)


class _Probe(KeepsWeights, keras.Model):
    """Predicts the gates of all routed layers instead of what a model does."""

    def __init__(self, model: keras.Model):
        super().__init__(name="routing_probe")
        self.model = model
        self.built = True

    # No `training`: what the probe routes is not counted.
    def call(self, inputs):
        with observe_routing() as calls:
            self.model(inputs)
        found: dict[str, Any] = {}
        for name, weights, mask in calls:
            weights = ops.transpose(weights, (1, 0, 2, 3))
            if mask is None:
                mask = ops.ones(ops.shape(weights[:, 0, :, 0]), dtype="bool")
            found[unused(name, found)] = {
                "gates": weights,
                "padding_mask": ops.cast(mask, "bool"),
            }
        return found


def _made(folder: str | Path) -> Path:
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _summarize(gates: np.ndarray, padding_mask: np.ndarray) -> Routing:
    counts = statistics_by_layer(gates.swapaxes(0, 1), padding_mask)
    return Routing(
        gates=gates,
        padding_mask=padding_mask,
        **{
            name: keras.ops.convert_to_numpy(value)
            for name, value in counts._asdict().items()
        },
    )
