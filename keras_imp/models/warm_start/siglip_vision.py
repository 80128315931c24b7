"""`keras_hub.models.SigLIPVisionEncoder` as an encoder."""

import keras

from keras_imp.models.warm_start.checks import activation_of
from keras_imp.models.warm_start.weights import (
    Arrays,
    BackboneWeights,
    array_of,
    attention,
    block,
    dense,
    norm,
    rows_by_id,
    sizes_of,
)


def siglip_vision(backbone: keras.Model) -> BackboneWeights:
    """Weights of the vision tower of SigLIP.

    Args:
        backbone: A `SigLIPVisionEncoder`.

    Returns:
        The weights.

    Raises:
        ValueError: If the encoder does not have its activation.
    """
    embedding = backbone.embedding
    side = embedding.image_size // embedding.patch_size
    table = rows_by_id(
        embedding.position_embedding.embeddings, embedding.position_ids
    )
    return BackboneWeights(
        arguments={
            **sizes_of(backbone),
            "patch_size": (embedding.patch_size,) * 2,
            "position_buckets": (side, side),
            "pooling": "attention",
            "num_first_tokens": 1,
            "activation": activation_of(backbone),
            "layer_norm_epsilon": backbone.layer_norm_epsilon,
            "final_norm_epsilon": backbone.post_layer_norm.epsilon,
        },
        layers=siglip_layers(backbone),
        final_norm=norm(backbone.post_layer_norm),
        positions=table.reshape(side, side, -1),
        patches=dense(embedding.patch_embedding),
        pool=_pool(backbone.head),
    )


def siglip_layers(backbone: keras.Model) -> list[Arrays]:
    """Weights of the blocks of a tower of SigLIP.

    Args:
        backbone: One of the towers.

    Returns:
        Weights of each block, by name.
    """
    return [
        block(
            one.layer_norm1,
            one.self_attn,
            one.layer_norm2,
            one.mlp.fc1,
            one.mlp.fc2,
        )
        for one in backbone.encoder_layers
    ]


def _pool(head: keras.layers.Layer) -> Arrays:
    """The head: a probe that attends to all tokens, and a network."""
    weights = attention(head.attention)
    weights["pool_probe"] = array_of(head.probe)[0]
    weights["norm_gamma"], weights["norm_beta"] = norm(head.layer_norm)
    for name, layer in (("expand", head.mlp.fc1), ("contract", head.mlp.fc2)):
        weights[f"{name}_kernel"], weights[f"{name}_bias"] = dense(layer)
    return weights
