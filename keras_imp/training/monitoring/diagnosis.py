"""Where a batch first becomes NaN or infinite: input, weight or layer."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_imp._keras_private import all_layers
from keras_imp.layers.encoder_stack import BLOCK
from keras_imp.tasks.task import Task


def first_non_finite(model: Any, task: Task, batch: tuple) -> str:
    """Find what is not finite first when a batch goes through a model.

    The model runs once more, layer by layer and without dropout.

    Args:
        model: An `AlternatingModel`.
        task: The task of the batch.
        batch: `(x,)`, `(x, y)` or `(x, y, sample_weight)` of arrays.

    Returns:
        One sentence.

    Example:
        >>> import numpy as np, keras_imp
        >>> from keras_imp.training.monitoring.diagnosis import first_non_finite
        >>> task = keras_imp.tasks.Classification("objects", "image", 3)
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2, modalities=("image",))
        >>> model = keras_imp.AlternatingModel(encoder, [task])
        >>> image = np.zeros((2, 16, 16, 3))
        >>> image[1] = np.nan
        >>> first_non_finite(model, task, ({"image": image}, np.zeros(2)))
        "Its input 'image' is not finite in row 1."
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
    for name, values in {**x, "sample_weight": sample_weight}.items():
        row = _bad_row(values)
        if row is not None:
            what = f"input {name!r}" if name in x else name
            return f"Its {what} is not finite in row {row}."
    for variable in model.trainable_variables:
        if not _is_finite(variable.value):
            return f"The weight {variable.path!r} is not finite."
    found: list[str] = []
    with _watched(model, found):
        y_pred = model({task.name: x}, training=False)
    if found:
        return f"The first output that is not finite is of {found[0]}."
    loss = task.compute_loss(x, y, y_pred, sample_weight)
    if not _is_finite(loss):
        return "All layers are finite, the loss itself is not."
    return (
        "Without dropout, all layers and the loss are finite: it is the "
        "gradient, or the dropout."
    )


@contextlib.contextmanager
def _watched(model: keras.Model, found: list[str]) -> Iterator[None]:
    """Note the layers whose output is not finite, the innermost first."""
    layers = [layer for top in all_layers(model) for layer in _all(top)]
    scanning = {
        layer: layer.scan_layers
        for layer in layers
        if hasattr(layer, "scan_layers")
    }
    for layer in layers:
        checked = functools.partial(_checked, layer, layer.call, [], found)
        # Past Keras' own attribute tracking.
        object.__setattr__(layer, "call", checked)
    for layer in scanning:
        # A scan shows no values of its layers.
        layer.scan_layers = False
    try:
        yield
    finally:
        for layer in layers:
            object.__delattr__(layer, "call")
        for layer, value in scanning.items():
            layer.scan_layers = value


def _all(layer: keras.Layer) -> list[keras.Layer]:
    """A layer and the blocks that it runs without tracking them."""
    hidden = getattr(layer, BLOCK, None)
    if not isinstance(hidden, keras.Layer):
        return [layer]
    return [layer, *all_layers(hidden)]


def _checked(layer, call, calls: list, found: list[str], *args, **kwargs):
    outputs = call(*args, **kwargs)
    calls.append(None)
    if not found and not all(map(_is_finite, keras.tree.flatten(outputs))):
        repeated = f", in call {len(calls)}" if len(calls) > 1 else ""
        found.append(f"layer {layer.path!r}{repeated}")
    return outputs


def _is_finite(values: Any) -> bool:
    return values is None or bool(ops.all(ops.isfinite(values)))


def _bad_row(values: Any) -> int | None:
    if values is None or not np.issubdtype(
        np.asarray(values).dtype, np.floating
    ):
        return None
    finite = np.isfinite(np.asarray(values))
    rows = np.flatnonzero(~finite.reshape(len(finite), -1).all(axis=1))
    return int(rows[0]) if len(rows) else None
