"""Multi-head self-attention with padding mask and QK-LayerNorm.

einsum legend: b batch, h heads, q query tokens, k key tokens, d head width.
"""

import math

import keras
from keras import ops

from keras_imp._errors import check_choice, check_positive, check_rate, message
from keras_imp.layers._runtime.backend_ops import softmax
from keras_imp.layers._runtime.device import runs_on
from keras_imp.layers._runtime.layer import Layer
from keras_imp.layers._runtime.seeds import draw_seeds
from keras_imp.layers._runtime.seeds import dropout as seeded_dropout
from keras_imp.layers.dense import TokenDense, flatten_leading, lecun_normal
from keras_imp.typing import Tensor

# Added to the logits of padding: far below any logit, far from infinity, so
# that a row of padding only becomes uniform instead of NaN (docs/method.md,
# Encoder).
MASKED_LOGIT = -1e10


def check_heads(width: int, num_heads: int) -> None:
    """Raise unless the heads share the width of the tokens equally.

    Args:
        width: Width of the tokens.
        num_heads: Number of heads.

    Raises:
        ValueError: If `width` is no multiple of `num_heads`.

    Example:
        >>> from keras_imp.layers.attention import check_heads
        >>> check_heads(16, 4)
    """
    if width % num_heads:
        raise ValueError(
            message(
                "The width of the tokens must be a multiple of `num_heads`.",
                hidden_dim=width,
                num_heads=num_heads,
            )
        )


@keras.saving.register_keras_serializable(package="keras_imp")
class MultiHeadAttention(Layer):
    """Let every token of a sequence attend to every real token of it.

    softmax(q k' / sqrt(head_dim)) v per head, with the softmax in float32. The
    head width is `hidden_dim / num_heads`. Padding tokens are never attended.

    On a GPU without dropout the products go through
    `keras.ops.dot_product_attention`, which is the flash path there; elsewhere
    they are two batched matrix products, which is faster on a CPU.

    Args:
        num_heads: Number of heads; must divide the width of the tokens.
        qk_layer_norm: Whether to normalize queries and keys over the channels
            of each head, which bounds the logits. Needed by sparse encoders.
        dropout: Rate on the attention probabilities.
        dropout_broadcast: Whether dropout removes whole heads of an example, as
            the first implementation does.
        use_bias: Whether the projections have biases.
        layer_norm_epsilon: Epsilon of the norms of queries and keys.
        qkv_init: `"conventional"` (fan-in = hidden_dim), or the faithful
            `"imp"` (fan-in = hidden_dim * num_heads).
        seed: Seed of the dropout. Defaults to a random one.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`, `dtype`.

    Call arguments:
        tokens: Shape `(batch, tokens, hidden_dim)`.
        padding_mask: True where a token is real, shape `(batch, tokens)`.
        mask: Keras' own mask, such as that of `Embedding(mask_zero=True)`;
            Keras hands it in. Used where there is no `padding_mask`.
        dropout_seed: Seed to use instead of the layer's own, shape `(2,)`.
        use_causal_mask: Whether no token attends to one after it.
        training: Whether to apply dropout.

    Returns:
        Shape and dtype of `tokens`.

    Raises:
        ValueError: If the width of the tokens is no multiple of `num_heads`.

    Example:
        >>> import keras, keras_imp
        >>> layer = keras_imp.layers.MultiHeadAttention(num_heads=2)
        >>> tuple(layer(keras.ops.ones((3, 5, 8))).shape)
        (3, 5, 8)

    Reference:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), section 3.2;
        QK-LayerNorm: [Dehghani et al., 2023](https://arxiv.org/abs/2302.05442).
    """

    def __init__(
        self,
        num_heads: int,
        qk_layer_norm: bool = False,
        dropout: float = 0.0,
        dropout_broadcast: bool = False,
        use_bias: bool = False,
        layer_norm_epsilon: float = 1e-6,
        qkv_init: str = "conventional",
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        check_positive(num_heads=num_heads)
        check_rate(dropout=dropout)
        check_choice(("conventional", "imp"), qkv_init=qkv_init)
        self.num_heads = num_heads
        self.qk_layer_norm = qk_layer_norm
        self.dropout = dropout
        self.dropout_broadcast = dropout_broadcast
        self.use_bias = use_bias
        self.layer_norm_epsilon = layer_norm_epsilon
        self.qkv_init = qkv_init
        self.seed = seed
        if dropout:
            self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, tokens_shape, **kwargs):
        width = tokens_shape[-1]
        check_heads(width, self.num_heads)
        self._use_flash = runs_on("gpu", "cuda", "rocm")
        fans = (width, self.num_heads if self.qkv_init == "imp" else 1)

        def dense(name, initializer):
            layer = TokenDense(
                width,
                use_bias=self.use_bias,
                kernel_initializer=initializer,
                dtype=self.dtype_policy,
                name=name,
            )
            layer.build((None, None, width))
            return layer

        self.query, self.key, self.value = (
            dense(name, lecun_normal(fans))
            for name in ("query", "key", "value")
        )
        self.output_projection = dense("output", "lecun_normal")
        if self.qk_layer_norm:
            self.query_norm = self._norm("query_norm", width)
            self.key_norm = self._norm("key_norm", width)

    def call(
        self,
        tokens: Tensor,
        padding_mask: Tensor | None = None,
        dropout_seed: Tensor | None = None,
        use_causal_mask: bool = False,
        mask: Tensor | None = None,
        training: bool | None = None,
    ) -> Tensor:
        if padding_mask is None:
            padding_mask = mask
        allowed = _allowed(tokens, padding_mask, use_causal_mask)
        # Flat once: each layer would keep a copy for its gradient.
        rows = flatten_leading(tokens)
        q, k, v = (
            self._split_heads(layer(rows), tokens)
            for layer in (self.query, self.key, self.value)
        )
        if self.qk_layer_norm:
            q, k = self.query_norm(q), self.key_norm(k)
        use_dropout = bool(training) and self.dropout > 0
        if self._use_flash and not use_dropout:
            x = self._flash_attention(q, k, v, allowed)
        else:
            probabilities = self._probabilities(q, k, allowed)
            if use_dropout:
                probabilities = self._drop(probabilities, dropout_seed)
            x = ops.matmul(ops.cast(probabilities, v.dtype), v)
        x = ops.transpose(x, (0, 2, 1, 3))
        return self.output_projection(
            ops.reshape(x, self._merged_shape(tokens))
        )

    def compute_output_spec(self, tokens, *args, **kwargs):
        return keras.KerasTensor(tokens.shape, dtype=self.compute_dtype)

    def _norm(self, name: str, width: int) -> keras.layers.Layer:
        head_dim = width // self.num_heads
        norm = keras.layers.LayerNormalization(
            epsilon=self.layer_norm_epsilon,
            center=self.use_bias,
            dtype=self.dtype_policy,
            name=name,
        )
        norm.build((None, self.num_heads, None, head_dim))
        return norm

    def _split_heads(self, rows: Tensor, tokens: Tensor) -> Tensor:
        """(batch * tokens, hidden) to (batch, heads, tokens, head_dim)."""
        shape = self._merged_shape(tokens)
        head_dim = rows.shape[-1] // self.num_heads
        x = ops.reshape(rows, (*shape[:2], self.num_heads, head_dim))
        return ops.transpose(x, (0, 2, 1, 3))

    @staticmethod
    def _merged_shape(x: Tensor) -> tuple:
        tokens = x.shape[1] if x.shape[1] is not None else ops.shape(x)[1]
        return (-1, tokens, x.shape[-1])

    @staticmethod
    def _probabilities(q: Tensor, k: Tensor, allowed: Tensor | None) -> Tensor:
        """softmax(q k' / sqrt(d)), float32, (batch, heads, tokens, tokens)."""
        q = q * (1.0 / math.sqrt(q.shape[-1]))
        logits = ops.matmul(
            q, ops.transpose(k, (0, 1, 3, 2))
        )  # bhqd,bhkd->bhqk
        logits = ops.cast(logits, "float32")
        if allowed is not None:
            logits = ops.where(allowed, logits, MASKED_LOGIT)
        return softmax(logits)

    @staticmethod
    def _flash_attention(q, k, v, allowed: Tensor | None) -> Tensor:
        q, k, v = (ops.transpose(t, (0, 2, 1, 3)) for t in (q, k, v))
        x = ops.dot_product_attention(q, k, v, mask=allowed)
        return ops.transpose(x, (0, 2, 1, 3))

    def _drop(self, probabilities: Tensor, seed: Tensor | None) -> Tensor:
        if seed is None:
            seed = draw_seeds(self.seed_generator, ())
        noise_shape = None
        if self.dropout_broadcast:
            noise_shape = (*ops.shape(probabilities)[:2], 1, 1)
        return seeded_dropout(probabilities, self.dropout, seed, noise_shape)


def _allowed(
    tokens: Tensor, padding_mask: Tensor | None, use_causal_mask: bool
) -> Tensor | None:
    """Which token may attend to which, `(batch or 1, 1, queries, keys)`.

    The axis of the queries is 1 where all may attend to the same keys.
    """
    real = None
    if padding_mask is not None:
        # Not by indexing: LiteRT cannot where the length is unknown.
        real = ops.expand_dims(ops.cast(padding_mask, "bool"), (1, 2))
    if not use_causal_mask:
        return real
    length = tokens.shape[1]
    if length is None:
        length = ops.shape(tokens)[1]
    place = ops.arange(0, length, dtype="int32")
    earlier = (place[:, None] >= place[None, :])[None, None]
    return earlier if real is None else ops.logical_and(real, earlier)
