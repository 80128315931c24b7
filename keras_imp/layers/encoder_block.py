"""One pre-norm Transformer block: attention, then feed-forward."""

from typing import Any

import keras
from keras import ops

from keras_imp._errors import message
from keras_imp.layers._runtime.config import arguments_of
from keras_imp.layers._runtime.layer import Layer
from keras_imp.layers._runtime.seeds import draw_seeds
from keras_imp.layers._runtime.seeds import dropout as seeded_dropout
from keras_imp.layers.attention import MultiHeadAttention
from keras_imp.layers.feed_forward import FeedForward
from keras_imp.layers.moe.base import SparseFeedForward
from keras_imp.layers.moe.spec import MoESpec
from keras_imp.typing import Tensor

# Attention probabilities, first residual, feed-forward, second residual.
SEEDS_PER_BLOCK = 4


def check_one_feed_forward(
    intermediate_dim: int | None, feed_forward: Any
) -> None:
    """Raise unless exactly one of the two says what the network is.

    Args:
        intermediate_dim: Width inside a dense network, or None.
        feed_forward: A routed layer, or None.

    Raises:
        ValueError: If both or none are given.

    Example:
        >>> from keras_imp.layers.encoder_block import check_one_feed_forward
        >>> check_one_feed_forward(16, None)
    """
    if (intermediate_dim is None) == (feed_forward is None):
        raise ValueError(
            message(
                "Exactly one of `intermediate_dim` and `feed_forward` must be "
                "given.",
                intermediate_dim=intermediate_dim,
                feed_forward=feed_forward,
            )
        )


@keras.saving.register_keras_serializable(package="keras_imp")
class EncoderBlock(Layer):
    """A pre-norm Transformer encoder block.

    h = x + Attention(LayerNorm(x)); y = h + FeedForward(LayerNorm(h)). The
    norms have a scale and by default no bias; their statistics are float32.

    Args:
        num_heads: Number of attention heads.
        intermediate_dim: Width inside the feed-forward network; None if
            `feed_forward` is given.
        qk_layer_norm: Whether queries and keys are normalized per head.
        dropout: Rate on attention probabilities, inside the feed-forward and
            on both residual branches.
        dropout_broadcast: Whether dropout removes whole heads and channels, as
            the first implementation does.
        use_bias: Whether dense layers and norms have biases.
        activation: Of the feed-forward network; see `FeedForward`. A routed
            layer has its own.
        layer_norm_epsilon: Epsilon of the norms.
        qkv_init: `"conventional"` or the faithful `"imp"`; see
            `MultiHeadAttention`.
        seed: Seed of the dropout. Defaults to a random one.
        feed_forward: A routed layer, such as `ExpertChoiceMoE`: the
            feed-forward network is a copy of it, with this block's dtype.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`, `dtype`.

    Call arguments:
        tokens: Shape `(batch, tokens, hidden_dim)`.
        padding_mask: True where a token is real, shape `(batch, tokens)`.
        mask: Keras' own mask, such as that of `Embedding(mask_zero=True)`;
            Keras hands it in. Used where there is no `padding_mask`.
        dropout_seeds: Seeds to use instead of the layer's own, shape `(4, 2)`.
        use_causal_mask: Whether no token attends to one after it. It is for
            the attention: which token a routed layer serves may depend on all.
        return_report: Whether to return the routed layer's `RoutingReport`
            too.
        training: Whether to apply dropout.

    Returns:
        Shape and dtype of `tokens`; with `return_report` a pair.

    Raises:
        ValueError: If not exactly one of `intermediate_dim` and `feed_forward`
            is given.

    Example:
        >>> import keras, keras_imp
        >>> block = keras_imp.layers.EncoderBlock(2, intermediate_dim=16)
        >>> tuple(block(keras.ops.ones((3, 5, 8))).shape)
        (3, 5, 8)

    Reference:
        docs/method.md, Encoder;
        [Xiong et al., 2020](https://arxiv.org/abs/2002.04745).
    """

    def __init__(
        self,
        num_heads: int,
        intermediate_dim: int | None = None,
        qk_layer_norm: bool = False,
        dropout: float = 0.0,
        dropout_broadcast: bool = False,
        use_bias: bool = False,
        activation: str = "gelu_tanh",
        layer_norm_epsilon: float = 1e-6,
        qkv_init: str = "conventional",
        seed: int | None = None,
        feed_forward: SparseFeedForward | MoESpec | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        check_one_feed_forward(intermediate_dim, feed_forward)
        self.num_heads = num_heads
        self.intermediate_dim = intermediate_dim
        self.qk_layer_norm = qk_layer_norm
        self.dropout = dropout
        self.dropout_broadcast = dropout_broadcast
        self.use_bias = use_bias
        self.activation = activation
        self.layer_norm_epsilon = layer_norm_epsilon
        self.qkv_init = qkv_init
        self.seed = seed
        common = {
            "dropout": dropout,
            "dropout_broadcast": dropout_broadcast,
            "use_bias": use_bias,
            "dtype": self.dtype_policy,
        }
        self.attention_norm = self._norm("attention_norm")
        self.attention = MultiHeadAttention(
            num_heads,
            qk_layer_norm=qk_layer_norm,
            layer_norm_epsilon=layer_norm_epsilon,
            qkv_init=qkv_init,
            name="attention",
            **common,
        )
        self.feed_forward_norm = self._norm("feed_forward_norm")
        spec = MoESpec.of(feed_forward)
        if spec is not None:
            self.feed_forward: Any = spec.make(
                name="feed_forward", dtype=self.dtype_policy
            )
        elif intermediate_dim is not None:
            self.feed_forward = FeedForward(
                intermediate_dim,
                activation=activation,
                name="feed_forward",
                **common,
            )
        if self.uses_seeds:
            self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, tokens_shape, **kwargs):
        self.attention_norm.build(tokens_shape)
        self.attention.build(tokens_shape)
        self.feed_forward_norm.build(tokens_shape)
        self.feed_forward.build(tokens_shape)

    @property
    def is_routed(self) -> bool:
        """Whether the feed-forward network has experts."""
        return isinstance(self.feed_forward, SparseFeedForward)

    @property
    def uses_seeds(self) -> bool:
        """Whether training draws random numbers."""
        return self.dropout > 0 or (
            self.is_routed and self.feed_forward.uses_seeds
        )

    def call(
        self,
        tokens: Tensor,
        padding_mask: Tensor | None = None,
        dropout_seeds: Tensor | None = None,
        use_causal_mask: bool = False,
        return_report: bool = False,
        mask: Tensor | None = None,
        training: bool | None = None,
    ):
        if padding_mask is None:
            padding_mask = mask
        seeds = self._seeds(dropout_seeds, training)
        x = self.attention(
            self.attention_norm(tokens),
            padding_mask=padding_mask,
            dropout_seed=seeds[0],
            use_causal_mask=use_causal_mask,
            training=training,
        )
        h = tokens + self._residual_dropout(x, seeds[1])
        options = {"dropout_seed": seeds[2], "training": training}
        if self.is_routed:
            options["padding_mask"] = padding_mask
            options["return_report"] = return_report
        x = self.feed_forward(self.feed_forward_norm(h), **options)
        x, report = x if return_report else (x, None)
        y = h + self._residual_dropout(x, seeds[3])
        return (y, report) if return_report else y

    def get_config(self) -> dict[str, Any]:
        # The dense network is this block's own.
        given = {} if self.is_routed else {"feed_forward": None}
        config = arguments_of(self, EncoderBlock, **given)
        return {**super().get_config(), **config}

    def compute_output_spec(self, tokens, *args, return_report=False, **kwargs):
        if return_report:
            return super().compute_output_spec(
                tokens, *args, return_report=True, **kwargs
            )
        return keras.KerasTensor(tokens.shape, dtype=self.compute_dtype)

    def _norm(self, name: str) -> keras.layers.Layer:
        return keras.layers.LayerNormalization(
            epsilon=self.layer_norm_epsilon,
            center=self.use_bias,
            dtype=self.dtype_policy,
            name=name,
        )

    def _seeds(self, given: Tensor | None, training: bool | None) -> list:
        if not (training and self.uses_seeds):
            return [None] * SEEDS_PER_BLOCK
        if given is None:
            given = draw_seeds(self.seed_generator, (SEEDS_PER_BLOCK,))
        return [given[i] for i in range(SEEDS_PER_BLOCK)]

    def _residual_dropout(self, x: Tensor, seed: Tensor | None) -> Tensor:
        if seed is None or not self.dropout:
            return x
        noise_shape = None
        if self.dropout_broadcast:
            noise_shape = (ops.shape(x)[0], 1, x.shape[-1])
        return seeded_dropout(x, self.dropout, seed, noise_shape)
