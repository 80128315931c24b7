"""Tokens in, tokens out: layers that work alone in any Keras model."""

from keras_imp.layers.attention import MultiHeadAttention
from keras_imp.layers.dense import TokenDense
from keras_imp.layers.drop_token import DropToken
from keras_imp.layers.encoder_block import EncoderBlock
from keras_imp.layers.encoder_stack import EncoderStack
from keras_imp.layers.feed_forward import FeedForward
from keras_imp.layers.grid_position_embedding import GridPositionEmbedding
from keras_imp.layers.moe.layers import (
    ExpertChoiceMoE,
    SoftMoE,
    TokenChoiceMoE,
)
from keras_imp.layers.moe.report import RoutingReport
from keras_imp.layers.patch_embedding import PatchEmbedding
from keras_imp.layers.pooling import (
    AttentionPooling,
    FirstTokenPooling,
    MaskedMeanPooling,
)
from keras_imp.layers.position_embedding import PositionEmbedding
from keras_imp.layers.projection_head import CommonSpace, ProjectionHead
from keras_imp.layers.token_embedding import TokenEmbedding

__all__ = [
    "AttentionPooling",
    "CommonSpace",
    "DropToken",
    "EncoderBlock",
    "EncoderStack",
    "ExpertChoiceMoE",
    "FeedForward",
    "FirstTokenPooling",
    "GridPositionEmbedding",
    "MaskedMeanPooling",
    "MultiHeadAttention",
    "PatchEmbedding",
    "PositionEmbedding",
    "ProjectionHead",
    "RoutingReport",
    "SoftMoE",
    "TokenChoiceMoE",
    "TokenDense",
    "TokenEmbedding",
]
