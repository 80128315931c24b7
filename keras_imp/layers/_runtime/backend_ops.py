"""Operations whose form depends on the backend; their values do not.

Here a layer need not ask where it runs. Differentiated by itself, a scan over
layers on JAX keeps two arrays for a softmax; with a gradient of its own, one.
The other backends have kernels of their own. Forward-mode differentiation
(`jax.jvp`) does not pass. `activations.py` has those of a feed-forward network.
"""

import keras
from keras import ops

from keras_imp.typing import Tensor


def softmax(x: Tensor) -> Tensor:
    """Softmax over the last axis.

    Args:
        x: Any float tensor.

    Returns:
        Shape and dtype of `x`.
    """
    if keras.config.backend() != "jax":
        return ops.softmax(x, axis=-1)

    @ops.custom_gradient
    def run(x):
        shares = ops.softmax(x, axis=-1)

        def gradient(up):
            mean = ops.sum(up * shares, axis=-1, keepdims=True)
            return shares * (up - mean)

        return shares, gradient

    return run(x)


def take_rows(x: Tensor, rows: Tensor) -> Tensor:
    """The rows of a matrix at these indices.

    Args:
        x: Shape `(n, d)`.
        rows: Indices, int32, shape `(m,)`.

    Returns:
        Shape `(m, d)`.
    """
    if keras.config.backend() != "tensorflow":
        return ops.take(x, rows, axis=0)

    # TensorFlow's own gradient is a segment sum: see `add_rows`.
    @ops.custom_gradient
    def take(x):
        def gradient(upstream):
            return add_rows(upstream, rows, ops.shape(x)[0])

        return ops.take(x, rows, axis=0), gradient

    return take(x)


def add_rows(values: Tensor, rows: Tensor, num_rows: int | Tensor) -> Tensor:
    """Undo `take_rows` by sums.

    Args:
        values: Shape `(m, d)`.
        rows: The row that each is added to, int32, shape `(m,)`.
        num_rows: Rows of the result.

    Returns:
        Shape `(num_rows, d)`.
    """
    if keras.config.backend() == "tensorflow":
        # A scatter takes half the time of a segment sum there, and less
        # backward, where that masks negative indices.
        shape = (num_rows, values.shape[-1])
        return ops.scatter(rows[:, None], values, shape)
    # On torch, `ops.scatter` is a Python loop.
    return ops.segment_sum(values, rows, num_segments=num_rows)


def top_k(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest values of the last axis and where they are.

    Args:
        scores: float32, shape `(..., n)`.
        k: How many, at most n.

    Returns:
        Values in descending order and int32 indices, shape `(..., k)`. Equal
        values come in the order of their indices, on every backend.

    Example:
        >>> import keras, numpy as np
        >>> from keras_imp.layers._runtime.backend_ops import top_k
        >>> values, indices = top_k(keras.ops.array([1.0, 2.0, 2.0]), 2)
        >>> np.asarray(indices).tolist()
        [1, 2]
    """
    if keras.config.backend() == "torch" or keras.distribution.distribution():
        # torch.topk has no rule for equal values; its stable sort has. And
        # XLA would bring the scores of all devices together for a top-k.
        order = ops.argsort(-ops.stop_gradient(scores), axis=-1)[..., :k]
        return ops.take_along_axis(scores, order, axis=-1), order
    values, indices = ops.top_k(scores, k)
    return values, ops.cast(indices, "int32")
