"""The functions with gradients of their own, against those of Keras."""

import keras
import numpy as np
from keras import ops

from keras_imp.layers._runtime import backend_ops
from tests.helpers.gradients import gradients
from tests.helpers.weights import to_numpy


def test_values_and_gradients_of_softmax_are_those_of_keras(rng):
    # A masked logit among them.
    values = np.append(np.linspace(-12, 12, 119), -1e9).astype("float32")
    x = keras.Variable(values.reshape(4, 30))
    upstream = ops.convert_to_tensor(rng.normal(size=x.shape), dtype="float32")
    plain = ops.convert_to_tensor(values.reshape(4, 30))
    np.testing.assert_allclose(
        to_numpy(backend_ops.softmax(plain)),
        to_numpy(ops.softmax(plain, axis=-1)),
        atol=1e-6,
    )
    found, expected = (
        gradients(lambda f=f: ops.sum(f(x * 1.0) * upstream), [x])[0]
        for f in (backend_ops.softmax, lambda x: ops.softmax(x, axis=-1))
    )
    np.testing.assert_allclose(found, expected, atol=2e-5)
