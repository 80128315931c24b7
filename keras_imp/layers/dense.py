"""The one dense layer that everything here uses.

It multiplies two-dimensional matrices only. On the JAX CPU backend a product
of `(batch, tokens, width)` with a kernel, and above all its weight gradient,
is up to 1.8 times slower than the same product of `(batch * tokens, width)`;
TensorFlow and torch do not mind. `benchmarks/encoder.py` shows the effect.
"""

import math

import keras
from keras import ops

from keras_imp.typing import Tensor


def flatten_leading(x: Tensor) -> Tensor:
    """Merge all axes but the last into one.

    Args:
        x: Tensor of shape `(..., width)`.

    Returns:
        The same values, shape `(rows, width)`.

    Example:
        >>> import keras
        >>> from keras_imp.layers.dense import flatten_leading
        >>> tuple(flatten_leading(keras.ops.ones((2, 3, 5))).shape)
        (6, 5)
    """
    return ops.reshape(x, (-1, x.shape[-1]))


def restore_leading(x: Tensor, like: Tensor) -> Tensor:
    """Undo `flatten_leading`, with the leading axes of another tensor.

    Args:
        x: Tensor of shape `(rows, width)`.
        like: Tensor whose axes but the last hold `rows` elements.

    Returns:
        The values of `x`, shape `(*like.shape[:-1], width)`.

    Example:
        >>> import keras
        >>> from keras_imp.layers.dense import restore_leading
        >>> rows, like = keras.ops.ones((6, 7)), keras.ops.ones((2, 3, 5))
        >>> tuple(restore_leading(rows, like).shape)
        (2, 3, 7)
    """
    leading = list(like.shape[:-1])
    if leading.count(None) > 1:
        leading = list(ops.shape(like)[:-1])
    sizes = [-1 if size is None else size for size in leading]
    return ops.reshape(x, (*sizes, x.shape[-1]))


@keras.saving.register_keras_serializable(package="keras_imp")
class TokenDense(keras.layers.Dense):
    """A `keras.layers.Dense` that works on a matrix of all tokens.

    Same weights, arguments and results as `keras.layers.Dense`; see the module
    docstring for why the shape matters.

    Args:
        units: Width of the output.
        **kwargs: Arguments of `keras.layers.Dense`.

    Call arguments:
        inputs: Tokens, shape `(batch, tokens, width)` or any `(..., width)`.

    Returns:
        Shape `(..., units)`, in the compute dtype.

    Example:
        >>> import keras, keras_imp
        >>> layer = keras_imp.layers.TokenDense(7)
        >>> tuple(layer(keras.ops.ones((2, 3, 5))).shape)
        (2, 3, 7)
    """

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if len(inputs.shape) <= 2:
            return super().call(inputs, training=training)
        rows = super().call(flatten_leading(inputs), training=training)
        return restore_leading(rows, like=inputs)


def lecun_normal(fan_in_shape: tuple[int, ...]) -> keras.Initializer:
    """LeCun normal for a fan-in that the kernel's own shape does not show.

    Keras derives the fan-in from the kernel. This takes the product of
    `fan_in_shape` instead, which the faithful IMP initialization of queries,
    keys and values needs (fan-in = hidden_dim * num_heads).

    Args:
        fan_in_shape: Factors of the fan-in.

    Returns:
        A truncated normal initializer with variance 1 / fan-in.

    Example:
        >>> from keras_imp.layers.dense import lecun_normal
        >>> round(lecun_normal((4, 4)).stddev, 4)
        0.2842
    """
    # A normal cut at two standard deviations keeps 0.8796 of that,
    # so LeCun's rule divides by it, as keras.initializers.LecunNormal does.
    stddev = math.sqrt(1.0 / math.prod(fan_in_shape)) / 0.87962566103423978
    return keras.initializers.TruncatedNormal(stddev=stddev)
