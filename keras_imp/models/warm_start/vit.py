"""`keras_hub.models.ViTBackbone` as an encoder."""

import keras

from keras_imp.models.warm_start.checks import refuse
from keras_imp.models.warm_start.weights import (
    BackboneWeights,
    array_of,
    block,
    dense,
    norm,
)


def vit(backbone: keras.Model) -> BackboneWeights:
    """Weights of a Vision Transformer.

    Args:
        backbone: A `ViTBackbone`.

    Returns:
        The weights. With a class token the outputs are at it and at the
        patches; without, at the patches.

    Raises:
        ValueError: If its images have other than three channels.
    """
    patching = backbone.get_layer("vit_patching_and_embedding")
    encoder = backbone.get_layer("vit_encoder")
    if patching.num_channels != 3:
        refuse(
            backbone,
            "Images must have 3 channels.",
            image_shape=backbone.image_shape,
        )
    height, width = (int(size) for size in patching.patch_size)
    rows, columns = (
        size // patch
        for size, patch in zip(patching.image_size, (height, width))
    )
    table = array_of(patching.position_embedding.embeddings)
    first, arguments = None, {}
    if patching.use_class_token:
        first = array_of(patching.class_token)[0] + table[:1]
        table = table[1:]
        arguments = {"pooling": "token", "num_first_tokens": 1}
    return BackboneWeights(
        arguments={
            "hidden_dim": backbone.hidden_dim,
            "intermediate_dim": backbone.mlp_dim,
            "num_layers": backbone.num_layers,
            "num_heads": backbone.num_heads,
            "patch_size": (height, width),
            "position_buckets": (rows, columns),
            "activation": "gelu",
            "layer_norm_epsilon": backbone.layer_norm_epsilon,
            **arguments,
        },
        layers=[
            block(
                one.layer_norm_1,
                one.mha,
                one.layer_norm_2,
                one.mlp.dense_1,
                one.mlp.dense_2,
            )
            for one in encoder.encoder_layers
        ],
        final_norm=norm(encoder.layer_norm),
        positions=table.reshape(rows, columns, -1),
        patches=dense(patching.patch_embedding),
        first_tokens=first,
    )
