"""`keras_hub.models.CLIPVisionEncoder` as an encoder."""

import keras

from keras_imp.models.warm_start.checks import activation_of
from keras_imp.models.warm_start.weights import (
    CLIP,
    Arrays,
    BackboneWeights,
    array_of,
    block,
    dense,
    norm,
    rows_by_id,
    sizes_of,
)


def clip_vision(backbone: keras.Model) -> BackboneWeights:
    """Weights of the vision tower of CLIP, without its projection.

    Args:
        backbone: A `CLIPVisionEncoder`.

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
            "pooling": "token",
            "num_first_tokens": 1,
            "activation": activation_of(backbone),
            "layer_norm_epsilon": backbone.pre_layer_norm.epsilon,
            "use_entry_norm": True,
        },
        layers=clip_layers(backbone),
        final_norm=norm(backbone.layer_norm),
        positions=table[1:].reshape(side, side, -1),
        patches=dense(embedding.patch_embedding),
        normalization=CLIP,
        first_tokens=array_of(embedding.class_embedding)[None] + table[:1],
        entry_norm=norm(backbone.pre_layer_norm),
    )


def clip_layers(backbone: keras.Model) -> list[Arrays]:
    """Weights of the blocks of a tower of CLIP.

    Args:
        backbone: One of the towers.

    Returns:
        Weights of each block, by name.
    """
    return [
        block(
            one.layer_norm_1,
            one.attention,
            one.layer_norm_2,
            one.dense_1,
            one.dense_2,
        )
        for one in backbone.encoder_layers
    ]
