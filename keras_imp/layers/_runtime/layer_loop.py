"""Run one function over stacked weights: as a scan, or unrolled.

The scan is `keras.ops.scan` on JAX, where something is compiled: a scan that is
called eagerly is compiled again by every call, and takes many times as long as
the plain loop. Torch runs eagerly: it takes the plain loop, too. TensorFlow's
scan in Keras 3.15 cannot be differentiated under XLA
(`keras/src/backend/tensorflow/core.py` passes no `maximum_iterations`), so that
backend has a loop of its own file.
"""

from collections.abc import Callable

import keras
from keras import ops

from keras_imp.typing import Tensor

Body = Callable[[Tensor, list, Tensor | None], tuple[Tensor, tuple]]


def layer_loop(
    body: Body,
    x: Tensor,
    weights: list[Tensor],
    seeds: Tensor | None,
    scan: bool,
    remat: bool,
    reports: bool = False,
) -> tuple[Tensor, tuple]:
    """Apply `x, report = body(x, weights of layer i, seeds of layer i)`.

    Args:
        body: Keeps the shape and dtype of `x`, and uses no random state. Its
            report is a tuple of float tensors, the same shapes every time.
        x: Input of the first layer.
        weights: Tensors with a leading axis of `num_layers`.
        seeds: Tensor with the same leading axis, or None.
        scan: Whether to compile the body once, where anything is compiled.
        remat: Whether to recompute the body in the backward pass.
        reports: Whether the body's report has any tensors.

    Returns:
        Output of the last layer, shape and dtype of `x`, and the reports of
        all layers, stacked along a new first axis.
    """
    if seeds is None:
        function, stacked = lambda x, *w: body(x, list(w), None), weights
    else:
        function = lambda x, *w: body(x, list(w[:-1]), w[-1])  # noqa: E731
        stacked = [*weights, seeds]
    if remat:
        # Positional tensors only: TensorFlow's recomputation takes no keywords.
        function = keras.remat(function)
    backend = keras.config.backend()
    if scan and backend == "jax":
        from keras_imp.layers._runtime.jax_tracing import is_traced

        if is_traced([x, *stacked]):
            return ops.scan(
                lambda carry, layer: function(carry, *layer), x, tuple(stacked)
            )
    if scan and backend == "tensorflow":
        from keras_imp.layers._runtime.tensorflow_scan import tensorflow_scan

        return tensorflow_scan(function, x, stacked, reports)
    return _unroll(function, x, stacked)


def _unroll(
    function: Callable, x: Tensor, stacked: list[Tensor]
) -> tuple[Tensor, tuple]:
    # One unstack per weight: its gradient is one stack, where indexing layer
    # by layer would write a full-size gradient for each layer.
    reports = []
    for layer in zip(*(ops.unstack(w) for w in stacked), strict=True):
        x, report = function(x, *layer)
        reports.append(report)
    return x, tuple(ops.stack(parts) for parts in zip(*reports, strict=True))
