"""See through the experts: who took which token, in numbers and pictures."""

import io
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_imp._errors import message
from keras_imp._optional import require
from keras_imp.evaluation.report import new_figure, save_figure
from keras_imp.layers.moe.routing import statistics_by_layer
from keras_imp.models.imp_encoder import IMPEncoder

# Pictures in the overlay.
OVERLAY_PICTURES = 6


class Routing(NamedTuple):
    """Where the tokens of one modality went.

    Attributes:
        gates: Gate of each token and expert, 0 where they do not meet,
            float32, shape `(examples, layers, tokens, experts)`.
        padding_mask: True where a token is real, shape `(examples, tokens)`.
        load: Each expert's share of the (token, expert) pairs, shape
            `(layers, experts)`. Equal by construction where experts choose.
        importance: Each expert's share of the gates, shape `(layers,
            experts)`.
        left_behind: Share of the real tokens that no expert took, shape
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
    data: dict[str, np.ndarray],
    folder: str | Path | None = None,
    batch_size: int = 32,
) -> dict[str, Routing]:
    """Show which expert took which token.

    Args:
        model: A sparse `IMPEncoder`, or an `AlternatingModel` with one.
        data: Inputs by modality, any subset of the encoder's.
        folder: Where to draw, if given: `routing_heatmap.png`, modality by
            expert for each routed layer, and, if there are images,
            `routing_overlay.png`, the expert of each patch.
        batch_size: Examples of a batch.

    Returns:
        The routing by modality.

    Raises:
        ValueError: If the encoder has no experts.

    Example:
        >>> import numpy as np, keras_imp
        >>> encoder = keras_imp.IMPEncoder.from_preset(
        ...     "imp_moe_tiny", modalities=("image", "text"))
        >>> routing = keras_imp.inspect_routing(
        ...     encoder, {"text": np.array([[4, 5, 6, 0]])})
        >>> routing["text"].gates.shape
        (1, 2, 4, 4)

    Reference:
        [LIMoE](https://arxiv.org/abs/2206.02770), figures 4 to 6.
    """
    encoder = getattr(model, "encoder", model)
    if not getattr(encoder, "num_experts", 0):
        raise ValueError(
            message(
                "The model must have experts.",
                'Use a sparse preset, such as "imp_moe_tiny".',
                num_experts=getattr(encoder, "num_experts", None),
            )
        )
    probe = _Probe(encoder)
    routing = {}
    for name, values in data.items():
        encoder.check_inputs({name: values})
        found = probe.predict({name: values}, batch_size=batch_size, verbose=0)
        routing[name] = _summarise(**found[name])
    if folder is not None:
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        plot_heat_map(
            {name: r.importance for name, r in routing.items()},
            folder / "routing_heatmap.png",
            encoder.routed_layers,
        )
        if "image" in routing:
            images = data["image"]
            grid = encoder.embedders["vision"].grid(images.shape)
            plot_overlay(
                images,
                routing["image"].gates,
                grid[-2:],
                folder / "routing_overlay.png",
                encoder.routed_layers,
            )
    return routing


def plot_heat_map(
    importance: dict[str, np.ndarray],
    path: str | Path | io.BytesIO,
    layers: tuple[int, ...] = (),
) -> None:
    """Draw modality by expert, one panel for each routed layer.

    A cell is the expert's share of the modality's gates, times the number of
    experts: 1 is an equal share.

    Args:
        importance: By modality, shape `(layers, experts)`.
        path: PNG to write.
        layers: Indices of the layers, for the titles.

    Example:
        >>> import io, numpy as np
        >>> from keras_imp.evaluation import plot_heat_map
        >>> file = io.BytesIO()
        >>> plot_heat_map({"text": np.full((1, 4), 0.25)}, file)
        >>> len(file.getvalue()) > 1000
        True
    """
    names = list(importance)
    count, experts = next(iter(importance.values())).shape
    columns = min(3, count)
    rows = -(-count // columns)
    width = 1.2 + 0.42 * experts
    figure, axes = new_figure(
        rows, columns, (width * columns, (1.1 + 0.42 * len(names)) * rows)
    )
    shares = [
        np.stack([importance[name][layer] for name in names]) * experts
        for layer in range(count)
    ]
    # One scale for all panels, at least to twice an equal share.
    top = max(2.0, *(float(np.nanmax(share)) for share in shares))
    for layer, (axis, share) in enumerate(zip(axes, shares)):
        axis.imshow(share, cmap="viridis", vmin=0.0, vmax=top, aspect="auto")
        for row, column in np.ndindex(share.shape):
            value = share[row, column]
            axis.text(
                column,
                row,
                f"{value:.1f}",
                ha="center",
                va="center",
                fontsize=7,
                color="black" if value > 0.6 * top else "white",
            )
        axis.set_title(
            f"layer {layers[layer] if layers else layer}", fontsize=9
        )
        axis.set_yticks(range(len(names)), names, fontsize=8)
        axis.set_xticks(range(experts))
        axis.tick_params(axis="x", labelsize=7)
        axis.set_xlabel("expert (1.0: an equal share)", fontsize=8)
    for axis in axes[count:]:
        axis.set_visible(False)
    save_figure(figure, path)


def plot_overlay(
    images: np.ndarray,
    gates: np.ndarray,
    grid: tuple[int, int],
    path: str | Path,
    layers: tuple[int, ...] = (),
) -> None:
    """Draw which expert took each patch of the first pictures.

    A patch has the color of the expert with its highest gate; a patch that no
    expert took stays dark.

    Args:
        images: uint8, or float in [-1, 1], shape `(examples, height, width,
            3)`.
        gates: Shape `(examples, layers, tokens, experts)`.
        grid: Patches along height and width.
        path: PNG to write.
        layers: Indices of the layers, for the titles.

    Example:
        >>> import numpy as np, os, tempfile
        >>> from keras_imp.evaluation import plot_overlay
        >>> file = os.path.join(tempfile.mkdtemp(), "overlay.png")
        >>> plot_overlay(np.zeros((1, 8, 8, 3), "uint8"),
        ...              np.ones((1, 1, 4, 2)), (2, 2), file)
        >>> os.path.getsize(file) > 1000
        True
    """
    # Spread over the pictures, which may be ordered by kind.
    shown = np.linspace(0, len(images) - 1, min(OVERLAY_PICTURES, len(images)))
    shown = shown.astype(int)
    count, experts = gates.shape[1], gates.shape[-1]
    colors = _colors(experts)
    size = 1.5  # inches
    figure, axes = new_figure(
        len(shown), count + 1, (size * (count + 1), size * len(shown) + 0.55)
    )
    axes = np.reshape(axes, (len(shown), count + 1))
    for row, index in enumerate(shown):
        picture = _as_uint8(images[index])
        axes[row, 0].imshow(picture, interpolation="nearest")
        for layer in range(count):
            patches = _patch_colors(gates[index, layer], grid, colors)
            overlay = np.kron(
                patches, np.ones((*_patch_size(picture, grid), 1))
            )
            mixed = 0.45 * picture / 255.0 + 0.55 * overlay
            axes[row, layer + 1].imshow(mixed, interpolation="nearest")
            if row == 0:
                name = layers[layer] if layers else layer
                axes[0, layer + 1].set_title(f"layer {name}", fontsize=9)
    for axis in axes.flat:
        axis.axis("off")
    for index, color in enumerate(colors):
        axes[-1, 0].scatter([], [], color=[color], marker="s", label=str(index))
    figure.legend(
        title="expert; dark: none",
        loc="lower center",
        fontsize=7,
        title_fontsize=8,
        ncols=min(8, experts),
    )
    save_figure(figure, path, bottom=0.55 / (size * len(shown) + 0.55))


class RoutingHeatMap(keras.callbacks.Callback):
    """Write the heat map of `inspect_routing` to TensorBoard at each epoch.

    It shows the epoch's validation data, or the training data where `fit` has
    none. The scalars of the same figures are in the logs of `fit` already, as
    `routing/<modality>/layer_<i>/<figure>`.

    Args:
        log_dir: Folder of TensorBoard, such as the one of
            `keras.callbacks.TensorBoard`.

    Example:
        >>> import keras_imp
        >>> callback = keras_imp.evaluation.RoutingHeatMap("logs")
    """

    def __init__(self, log_dir: str | Path):
        super().__init__()
        self.log_dir = Path(log_dir)
        self._writer: Any = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        encoder = self._encoder()
        if not (isinstance(encoder, IMPEncoder) and encoder.num_experts):
            raise ValueError(
                message(
                    "RoutingHeatMap needs a model whose `encoder` is an "
                    "IMPEncoder with experts.",
                    encoder=type(encoder).__name__,
                )
            )

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        encoder = self._encoder()
        importance = {
            name: metric.importance()
            for name, metric in encoder.routing_metrics.items()
        }
        seen = {k: v for k, v in importance.items() if np.isfinite(v).all()}
        if seen:
            picture = io.BytesIO()
            plot_heat_map(seen, picture, encoder.routed_layers)
            self._write(picture.getvalue(), epoch)

    def on_train_end(self, logs: dict | None = None) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _encoder(self) -> Any:
        return getattr(self.model, "encoder", self.model)

    def _write(self, png: bytes, epoch: int) -> None:
        proto = "tensorboard.compat.proto"
        event = require(f"{proto}.event_pb2", extra="data").Event
        summary = require(f"{proto}.summary_pb2", extra="data").Summary
        if self._writer is None:
            module = "tensorboard.summary.writer.event_file_writer"
            writer = require(module, extra="data").EventFileWriter
            self._writer = writer(str(self.log_dir / "routing"))
        image = summary.Image(encoded_image_string=png)
        value = summary.Value(tag="routing/importance", image=image)
        self._writer.add_event(
            event(summary=summary(value=[value]), step=epoch)
        )
        self._writer.flush()


class _Probe(keras.Model):
    """Predicts gates instead of features."""

    def __init__(self, encoder: IMPEncoder):
        super().__init__(name="routing_probe")
        # Tracked: a compiled step gets its weights, and has no copy of them.
        self.encoder = encoder
        self.built = True

    def call(self, inputs):
        return self.encoder.routing_gates(inputs)


def _summarise(gates: np.ndarray, padding_mask: np.ndarray) -> Routing:
    counts = statistics_by_layer(gates.swapaxes(0, 1), padding_mask)
    return Routing(
        gates=gates,
        padding_mask=padding_mask,
        **{
            name: keras.ops.convert_to_numpy(value)
            for name, value in counts._asdict().items()
        },
    )


def _patch_colors(
    gates: np.ndarray, grid: tuple[int, int], colors: np.ndarray
) -> np.ndarray:
    """Color of each patch: (rows, columns, 3)."""
    taken = gates.max(axis=-1, keepdims=True) > 0
    shown = np.where(taken, colors[gates.argmax(axis=-1)], 0.0)
    return shown.reshape(*grid, 3)


def _patch_size(picture: np.ndarray, grid: tuple[int, int]) -> tuple[int, int]:
    return picture.shape[0] // grid[0], picture.shape[1] // grid[1]


def _as_uint8(image: np.ndarray) -> np.ndarray:
    if image.dtype == np.uint8:
        return image
    return np.clip((image + 1.0) * 127.5, 0, 255).astype("uint8")


def _colors(count: int) -> np.ndarray:
    """Colors that stay apart: (count, 3)."""
    name = "tab10" if count <= 10 else "gist_ncar"
    color_map = require("matplotlib", extra="data").colormaps[name]
    if count <= 10:
        return np.asarray(color_map.colors[:count])
    return color_map(np.linspace(0.02, 0.95, count))[:, :3]
