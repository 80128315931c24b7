"""Put the weights of a backbone into an encoder."""

from typing import Any

import keras
import numpy as np

from keras_imp.models.warm_start.weights import (
    Arrays,
    BackboneWeights,
    Normalization,
    Pair,
)


def assign_weights(encoder: Any, weights: BackboneWeights) -> None:
    """Give an encoder the weights of a backbone.

    Args:
        encoder: An `IMPEncoder` with the arguments of `weights`.
        weights: The weights.
    """
    embedder = encoder.embedders[weights.embedder]
    width = encoder.hidden_dim
    identity = (np.eye(width), np.zeros(width))
    if weights.patches is not None:
        patches = over_frames(
            weights.patches, weights.normalization, encoder.patch_size[0]
        )
        _assign(embedder.tokens.projection, patches)
    else:
        embedder.tokens.table.assign(weights.table)
    embedder.positions.table.assign(weights.positions)
    _assign(embedder.before, identity)
    _assign(embedder.after, weights.after or identity)
    if weights.first_tokens is not None:
        first = encoder.first_tokens[weights.embedder]
        first.assign(weights.first_tokens[None])
    if weights.entry_norm is not None:
        _assign_norm(encoder.entry_norm, weights.entry_norm)
    _assign_norm(encoder.final_norm, weights.final_norm)
    if weights.pool is not None:
        _assign_by_name(encoder.pool.weights, weights.pool)
    _assign_layers(encoder, weights.layers)


def over_frames(
    patches: Pair, normalization: Normalization, frames: int
) -> Pair:
    """The dense layer of patches of several frames: the mean over them.

    A backbone takes (p - mean) / std with p in [0, 1]; the layer takes
    x = 2 p - 1.

    Args:
        patches: Kernel, `(height, width, 3, hidden_dim)`, and bias of the
            backbone's patches.
        normalization: Mean and standard deviation of each channel.
        frames: Frames of a patch.

    Returns:
        Kernel, `(values, hidden_dim)`, and bias.

    Example:
        >>> import numpy as np
        >>> from keras_imp.models.warm_start.assigning import over_frames
        >>> kernel, bias = np.ones((1, 1, 3, 1)), np.zeros(1)
        >>> unit = ((0.5,) * 3, (0.5,) * 3)
        >>> kernel, bias = over_frames((kernel, bias), unit, frames=2)
        >>> kernel[:, 0].tolist(), bias.tolist()
        ([0.5, 0.5, 0.5, 0.5, 0.5, 0.5], [0.0])
    """
    kernel, bias = (part.astype("float64") for part in patches)
    mean, std = (np.asarray(part, "float64") for part in normalization)
    scale, offset = 0.5 / std, (0.5 - mean) / std
    bias = bias + np.einsum("hwcd,c->d", kernel, offset)
    kernel = np.stack([kernel * scale[:, None] / frames] * frames)
    return kernel.reshape(-1, kernel.shape[-1]), bias


def _assign_layers(encoder: Any, layers: list[Arrays]) -> None:
    first = 0
    for stack in encoder.body.stacks:
        rows = layers[first : first + stack.num_layers]
        for variable in stack.stacked:
            variable.assign(np.stack([row[variable.name] for row in rows]))
        first += stack.num_layers


def _assign_by_name(variables: list[Any], values: Arrays) -> None:
    for variable in variables:
        variable.assign(values["_".join(variable.path.split("/")[-2:])])


def _assign(layer: keras.layers.Layer, values: Pair) -> None:
    layer.kernel.assign(values[0])
    layer.bias.assign(values[1])


def _assign_norm(layer: keras.layers.Layer, values: Pair) -> None:
    layer.gamma.assign(values[0])
    layer.beta.assign(values[1])
