"""Weights by name, and random ones: fresh scales and biases hide mistakes."""

import keras
import ml_dtypes
import numpy as np


def named_weights(layer):
    """Weights in float64 by the last two parts of their path.

    The layer's own name is left out, so a weight of the layer itself has a key
    of one part, such as `table`.
    """
    return {
        name: keras.ops.convert_to_numpy(v).astype("float64")
        for name, v in zip(weight_names(layer), layer.weights, strict=True)
    }


def weight_names(layer):
    return [_name_inside(layer.name, v.path.split("/")) for v in layer.weights]


def _name_inside(layer_name, parts):
    if layer_name in parts:
        parts = parts[parts.index(layer_name) + 1 :]
    return "/".join(parts[-2:])


def randomize(layer, rng):
    """Give every weight random values; a scale stays around 1."""
    for v in layer.weights:
        around = 1.0 if v.path.endswith("gamma") else 0.0
        v.assign((around + 0.3 * rng.normal(size=v.shape)).astype("float32"))
    return layer


def copy_weights(source, target):
    for a, b in zip(source.weights, target.weights, strict=True):
        b.assign(a)


def to_numpy(x):
    """NumPy values of a tensor or a structure of tensors, None kept.

    bfloat16 comes back as float32, which every NumPy function knows.
    """

    def convert(t):
        if t is None:
            return None
        values = keras.ops.convert_to_numpy(t)
        is_bfloat16 = values.dtype == ml_dtypes.bfloat16
        return values.astype("float32") if is_bfloat16 else values

    return keras.tree.map_structure(convert, x)


def assert_near(actual, expected, tolerance):
    """`actual` (tensors) near `expected`, absolute and relative."""
    np.testing.assert_allclose(
        to_numpy(actual), expected, rtol=tolerance, atol=tolerance
    )
