import keras
import numpy as np

from keras_imp.layers._runtime.seeds import GivenSeed, draw_seeds, dropout
from tests.helpers.weights import to_numpy


def test_drawn_seeds_differ_and_are_reproducible():
    first, second = (
        to_numpy(draw_seeds(keras.random.SeedGenerator(3), (5, 4)))
        for _ in range(2)
    )
    assert first.shape == (5, 4, 2)
    np.testing.assert_array_equal(first, second)
    assert len(np.unique(first.reshape(20, 2), axis=0)) == 20


def test_drawing_advances_the_generator():
    generator = keras.random.SeedGenerator(3)
    first, second = (to_numpy(draw_seeds(generator, (2,))) for _ in range(2))
    assert (first != second).any()


def test_drawn_seeds_have_the_type_of_the_backends_seeds():
    generator = keras.random.SeedGenerator(3)
    seeds = draw_seeds(generator, ())
    dtypes = {
        keras.backend.standardize_dtype(x.dtype)
        for x in (seeds, generator.state)
    }
    assert len(dtypes) == 1


def test_a_given_seed_has_no_variable_and_does_not_advance():
    seed = draw_seeds(keras.random.SeedGenerator(3), ())
    given = GivenSeed(seed)
    first, second = (
        to_numpy(keras.random.uniform((7,), seed=given)) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_dropout_keeps_the_mean_and_the_dtype():
    seed = draw_seeds(keras.random.SeedGenerator(3), ())
    x = keras.ops.ones((97, 101), dtype="bfloat16")
    out = dropout(x, 0.1, seed)
    assert keras.backend.standardize_dtype(out.dtype) == "bfloat16"
    # 9797 draws: a deviation of 0.003 / 0.9 of the mean, and bfloat16's 1/256.
    assert abs(to_numpy(out).mean() - 1) < 0.02


def test_dropout_repeats_a_mask_along_axes_of_one():
    seed = draw_seeds(keras.random.SeedGenerator(3), ())
    out = to_numpy(dropout(keras.ops.ones((5, 7, 11)), 0.5, seed, (5, 1, 11)))
    assert (out == out[:, :1]).all()
