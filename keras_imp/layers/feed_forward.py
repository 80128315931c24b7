"""The two-layer network that is applied to each token alone."""

import keras
from keras import ops

from keras_imp._errors import check_choice, check_positive, check_rate
from keras_imp.layers._runtime.activations import ACTIVATIONS, activate
from keras_imp.layers._runtime.layer import Layer
from keras_imp.layers._runtime.seeds import draw_seeds
from keras_imp.layers._runtime.seeds import dropout as seeded_dropout
from keras_imp.layers.dense import TokenDense
from keras_imp.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_imp")
class FeedForward(Layer):
    """Dense, activation, dropout, Dense: one token at a time.

    Args:
        intermediate_dim: Width between the two dense layers.
        dropout: Rate after the activation.
        dropout_broadcast: Whether dropout removes channels of all tokens of an
            example at once, as the first implementation does.
        use_bias: Whether the dense layers have biases.
        activation: `"gelu_tanh"`, GELU in its tanh form; `"gelu"`, the exact
            form; or `"quick_gelu"`, x * sigmoid(1.702 x).
        seed: Seed of the dropout. Defaults to a random one.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`, `dtype`.

    Call arguments:
        tokens: Shape `(batch, tokens, hidden_dim)`.
        dropout_seed: Seed to use instead of the layer's own, shape `(2,)`.
        training: Whether to apply dropout.

    Returns:
        Shape and dtype of `tokens`.

    Example:
        >>> import keras, keras_imp
        >>> layer = keras_imp.layers.FeedForward(intermediate_dim=16)
        >>> tuple(layer(keras.ops.ones((3, 5, 8))).shape)
        (3, 5, 8)

    Reference:
        docs/method.md, Encoder;
        tanh-GELU: [Hendrycks and Gimpel,
        2016](https://arxiv.org/abs/1606.08415).
    """

    def __init__(
        self,
        intermediate_dim: int,
        dropout: float = 0.0,
        dropout_broadcast: bool = False,
        use_bias: bool = False,
        activation: str = "gelu_tanh",
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        check_positive(intermediate_dim=intermediate_dim)
        check_rate(dropout=dropout)
        check_choice(ACTIVATIONS, activation=activation)
        self.intermediate_dim = intermediate_dim
        self.dropout = dropout
        self.dropout_broadcast = dropout_broadcast
        self.use_bias = use_bias
        self.activation = activation
        self.seed = seed
        if dropout:
            self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, tokens_shape, **kwargs):
        width = tokens_shape[-1]
        self.expand = self._dense("expand", self.intermediate_dim, width)
        self.contract = self._dense("contract", width, self.intermediate_dim)

    def call(
        self,
        tokens: Tensor,
        dropout_seed: Tensor | None = None,
        training: bool | None = None,
    ) -> Tensor:
        x = activate(self.expand(tokens), self.activation)
        if training and self.dropout:
            if dropout_seed is None:
                dropout_seed = draw_seeds(self.seed_generator, ())
            x = seeded_dropout(
                x, self.dropout, dropout_seed, self._noise_shape(x)
            )
        return self.contract(x)

    def compute_output_spec(self, tokens, *args, **kwargs):
        return keras.KerasTensor(tokens.shape, dtype=self.compute_dtype)

    def _dense(self, name: str, units: int, width: int) -> TokenDense:
        layer = TokenDense(
            units,
            use_bias=self.use_bias,
            kernel_initializer="lecun_normal",
            dtype=self.dtype_policy,
            name=name,
        )
        layer.build((None, None, width))
        return layer

    def _noise_shape(self, x: Tensor) -> tuple | None:
        if not self.dropout_broadcast:
            return None
        return (ops.shape(x)[0], 1, x.shape[-1])
