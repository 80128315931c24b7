"""The layer scan on TensorFlow, differentiable with and without XLA.

Imported only when TensorFlow is the backend. It goes when `keras.ops.scan`
passes `maximum_iterations` to `tf.while_loop` (Keras 3.15 does not).
"""

from collections.abc import Callable

import tensorflow as tf

from keras_imp.typing import Tensor


def tensorflow_scan(
    function: Callable, x: Tensor, stacked: list[Tensor], reports: bool
) -> tuple[Tensor, tuple]:
    """Apply `x, report = function(x, *weights of layer i)` for each layer.

    Args:
        function: Keeps the shape and dtype of `x`; its report is a tuple of
            tensors.
        x: Input of the first layer.
        stacked: Tensors with one leading axis of the same length.
        reports: Whether the report has any tensors.

    Returns:
        Output of the last layer, shape and dtype of `x`, and the reports of
        all layers, stacked.
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

    shape = x.shape

    def step(i, x, written):
        x, report = function(x, *(a.read(i) for a in arrays))
        x.set_shape(shape)
        written = [a.write(i, part) for a, part in zip(written, report)]
        return i + 1, x, written

    first, written = 0, []
    if reports:
        # The first layer outside of the loop says what a report looks like.
        x, report = function(x, *(w[0] for w in stacked))
        first = 1
        written = [
            tf.TensorArray(
                part.dtype, num_layers, element_shape=part.shape
            ).write(0, part)
            for part in report
        ]
    _, final, written = tf.while_loop(
        lambda i, *_: i < num_layers,
        step,
        (tf.constant(first), x, written),
        maximum_iterations=num_layers,
    )
    return final, tuple(array.stack() for array in written)
