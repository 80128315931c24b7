"""`keras_hub.models.DINOV2Backbone` as an encoder."""

import keras
import numpy as np

from keras_imp.models.warm_start.checks import refuse
from keras_imp.models.warm_start.weights import (
    IMAGENET,
    Arrays,
    BackboneWeights,
    array_of,
    block,
    dense,
    norm,
    sizes_of,
)


def dinov2(backbone: keras.Model) -> BackboneWeights:
    """Weights of DINOv2, with or without registers.

    Args:
        backbone: A `DINOV2Backbone`.

    Returns:
        The weights. Positions are those of its `image_shape`, and the scales
        of its layers are in the kernels before them.

    Raises:
        ValueError: If its feed-forward networks are gated.
    """
    if backbone.use_swiglu_ffn:
        refuse(
            backbone,
            "Feed-forward networks must have two dense layers, not a gate.",
            use_swiglu_ffn=True,
        )
    embeddings = backbone.embeddings
    rows, columns = (
        size // embeddings.patch_size for size in embeddings.image_shape
    )
    table = array_of(embeddings.interpolated_position_embeddings)[0]
    first = [array_of(embeddings.cls_token)[0] + table[:1]]
    if backbone.num_register_tokens:
        first.append(array_of(embeddings.register_tokens)[0])
    return BackboneWeights(
        arguments={
            **sizes_of(backbone),
            "patch_size": (embeddings.patch_size,) * 2,
            "position_buckets": (rows, columns),
            "pooling": "token",
            "num_first_tokens": 1 + backbone.num_register_tokens,
            "activation": "gelu",
            "layer_norm_epsilon": backbone.encoder.layers[0].norm1.epsilon,
            "final_norm_epsilon": backbone.layernorm.epsilon,
        },
        layers=[_scaled_block(one) for one in backbone.encoder.layers],
        final_norm=norm(backbone.layernorm),
        positions=table[1:].reshape(rows, columns, -1),
        patches=dense(embeddings.patch_embeddings.projection),
        normalization=IMAGENET,
        first_tokens=np.concatenate(first),
    )


def _scaled_block(one: keras.layers.Layer) -> Arrays:
    """A block whose branches are scaled: the scale is in their last layer."""
    weights = block(
        one.norm1,
        one.attention.attention,
        one.norm2,
        one.mlp.fc1,
        one.mlp.fc2,
    )
    for name, scale in (
        ("output", one.layer_scale1),
        ("contract", one.layer_scale2),
    ):
        for part in (f"{name}_kernel", f"{name}_bias"):
            weights[part] = weights[part] * array_of(scale.lambda1)
    return weights
