"""Token ids in, tokens out."""

import math

import keras
from keras import ops

from keras_imp._errors import check_positive, message
from keras_imp.layers._runtime.host_values import dtype_of
from keras_imp.layers._runtime.layer import Layer
from keras_imp.layers.drop_token import keep_tokens
from keras_imp.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_imp")
class TokenEmbedding(Layer):
    """Look up one learned vector per token id.

    Id 0 is padding; `padding_mask` says where tokens are real. Ids are looked
    up by gather, never by a one-hot product (docs/method.md, Known
    differences).

    Args:
        vocabulary_size: Number of ids, padding included.
        hidden_dim: Width of a token.
        stddev: Standard deviation of the initial table. Defaults to
            1 / sqrt(hidden_dim), as in the first implementation.
        mask_zero: Whether the tokens carry `padding_mask` as Keras' own mask,
            which the layers after them then use by themselves.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`, `dtype`.

    Call arguments:
        inputs: Token ids in `[0, vocabulary_size)`, shape `(batch, length)`.
        kept: Which of them to look up: indices, int, shape `(batch, kept)`.
            Defaults to all. Not with `mask_zero`.

    Returns:
        Tokens, shape `(batch, length, hidden_dim)`, in the compute dtype.

    Raises:
        ValueError: If the rank is not 2 or the ids are not integers, or `kept`
            is given with `mask_zero`.

    Example:
        >>> import keras, keras_imp
        >>> embed = keras_imp.layers.TokenEmbedding(10, hidden_dim=4)
        >>> ids = keras.ops.array([[5, 7, 0]])
        >>> tuple(embed(ids).shape)
        (1, 3, 4)
        >>> [bool(x) for x in embed.padding_mask(ids)[0]]
        [True, True, False]

    Reference:
        docs/method.md, Modalities and tokenization (normal
        initializer with standard deviation 1 / sqrt(hidden_dim)).
    """

    def __init__(
        self,
        vocabulary_size: int,
        hidden_dim: int,
        stddev: float | None = None,
        mask_zero: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive(vocabulary_size=vocabulary_size, hidden_dim=hidden_dim)
        self.vocabulary_size = vocabulary_size
        self.hidden_dim = hidden_dim
        self.stddev = stddev
        self.mask_zero = mask_zero
        self.supports_masking = mask_zero

    def build(self, input_shape=None):
        self.table = self.add_weight(
            name="table",
            shape=(self.vocabulary_size, self.hidden_dim),
            initializer=keras.initializers.RandomNormal(
                stddev=self.stddev or 1.0 / math.sqrt(self.hidden_dim)
            ),
        )

    def padding_mask(self, inputs: Tensor) -> Tensor:
        """True where a token is real.

        Args:
            inputs: Token ids, shape `(batch, length)`.

        Returns:
            Booleans, shape `(batch, length)`.
        """
        return ops.not_equal(inputs, 0)

    def check_ids(self, inputs: Tensor) -> None:
        """Raise unless token ids are integers of rank 2.

        Args:
            inputs: Token ids.

        Raises:
            ValueError: If they are not.
        """
        dtype = dtype_of(inputs)
        if len(inputs.shape) != 2 or "int" not in dtype:
            raise ValueError(
                message(
                    "Token ids must be integers of shape (batch, length).",
                    shape=tuple(inputs.shape),
                    dtype=dtype,
                )
            )

    def call(self, inputs: Tensor, kept: Tensor | None = None) -> Tensor:
        self.check_ids(inputs)
        if kept is not None and self.mask_zero:
            raise ValueError(
                message(
                    "`kept` must not be given to a TokenEmbedding whose tokens "
                    "carry a mask of all ids.",
                    "Give the ids that are kept, or set mask_zero=False.",
                    mask_zero=True,
                )
            )
        if kept is not None:
            inputs = keep_tokens(inputs, kept)
        return ops.take(self.table, ops.cast(inputs, "int32"), axis=0)

    def compute_mask(self, inputs, previous_mask=None):
        return self.padding_mask(inputs) if self.mask_zero else None

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.hidden_dim)

    def compute_output_spec(self, inputs, kept=None):
        self.check_ids(inputs)
        shape = (inputs if kept is None else kept).shape
        return keras.KerasTensor(
            self.compute_output_shape(shape), dtype=self.compute_dtype
        )
