"""Activations with gradients of their own, against those of Keras."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_imp.layers._runtime.activations import (
    ACTIVATIONS,
    activate,
    activate_and_slope,
)
from tests.helpers.gradients import gradients
from tests.helpers.weights import to_numpy

KERAS = {
    "gelu_tanh": lambda x: ops.gelu(x, approximate=True),
    "gelu": lambda x: ops.gelu(x, approximate=False),
    "quick_gelu": lambda x: ops.silu(1.702 * x) / 1.702,
}
# From where all are 0 to where they are the identity, and far beyond.
VALUES = np.append(np.linspace(-12, 12, 119), -1e9).astype("float32")

every = pytest.mark.parametrize("name", ACTIVATIONS)


@every
def test_values_and_gradients_are_those_of_keras(rng, name):
    x = keras.Variable(VALUES.reshape(4, 30))
    upstream = ops.convert_to_tensor(rng.normal(size=x.shape), dtype="float32")
    plain = ops.convert_to_tensor(VALUES.reshape(4, 30))
    np.testing.assert_allclose(
        to_numpy(activate(plain, name)), to_numpy(KERAS[name](plain)), atol=1e-6
    )
    found, expected = (
        gradients(lambda f=f: ops.sum(f(x * 1.0) * upstream), [x])[0]
        for f in (lambda x: activate(x, name), KERAS[name])
    )
    # Keras loses digits where 1 + tanh is nearly 0.
    np.testing.assert_allclose(found, expected, atol=2e-5)


@every
def test_slope_is_the_derivative(name):
    values = np.linspace(-6, 6, 49)
    x = keras.Variable(values)
    active, slope = activate_and_slope(
        ops.convert_to_tensor(values, dtype="float32"), name
    )
    (expected,) = gradients(lambda: ops.sum(KERAS[name](x * 1.0)), [x])
    np.testing.assert_allclose(to_numpy(slope), expected, atol=2e-5)
    np.testing.assert_allclose(
        to_numpy(active), to_numpy(KERAS[name](x.value)), atol=1e-6
    )


@every
def test_slope_is_finite_in_half_precision(name):
    x = ops.convert_to_tensor([-3e4, -300.0, 300.0, 3e4], dtype="float16")
    active, slope = activate_and_slope(x, name)
    np.testing.assert_array_equal(to_numpy(active), [0, 0, 300, 3e4])
    np.testing.assert_array_equal(to_numpy(slope), [0, 0, 1, 1])
