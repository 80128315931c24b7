"""Figures of what the experts do."""

import io
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_imp._optional import require
from keras_imp._repr import ShowsArguments
from keras_imp.evaluation.event_file import EventFile
from keras_imp.evaluation.figures import new_figure, save_figure
from keras_imp.layers.moe.reporting import check_routed, routing_totals

# Images in the overlay.
OVERLAY_IMAGES = 6
# Most patches along a side that have room for a number.
NUMBERED_PATCHES = 8
LEGEND_COLUMNS = 8


def plot_heat_map(
    importance: dict[str, np.ndarray],
    path: str | Path | io.BytesIO,
    layers: tuple[int | str, ...] = (),
) -> None:
    """Draw modality by expert, one panel for each routed layer.

    A cell is the expert's fraction of the modality's gates, times the number of
    experts: 1 is an equal load.

    Args:
        importance: By modality, shape `(layers, experts)`.
        path: PNG to write.
        layers: Indices of the layers, for the titles, or the titles.

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
    # One scale for all panels, at least to twice an equal load.
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
                fontsize=8,
                color="black" if value > 0.5 * top else "white",
            )
        name = layers[layer] if layers else layer
        title = name if isinstance(name, str) else f"layer {name}"
        axis.set_title(title, fontsize=9)
        axis.set_yticks(range(len(names)), names, fontsize=8)
        axis.set_xticks(range(experts))
        axis.tick_params(axis="x", labelsize=7)
        axis.set_xlabel("expert (1.0: an equal load)", fontsize=8)
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
    """Draw which expert took each patch of the first images.

    A patch has the color of the expert with its highest gate, and its number
    where there is room; a patch that no expert took stays dark.

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
    # Spread over the images, which may be ordered by kind.
    shown = np.linspace(0, len(images) - 1, min(OVERLAY_IMAGES, len(images)))
    shown = shown.astype(int)
    count, experts = gates.shape[1], gates.shape[-1]
    colors = _colors(experts)
    lines = -(-experts // LEGEND_COLUMNS)
    size, title, legend = 1.5, 0.2, 0.4 + 0.17 * lines  # inches
    height = size * len(shown) + title + legend
    figure, axes = new_figure(
        len(shown), count + 1, (size * (count + 1), height)
    )
    axes = np.reshape(axes, (len(shown), count + 1))
    for row, index in enumerate(shown):
        image = _as_uint8(images[index])
        axes[row, 0].imshow(image, interpolation="nearest")
        for layer in range(count):
            patches = _patch_colors(gates[index, layer], grid, colors)
            overlay = np.kron(patches, np.ones((*_patch_size(image, grid), 1)))
            mixed = 0.45 * image / 255.0 + 0.55 * overlay
            axes[row, layer + 1].imshow(mixed, interpolation="nearest")
            _number_patches(
                axes[row, layer + 1], gates[index, layer], grid, image
            )
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
        ncols=min(LEGEND_COLUMNS, experts),
    )
    save_figure(figure, path, bottom=legend / height, top=1 - title / height)


class RoutingHeatMap(ShowsArguments, keras.callbacks.Callback):
    """Write the heat map of `inspect_routing` to TensorBoard at each epoch.

    It shows the epoch's validation data, or the training data where `fit` has
    none, in any model that holds a routed layer. `AlternatingModel` logs the
    scalars of the same figures by itself, other models with
    `keras_imp.callbacks.RoutingLogger`.

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
        self._file = EventFile(self.log_dir / "routing")

    def on_train_begin(self, logs: dict | None = None) -> None:
        check_routed(self.model, "RoutingHeatMap")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        # What has the same layers, such as the modalities of an encoder, is
        # one heat map.
        groups: dict[Any, dict[str, np.ndarray]] = {}
        for name, totals in routing_totals(self.model).items():
            importance = totals.importance()
            if np.isfinite(importance).all():
                key = (totals.layers, totals.num_experts)
                groups.setdefault(key, {})[name] = importance
        for (layers, _), group in groups.items():
            image = io.BytesIO()
            titles = tuple(name.replace("_", " ") for name in layers)
            plot_heat_map(group, image, titles)
            tag = "routing/importance"
            if len(groups) > 1:
                tag = f"{tag}/{next(iter(group))}"
            self._file.write(epoch, images={tag: image.getvalue()})

    def on_train_end(self, logs: dict | None = None) -> None:
        self._file.close()


def _patch_colors(
    gates: np.ndarray, grid: tuple[int, int], colors: np.ndarray
) -> np.ndarray:
    """Color of each patch: (rows, columns, 3)."""
    taken = gates.max(axis=-1, keepdims=True) > 0
    shown = np.where(taken, colors[gates.argmax(axis=-1)], 0.0)
    return shown.reshape(*grid, 3)


def _number_patches(
    axis: Any, gates: np.ndarray, grid: tuple[int, int], image: np.ndarray
) -> None:
    """Write each expert into its patches, for the color-blind, if they fit."""
    if max(grid) > NUMBERED_PATCHES:
        return
    height, width = _patch_size(image, grid)
    for token, expert in enumerate(gates.argmax(axis=-1)):
        if gates[token].max() > 0:
            row, column = divmod(token, grid[1])
            axis.text(
                (column + 0.5) * width - 0.5,
                (row + 0.5) * height - 0.5,
                str(expert),
                ha="center",
                va="center",
                fontsize=7,
            )


def _patch_size(image: np.ndarray, grid: tuple[int, int]) -> tuple[int, int]:
    return image.shape[0] // grid[0], image.shape[1] // grid[1]


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
