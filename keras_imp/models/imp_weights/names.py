"""What the parameters of the first implementation are called.

Its own spelling, faults included: `postition`, `spectoral`.

Source: [google-research](https://github.com/google-research/google-research/tree/master/imp/max/modeling),
Apache-2.0: `garden/imp.py`, `multimodal.py`, `embeddings.py`,
`transformers.py`, `attention.py`, `moe.py`, `heads.py`.

Shape legend: D width, F width inside the feed-forward network, H heads, d width
of a head, E experts.
"""

from typing import NamedTuple

# The module of the blocks: of dense and of sparse models.
ENCODERS = ("transformer_encoder", "moe_transformer_encoder")
# By which a block is known, and whether it has experts.
QUERY = "self_attention/q/kernel"
ROUTER = "feed_forward/router/w/kernel"
# Added to a kernel: scale * left @ right.
LORA = ("kernel_left", "kernel_right")


class Source(NamedTuple):
    """Where an embedder comes from.

    Attributes:
        stem: What the names of its modules begin with.
        short: Its name inside of these.
        axes: Axes of its position tables.
        modalities: Modalities of an encoder that it embeds.
    """

    stem: str
    short: str
    axes: tuple[str, ...]
    modalities: tuple[str, ...]

    @property
    def name(self) -> str:
        """The modality, as heads call it."""
        return self.stem.partition("_")[0]

    @property
    def has_ids(self) -> bool:
        """Whether it embeds token ids."""
        return self.stem.endswith("_id")

    @property
    def embedding(self) -> str:
        """Kernel of the patches, or table of the token ids."""
        weight = "embedding" if self.has_ids else "kernel"
        return f"{self.stem}_to_embed/{self.short}_to_embedding/{weight}"

    @property
    def tables(self) -> tuple[str, ...]:
        """Position tables, one for each axis."""
        return tuple(
            f"{self.stem}_to_embed/{self.short}_pos_encoding/"
            f"{axis}_postition_embeddings/embedding"
            for axis in self.axes
        )

    @property
    def first_token(self) -> str:
        """The learned token before the others."""
        return f"{self.stem}_agg_token/embedding"


# By the name of an encoder's embedder. Three more sources of the first
# implementation embed discrete codes, and three features of other models.
SOURCES = {
    "vision": Source(
        "vision_token_raw",
        "rgb",
        ("temporal", "vertical", "horizontal"),
        ("image", "video"),
    ),
    "audio": Source(
        "spectrogram_token_raw", "spc", ("temporal", "spectoral"), ("audio",)
    ),
    "waveform": Source(
        "waveform_token_raw", "wav", ("temporal",), ("waveform",)
    ),
    "text": Source("text_token_id", "txt", ("temporal",), ("text",)),
}
# By modality.
SOURCE_OF = {
    modality: source
    for source in SOURCES.values()
    for modality in source.modalities
}
# By the name that a stack gives its weights; biases only with `use_bias`.
LAYER = {
    "attention_norm_gamma": "layer_norm_sa/scale",  # D
    "query_kernel": QUERY,  # D, H, d
    "key_kernel": "self_attention/k/kernel",
    "value_kernel": "self_attention/v/kernel",
    "output_kernel": "self_attention/o/kernel",  # H, d, D
    "query_norm_gamma": "self_attention/layer_norm_q/scale",  # d
    "key_norm_gamma": "self_attention/layer_norm_k/scale",
    "feed_forward_norm_gamma": "layer_norm_ffn/scale",  # D
    "expand_kernel": "feed_forward/wi/kernel",  # D, F
    "contract_kernel": "feed_forward/wo/kernel",  # F, D
    "feed_forward_router_kernel": ROUTER,  # D, E
    "experts_expand_kernel": "feed_forward/experts/wi/kernel",  # E, D, F
    "experts_contract_kernel": "feed_forward/experts/wo/kernel",  # E, F, D
    "attention_norm_beta": "layer_norm_sa/bias",  # D
    "query_bias": "self_attention/q/bias",  # H, d
    "key_bias": "self_attention/k/bias",
    "value_bias": "self_attention/v/bias",
    "output_bias": "self_attention/o/bias",  # D
    "query_norm_beta": "self_attention/layer_norm_q/bias",  # d
    "key_norm_beta": "self_attention/layer_norm_k/bias",
    "feed_forward_norm_beta": "layer_norm_ffn/bias",  # D
    "expand_bias": "feed_forward/wi/bias",  # F
    "contract_bias": "feed_forward/wo/bias",  # D
    "experts_expand_bias": "feed_forward/experts/wi/bias",  # E, F
    "experts_contract_bias": "feed_forward/experts/wo/bias",  # E, D
}


def layer_shape(
    weight: str, shape: tuple[int, ...], num_heads: int
) -> tuple[int, ...]:
    """Shape of a layer's weight in the first implementation.

    Args:
        weight: A key of `LAYER`.
        shape: Shape in an encoder, without the layer axis.
        num_heads: Number of heads.

    Returns:
        The shape: that of the encoder, but with heads for attention.

    Example:
        >>> from keras_imp.models.imp_weights.names import layer_shape
        >>> layer_shape("query_kernel", (8, 8), num_heads=2)
        (8, 2, 4)
        >>> layer_shape("output_kernel", (8, 8), num_heads=2)
        (2, 4, 8)
    """
    heads = (num_heads, shape[0] // num_heads)
    layer, _, kind = weight.rpartition("_")
    if layer in ("query", "key", "value"):
        return (*shape[:-1], *heads)
    if layer == "output" and kind == "kernel":
        return (*heads, shape[-1])
    if layer.startswith("experts") and kind == "bias":
        return (shape[0], shape[-1])  # Ours has an axis of slots between.
    return shape
