"""`keras_hub.models.CLIPTextEncoder` as an encoder."""

import keras

from keras_imp.models.warm_start.checks import activation_of, check_equal
from keras_imp.models.warm_start.clip_vision import clip_layers
from keras_imp.models.warm_start.weights import (
    BackboneWeights,
    array_of,
    norm,
    sizes_of,
)


def clip_text(backbone: keras.Model) -> BackboneWeights:
    """Weights of the text tower of CLIP, without its projection.

    Args:
        backbone: A `CLIPTextEncoder`.

    Returns:
        The weights. A text is pooled where the tower is: at its first token
        with the largest id.

    Raises:
        ValueError: If the encoder does not have its activation, or tokens are
            embedded in another width.
    """
    check_equal(backbone, "embedding_dim", "hidden_dim")
    embedding = backbone.embedding
    return BackboneWeights(
        arguments={
            **sizes_of(backbone),
            "vocabulary_size": backbone.vocabulary_size,
            "max_sequence_length": backbone.max_sequence_length,
            "text_pooling": "eos",
            "activation": activation_of(backbone),
            "layer_norm_epsilon": backbone.encoder_layers[
                0
            ].layer_norm_1.epsilon,
            "final_norm_epsilon": backbone.layer_norm.epsilon,
            "causal_text": True,
            # Id 0 is a character in its vocabulary.
            "mask_padding": False,
        },
        layers=clip_layers(backbone),
        final_norm=norm(backbone.layer_norm),
        positions=array_of(embedding.position_embedding.position_embeddings),
        table=array_of(embedding.token_embedding.embeddings),
    )
