"""The functions with gradients of their own, against those of Keras."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_imp.layers._runtime import backend_ops
from tests.helpers.gradients import gradients
from tests.helpers.weights import to_numpy

PAIRS = {
    "gelu": (
        backend_ops.gelu,
        lambda x: ops.gelu(x, approximate=True),
    ),
    "gelu_and_slope": (
        lambda x: backend_ops.gelu_and_slope(x)[0],
        lambda x: ops.gelu(x, approximate=True),
    ),
    "softmax": (
        backend_ops.softmax,
        lambda x: ops.softmax(x, axis=-1),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_values_and_gradients_are_those_of_keras(rng, name):
    ours, theirs = PAIRS[name]
    # From where GELU is 0 to where it is the identity; a masked logit.
    values = np.append(np.linspace(-12, 12, 119), -1e9).astype("float32")
    x = keras.Variable(values.reshape(4, 30))
    upstream = ops.convert_to_tensor(rng.normal(size=x.shape), dtype="float32")
    plain = ops.convert_to_tensor(values.reshape(4, 30))
    np.testing.assert_allclose(
        to_numpy(ours(plain)), to_numpy(theirs(plain)), atol=1e-6
    )
    found, expected = (
        gradients(lambda f=f: ops.sum(f(x * 1.0) * upstream), [x])[0]
        for f in (ours, theirs)
    )
    # Keras loses digits where 1 + tanh is nearly 0.
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_slope_is_the_derivative():
    values = np.linspace(-6, 6, 49)
    x = keras.Variable(values)
    slope = backend_ops.gelu_and_slope(
        ops.convert_to_tensor(values, dtype="float32")
    )[1]
    (expected,) = gradients(
        lambda: ops.sum(ops.gelu(x * 1.0, approximate=True)), [x]
    )
    np.testing.assert_allclose(to_numpy(slope), expected, atol=2e-5)


def test_slope_is_finite_in_half_precision():
    x = ops.convert_to_tensor([-6e4, -300.0, 300.0, 6e4], dtype="float16")
    active, slope = backend_ops.gelu_and_slope(x)
    np.testing.assert_array_equal(to_numpy(active), [0, 0, 300, 6e4])
    np.testing.assert_array_equal(to_numpy(slope), [0, 0, 1, 1])
