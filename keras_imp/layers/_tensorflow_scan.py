"""The layer scan on TensorFlow, differentiable with and without XLA.

Imported only when TensorFlow is the backend. It goes when `keras.ops.scan`
passes `maximum_iterations` to `tf.while_loop` (Keras 3.15 does not).
"""

from collections.abc import Callable

import tensorflow as tf

from keras_imp.typing import Tensor


def tensorflow_scan(
    function: Callable, x: Tensor, stacked: list[Tensor]
) -> Tensor:
    """Apply `x = function(x, *weights of layer i)` for each layer.

    Args:
        function: Keeps the shape and dtype of `x`.
        x: Input of the first layer.
        stacked: Tensors with one leading axis of the same length.

    Returns:
        Output of the last layer, shape and dtype of `x`.
    """
    num_layers = stacked[0].shape[0]
    # Arrays, since the gradient of indexing a captured tensor in the loop
    # would be a full-size tensor for each layer.
    arrays = [
        tf.TensorArray(w.dtype, num_layers, element_shape=w.shape[1:]).unstack(
            w
        )
        for w in stacked
    ]
    _, final = tf.while_loop(
        lambda i, _: i < num_layers,
        lambda i, x: (i + 1, function(x, *(a.read(i) for a in arrays))),
        (tf.constant(0), x),
        shape_invariants=(tf.TensorShape([]), x.shape),
        maximum_iterations=num_layers,
    )
    return final
