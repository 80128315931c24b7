"""A sequence of tokens in, one vector out."""

from typing import Any

import keras
from keras import ops

from keras_imp._errors import check_positive
from keras_imp.layers._runtime.layer import Layer
from keras_imp.layers.attention import MASKED_LOGIT, check_heads
from keras_imp.layers.dense import TokenDense
from keras_imp.layers.feed_forward import FeedForward
from keras_imp.typing import Tensor

POOLINGS = ("mean", "token", "attention")


class _Pooling(Layer):
    """What the poolings share: shapes, and that they use up Keras' mask."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_mask(self, inputs, previous_mask=None):
        return None

    def compute_output_spec(self, tokens, padding_mask=None, mask=None):
        return keras.KerasTensor(
            (tokens.shape[0], tokens.shape[-1]), dtype=self.compute_dtype
        )


@keras.saving.register_keras_serializable(package="keras_imp")
class MaskedMeanPooling(_Pooling):
    """Mean of the real tokens; 0 where all tokens are padding.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`, `dtype`.

    Call arguments:
        tokens: Shape `(batch, tokens, hidden_dim)`.
        padding_mask: True where a token is real, shape `(batch, tokens)`.
        mask: Keras' own mask, such as that of `Embedding(mask_zero=True)`;
            Keras hands it in. Used where there is no `padding_mask`.

    Returns:
        Shape `(batch, hidden_dim)`, in the compute dtype. Summed in float32.

    Example:
        >>> import keras, keras_imp
        >>> pool = keras_imp.layers.MaskedMeanPooling()
        >>> x = keras.ops.array([[[1.0], [3.0], [100.0]]])
        >>> mask = keras.ops.array([[True, True, False]])
        >>> round(float(pool(x, padding_mask=mask)[0, 0]), 3)
        2.0

    Reference:
        docs/method.md, Tasks and losses.
    """

    def call(
        self,
        tokens: Tensor,
        padding_mask: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        if padding_mask is None:
            padding_mask = mask
        x = ops.cast(tokens, "float32")
        if padding_mask is None:
            mean = ops.mean(x, axis=1)
        else:
            real = ops.cast(padding_mask, "float32")
            total = ops.sum(x * ops.expand_dims(real, -1), axis=1)
            mean = total / (ops.sum(real, axis=1)[:, None] + 1e-6)
        return ops.cast(mean, self.compute_dtype)


@keras.saving.register_keras_serializable(package="keras_imp")
class FirstTokenPooling(_Pooling):
    """The first token, for encoders that prepend a learned one.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`, `dtype`.

    Call arguments:
        tokens: Shape `(batch, tokens, hidden_dim)`.
        padding_mask: Accepted and not needed.
        mask: Keras' own mask, accepted and not needed.

    Returns:
        Shape `(batch, hidden_dim)`, in the compute dtype.

    Example:
        >>> import keras, keras_imp
        >>> pool = keras_imp.layers.FirstTokenPooling()
        >>> float(pool(keras.ops.array([[[1.0], [3.0]]]))[0, 0])
        1.0

    Reference:
        docs/method.md, Tasks and losses (special token).
    """

    def call(
        self,
        tokens: Tensor,
        padding_mask: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        del padding_mask, mask  # The first token is always real.
        return ops.cast(tokens[:, 0], self.compute_dtype)


@keras.saving.register_keras_serializable(package="keras_imp")
class AttentionPooling(_Pooling):
    """A learned probe that attends to all real tokens.

    a = Attention(probe, tokens); y = a + FeedForward(LayerNorm(a)).

    Args:
        num_heads: Number of attention heads.
        intermediate_dim: Width inside the feed-forward network.
        use_bias: Whether the dense layers have biases.
        activation: Of the feed-forward network; see `FeedForward`.
        layer_norm_epsilon: Epsilon of the norm.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`, `dtype`.

    Call arguments:
        tokens: Shape `(batch, tokens, hidden_dim)`.
        padding_mask: True where a token is real, shape `(batch, tokens)`.
        mask: Keras' own mask, such as that of `Embedding(mask_zero=True)`;
            Keras hands it in. Used where there is no `padding_mask`.

    Returns:
        Shape `(batch, hidden_dim)`, in the compute dtype.

    Raises:
        ValueError: If the width of the tokens is no multiple of `num_heads`.

    Example:
        >>> import keras, keras_imp
        >>> pool = keras_imp.layers.AttentionPooling(2, intermediate_dim=16)
        >>> tuple(pool(keras.ops.ones((3, 5, 8))).shape)
        (3, 8)

    Reference:
        docs/method.md, Tasks and losses; [Zhai et al., 2022](https://arxiv.org/abs/2106.04560).
    """

    def __init__(
        self,
        num_heads: int,
        intermediate_dim: int,
        use_bias: bool = False,
        activation: str = "gelu_tanh",
        layer_norm_epsilon: float = 1e-6,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(num_heads=num_heads, intermediate_dim=intermediate_dim)
        self.num_heads = num_heads
        self.intermediate_dim = intermediate_dim
        self.use_bias = use_bias
        self.activation = activation
        self.layer_norm_epsilon = layer_norm_epsilon

    def build(self, tokens_shape, **kwargs):
        width = tokens_shape[-1]
        check_heads(width, self.num_heads)
        self.probe = self.add_weight(
            name="probe", shape=(1, width), initializer="glorot_normal"
        )
        self.query, self.key, self.value, self.output_projection = (
            TokenDense(
                width,
                use_bias=self.use_bias,
                kernel_initializer="lecun_normal",
                dtype=self.dtype_policy,
                name=name,
            )
            for name in ("query", "key", "value", "output")
        )
        for layer in (self.query, self.key, self.value, self.output_projection):
            layer.build((None, None, width))
        self.norm = keras.layers.LayerNormalization(
            epsilon=self.layer_norm_epsilon,
            dtype=self.dtype_policy,
            name="norm",
        )
        self.norm.build((None, None, width))
        self.feed_forward = FeedForward(
            self.intermediate_dim,
            use_bias=self.use_bias,
            activation=self.activation,
            dtype=self.dtype_policy,
            name="feed_forward",
        )
        self.feed_forward.build((None, None, width))

    def call(
        self,
        tokens: Tensor,
        padding_mask: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        if padding_mask is None:
            padding_mask = mask
        heads = self.num_heads
        width = tokens.shape[-1]
        head_dim = width // heads
        q = self.query(ops.convert_to_tensor(self.probe))  # (1, hidden)
        q = ops.reshape(q, (heads, head_dim, 1)) * head_dim**-0.5
        shape = (-1, ops.shape(tokens)[1], heads, head_dim)
        # Both (batch, heads, tokens, head_dim), one product each.
        k, v = (
            ops.transpose(ops.reshape(layer(tokens), shape), (0, 2, 1, 3))
            for layer in (self.key, self.value)
        )
        logits = ops.cast(ops.matmul(k, q), "float32")[..., 0]
        if padding_mask is not None:
            real = ops.expand_dims(ops.cast(padding_mask, "bool"), 1)
            logits = ops.where(real, logits, MASKED_LOGIT)
        probabilities = ops.cast(ops.softmax(logits, axis=-1), v.dtype)
        x = ops.matmul(ops.expand_dims(probabilities, 2), v)
        x = ops.reshape(x, (-1, 1, width))
        x = self.output_projection(x)
        return (x + self.feed_forward(self.norm(x)))[:, 0]


def make_pooling(
    pooling: str,
    num_heads: int,
    intermediate_dim: int,
    use_bias: bool = False,
    activation: str = "gelu_tanh",
    layer_norm_epsilon: float = 1e-6,
    **kwargs: Any,
) -> keras.layers.Layer:
    """The pooling layer of a name.

    Args:
        pooling: One of `POOLINGS`.
        num_heads: Heads of `AttentionPooling`.
        intermediate_dim: Width inside the network of `AttentionPooling`.
        use_bias: Whether that one's dense layers have biases.
        activation: Of its network.
        layer_norm_epsilon: Epsilon of its norm.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`, `dtype`.

    Returns:
        The layer.

    Example:
        >>> from keras_imp.layers.pooling import make_pooling
        >>> type(make_pooling("mean", 2, 8)).__name__
        'MaskedMeanPooling'
    """
    if pooling == "mean":
        return MaskedMeanPooling(**kwargs)
    if pooling == "token":
        return FirstTokenPooling(**kwargs)
    return AttentionPooling(
        num_heads,
        intermediate_dim,
        use_bias=use_bias,
        activation=activation,
        layer_norm_epsilon=layer_norm_epsilon,
        **kwargs,
    )
