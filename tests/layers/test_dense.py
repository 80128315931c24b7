import keras
import numpy as np
import pytest

from keras_imp.layers import TokenDense
from keras_imp.layers.dense import (
    flatten_leading,
    lecun_normal,
    restore_leading,
)
from tests.helpers import layer_oracles as oracles
from tests.helpers.weights import (
    assert_near,
    named_weights,
    randomize,
    to_numpy,
)


@pytest.mark.parametrize(
    "shape", [(3, 5), (2, 3, 5), (2, 3, 7, 5)], ids=["rank 2", "3", "4"]
)
@pytest.mark.parametrize("use_bias", [True, False])
def test_equals_a_keras_dense_layer(rng, shape, use_bias):
    ours = TokenDense(11, use_bias=use_bias, activation="tanh")
    theirs = keras.layers.Dense(11, use_bias=use_bias, activation="tanh")
    for layer in (ours, theirs):
        layer.build(shape)
    theirs.set_weights(randomize(ours, rng).get_weights())
    x = rng.normal(size=shape).astype("float32")
    assert ours(x).shape == (*shape[:-1], 11)
    assert_near(ours(x), to_numpy(theirs(x)), oracles.SAME_MATH_TOLERANCE)


def test_works_with_axes_of_unknown_size(rng):
    inputs = keras.Input((None, 5))
    model = keras.Model(inputs, TokenDense(7)(inputs))
    assert model.output_shape == (None, None, 7)
    x = rng.normal(size=(2, 3, 5)).astype("float32")
    weights = named_weights(model.layers[-1])
    expected = x @ weights["kernel"] + weights["bias"]
    assert_near(
        model.predict(x, verbose=0), expected, oracles.FLOAT32_TOLERANCE
    )


def test_restore_leading_undoes_flatten_leading(rng):
    x = rng.normal(size=(2, 3, 5, 7)).astype("float32")
    rows = flatten_leading(x)
    assert tuple(rows.shape) == (30, 7)
    np.testing.assert_array_equal(to_numpy(restore_leading(rows, like=x)), x)


def test_lecun_normal_takes_its_fan_in_from_the_given_factors():
    values = to_numpy(lecun_normal((4, 4))((211, 211)))
    assert abs(values.std() - 1 / 4) < 0.005
    # The tails are cut at two deviations of the normal before the cut.
    assert np.abs(values).max() <= 2 * 0.25 / 0.8796 + 1e-3
