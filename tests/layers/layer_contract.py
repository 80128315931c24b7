"""One case for every exported layer, and what a case is.

To put a layer under the contract, add a row to `CASES`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_imp import layers

BATCH = 3


class LayerCase(NamedTuple):
    """A layer and something to call it with.

    Attributes:
        layer: Class.
        arguments: Arguments of its constructor.
        inputs: Call arguments that are arrays; examples on axis 0.
        static: Call arguments that are not.
        mixed_dtype: Output dtype under mixed_bfloat16, as its docstring says.
    """

    layer: type
    arguments: dict[str, Any]
    inputs: Callable[[np.random.Generator], dict[str, Any]]
    static: dict[str, Any] = {}
    mixed_dtype: str = "bfloat16"

    def make(self, **arguments) -> keras.layers.Layer:
        return self.layer(**self.arguments, **arguments)


def floats(*shape):
    return lambda rng: {"inputs": _floats(rng, *shape)}


def tokens(rng):
    return {"tokens": _floats(rng, 7, 10)}


def masked_tokens(rng):
    lengths = np.array([[5], [7], [1]])
    return {**tokens(rng), "padding_mask": np.arange(7) < lengths}


def pixels(*shape):
    def make(rng):
        return {"inputs": rng.integers(0, 256, (BATCH, *shape), dtype="uint8")}

    return make


def ids(rng):
    return {"inputs": rng.integers(0, 11, size=(BATCH, 7), dtype="int32")}


def pooled(rng):
    return {"pooled": {"image": _floats(rng, 5), "text": _floats(rng, 7)}}


def _floats(rng, *shape):
    return rng.normal(size=(BATCH, *shape)).astype("float32")


HEADS = {"num_heads": 2}
BLOCK = {**HEADS, "intermediate_dim": 13}
STACK = {**BLOCK, "num_layers": 3}
VIDEO = {
    "hidden_dim": 10,
    "patch_size": (2, 3, 5),
    "num_channels": 3,
    "axis_names": ("frames", "height", "width"),
}
EVERYTHING = {
    "qk_layer_norm": True,
    "dropout": 0.3,
    "dropout_broadcast": True,
    "use_bias": True,
    "layer_norm_epsilon": 1e-5,
    "qkv_init": "imp",
    "seed": 3,
}
MIXTURE = {"num_experts": 3, "intermediate_dim": 13}
MIXTURE_OPTIONS = {
    **MIXTURE,
    "router_jitter": 0.1,
    "dropout": 0.3,
    "shared_expert": True,
    "use_bias": True,
    "activation": "gelu",
    "seed": 3,
}


def routed(**arguments):
    """A block's routed layer, made when the case is."""
    return layers.ExpertChoiceMoE(**{**MIXTURE_OPTIONS, **arguments})


SPACE = {"pairs": [("image", "text")], "output_dim": 13}

CASES = {
    "attention": LayerCase(layers.MultiHeadAttention, HEADS, tokens),
    "attention, all options": LayerCase(
        layers.MultiHeadAttention, {**HEADS, **EVERYTHING}, masked_tokens
    ),
    "attention, causal": LayerCase(
        layers.MultiHeadAttention,
        HEADS,
        masked_tokens,
        {"use_causal_mask": True},
    ),
    "attention pooling, all options": LayerCase(
        layers.AttentionPooling,
        {
            **BLOCK,
            "use_bias": True,
            "activation": "quick_gelu",
            "layer_norm_epsilon": 1e-5,
        },
        tokens,
    ),
    "attention pooling": LayerCase(
        layers.AttentionPooling, BLOCK, masked_tokens
    ),
    "common space, disjoint": LayerCase(
        layers.CommonSpace, SPACE, pooled, mixed_dtype="float32"
    ),
    "common space, joint": LayerCase(
        layers.CommonSpace,
        {**SPACE, "space": "joint"},
        pooled,
        mixed_dtype="float32",
    ),
    "drop token": LayerCase(
        layers.DropToken, {"rate": 0.5, "seed": 3}, masked_tokens
    ),
    "encoder block": LayerCase(layers.EncoderBlock, BLOCK, tokens),
    "encoder block, all options": LayerCase(
        layers.EncoderBlock, {**BLOCK, **EVERYTHING}, masked_tokens
    ),
    "encoder stack": LayerCase(layers.EncoderStack, STACK, tokens),
    "encoder stack, scan": LayerCase(
        layers.EncoderStack, {**STACK, "scan_layers": True}, tokens
    ),
    "encoder stack, all options": LayerCase(
        layers.EncoderStack,
        {**STACK, **EVERYTHING, "remat": True, "scan_layers": False},
        masked_tokens,
    ),
    "encoder block, experts": LayerCase(
        layers.EncoderBlock, {**HEADS, "feed_forward": routed()}, masked_tokens
    ),
    "encoder stack, causal, scan and remat": LayerCase(
        layers.EncoderStack,
        {
            **STACK,
            "use_bias": True,
            "activation": "quick_gelu",
            "scan_layers": True,
            "remat": True,
        },
        masked_tokens,
        {"use_causal_mask": True},
    ),
    "encoder stack, experts": LayerCase(
        layers.EncoderStack,
        {**HEADS, "num_layers": 3, "feed_forward": routed()},
        masked_tokens,
    ),
    "encoder stack, experts, scan and remat": LayerCase(
        layers.EncoderStack,
        {
            **HEADS,
            "num_layers": 3,
            "feed_forward": routed(),
            "scan_layers": True,
            "remat": True,
        },
        masked_tokens,
    ),
    "expert choice": LayerCase(layers.ExpertChoiceMoE, MIXTURE, tokens),
    "expert choice, all options": LayerCase(
        layers.ExpertChoiceMoE, MIXTURE_OPTIONS, masked_tokens
    ),
    "expert choice, one-hot": LayerCase(
        layers.ExpertChoiceMoE,
        {**MIXTURE_OPTIONS, "dispatch": "one_hot", "capacity_factor": 1.7},
        masked_tokens,
    ),
    "feed forward": LayerCase(
        layers.FeedForward, {"intermediate_dim": 13}, tokens
    ),
    "feed forward, all options": LayerCase(
        layers.FeedForward,
        {
            "intermediate_dim": 13,
            "dropout": 0.3,
            "dropout_broadcast": True,
            "use_bias": True,
            "activation": "quick_gelu",
            "seed": 3,
        },
        tokens,
    ),
    "first token pooling": LayerCase(
        layers.FirstTokenPooling, {}, masked_tokens
    ),
    "mean pooling": LayerCase(layers.MaskedMeanPooling, {}, masked_tokens),
    "mean pooling, no mask": LayerCase(layers.MaskedMeanPooling, {}, tokens),
    "patches of a video": LayerCase(
        layers.PatchEmbedding, VIDEO, pixels(4, 6, 5, 3)
    ),
    "patches of an image": LayerCase(
        layers.PatchEmbedding, VIDEO, floats(6, 5, 3)
    ),
    "patches of a spectrogram, padded": LayerCase(
        layers.PatchEmbedding,
        {"hidden_dim": 10, "patch_size": (3, 2), "padding": "same"},
        floats(7, 5),
    ),
    "positions of a video": LayerCase(
        layers.PositionEmbedding,
        # Every row gets a gradient, and so does every table.
        {"buckets": (7, 5, 3), "interpolate": True},
        lambda rng: {"tokens": _floats(rng, 12, 10)},
        {"grid": (2, 3, 2)},
    ),
    "positions of a grid, resampled": LayerCase(
        layers.GridPositionEmbedding,
        {"buckets": (2, 5, 3), "scale": 0.2},
        lambda rng: {"tokens": _floats(rng, 12, 10)},
        {"grid": (2, 3, 2)},
    ),
    "positions of a grid, a sequence": LayerCase(
        layers.GridPositionEmbedding,
        {"buckets": (11,), "resample": False},
        tokens,
        {"grid": (7,)},
    ),
    "positions of text": LayerCase(
        layers.PositionEmbedding,
        {"buckets": (11,), "dilated": False, "coordinates": "float32"},
        tokens,
        {"grid": (7,)},
    ),
    "projection head": LayerCase(
        layers.ProjectionHead, {"output_dim": 13, "hidden_dim": 11}, floats(7)
    ),
    "soft mixture": LayerCase(
        layers.SoftMoE, {**MIXTURE, "slots_per_expert": 2}, tokens
    ),
    "soft mixture, masked": LayerCase(
        layers.SoftMoE,
        {**MIXTURE, "slots_per_expert": 2, "router_z_loss": 0.1},
        masked_tokens,
    ),
    "token choice": LayerCase(layers.TokenChoiceMoE, MIXTURE, tokens),
    "token choice, all options": LayerCase(
        layers.TokenChoiceMoE,
        {
            **MIXTURE_OPTIONS,
            "num_selected": 2,
            "batch_priority": True,
            "balance_rate": 0.01,
            "capacity_factor": 2.0,
        },
        masked_tokens,
    ),
    "token dense": LayerCase(
        layers.TokenDense,
        {"units": 13, "kernel_initializer": "lecun_normal"},
        floats(5, 7),
    ),
    "token embedding": LayerCase(
        layers.TokenEmbedding, {"vocabulary_size": 11, "hidden_dim": 10}, ids
    ),
}
