"""Orthogonal factors by products, against the decomposition in NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_imp.training.optimizers.orthogonalize import (
    KELLER_JORDAN,
    THREE_STEPS,
    minimax_polynomials,
    orthogonalize,
)
from tests.helpers.optimizers import orthogonalize_oracle
from tests.helpers.weights import to_numpy

SHAPES = [(7, 7), (5, 17), (17, 5), (3, 7, 11), (2, 3, 7, 7), (2, 3, 5, 17)]
POLYNOMIALS = {"three": THREE_STEPS, "five by hand": KELLER_JORDAN}


def orthogonalized(values, *arguments):
    values = ops.convert_to_tensor(values)
    return to_numpy(orthogonalize(values, *arguments))


@pytest.mark.parametrize("polynomials", list(POLYNOMIALS))
@pytest.mark.parametrize("shape", SHAPES)
def test_it_follows_the_formula_on_singular_values(rng, shape, polynomials):
    values = rng.normal(size=shape).astype("float32")
    polynomials = POLYNOMIALS[polynomials]
    np.testing.assert_allclose(
        orthogonalized(values, polynomials),
        orthogonalize_oracle(values, polynomials),
        atol=2e-4,
    )


@pytest.mark.parametrize("length", [1e-12, 1e-3, 1.0, 1e12])
@pytest.mark.parametrize("shape", [(32, 32), (32, 128)])
def test_singular_values_come_close_to_1(rng, shape, length):
    """Those of at least a hundredth of the largest one."""
    left, right = (np.linalg.qr(rng.normal(size=(n, n)))[0] for n in shape)
    singular = np.zeros(shape)
    np.fill_diagonal(singular, np.geomspace(1.0, 0.011, 32))
    values = (length * left @ singular @ right).astype("float32")
    found = orthogonalized(values)
    if length < 1e-7:  # What is left of old gradients does not move a weight.
        assert abs(found).max() < 1e-3
        return
    factors = np.diagonal(left.T @ found @ right.T)
    assert 0.69 < factors.min() < factors.max() < 1.29


@pytest.mark.parametrize("shape", [(9, 9), (9, 30)])
def test_a_matrix_of_rank_1_stays_in_range(rng, shape):
    """Its largest singular value is at the bound itself."""
    values = np.outer(*(rng.normal(size=n) for n in shape)).astype("float32")
    found = np.linalg.svd(orthogonalized(values), compute_uv=False)
    assert 0.7 < found[0] < 1.3
    assert found[1] < 1e-3


@pytest.mark.parametrize("shape", [(2, 5, 5), (2, 5, 9)])
def test_zeros_stay_zeros_beside_others(rng, shape):
    values = rng.normal(size=shape).astype("float32")
    values[1] = 0.0
    found = orthogonalized(values)
    assert not found[1].any()
    np.testing.assert_allclose(found[0], orthogonalized(values[0]), atol=1e-5)


def test_a_matrix_is_orthogonalized_alone(rng):
    values = rng.normal(size=(2, 3, 5, 9)).astype("float32")
    together = orthogonalized(values)
    for layer in range(2):
        for expert in range(3):
            np.testing.assert_allclose(
                together[layer, expert],
                orthogonalized(values[layer, expert]),
                atol=1e-5,
            )


def test_the_dtype_is_kept(rng):
    values = rng.normal(size=(5, 9))
    found = orthogonalize(ops.convert_to_tensor(values, "float32"))
    assert keras.backend.standardize_dtype(found.dtype) == "float32"


@pytest.mark.one_backend
def test_the_polynomials_are_those_that_the_function_finds():
    assert minimax_polynomials(3, 0.01) == THREE_STEPS


@pytest.mark.one_backend
@pytest.mark.parametrize(("steps", "smallest"), [(1, 0.5), (3, 0.01)])
def test_the_polynomials_bring_an_interval_close_to_1(steps, smallest):
    values = np.geomspace(smallest, 1.0, 10_000)
    for a, b, c in minimax_polynomials(steps, smallest):
        values = a * values + b * values**3 + c * values**5
    worst = {1: 0.03, 3: 0.29}[steps]
    assert abs(values - 1).max() < worst
