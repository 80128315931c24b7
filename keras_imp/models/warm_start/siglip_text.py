"""`keras_hub.models.SigLIPTextEncoder` as an encoder."""

import keras

from keras_imp.models.warm_start.checks import activation_of, check_equal
from keras_imp.models.warm_start.siglip_vision import siglip_layers
from keras_imp.models.warm_start.weights import (
    BackboneWeights,
    array_of,
    dense,
    norm,
    rows_by_id,
    sizes_of,
)


def siglip_text(backbone: keras.Model) -> BackboneWeights:
    """Weights of the text tower of SigLIP.

    Args:
        backbone: A `SigLIPTextEncoder`.

    Returns:
        The weights. Its head is the projection after the last norm, so the
        vector of a text is that of its last token.

    Raises:
        ValueError: If the encoder does not have its activation, or its tokens
            or its head have another width than its blocks.
    """
    check_equal(backbone, "embedding_dim", "hidden_dim")
    check_equal(backbone, "projection_dim", "hidden_dim")
    embedding = backbone.embedding
    return BackboneWeights(
        arguments={
            **sizes_of(backbone),
            "vocabulary_size": backbone.vocabulary_size,
            "max_sequence_length": backbone.max_sequence_length,
            "text_pooling": "last",
            "activation": activation_of(backbone),
            "layer_norm_epsilon": backbone.layer_norm_epsilon,
            "final_norm_epsilon": backbone.post_layer_norm.epsilon,
            "causal_text": False,
            # It attends to all tokens, whatever fills a text up.
            "mask_padding": False,
        },
        layers=siglip_layers(backbone),
        final_norm=norm(backbone.post_layer_norm),
        positions=rows_by_id(
            embedding.position_embedding.embeddings, embedding.position_ids
        ),
        table=array_of(embedding.token_embedding.embeddings),
        after=dense(backbone.head),
    )
