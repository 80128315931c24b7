"""Linear models are what a closed form says, and find what is linear."""

import numpy as np
import pytest

from keras_imp.evaluation.own_data import scores
from keras_imp.evaluation.own_data.features import _frequent, _of_texts
from keras_imp.evaluation.own_data.linear import fit_best, fit_path
from keras_imp.evaluation.retrieval import chance_recall

pytestmark = pytest.mark.one_backend


@pytest.mark.parametrize("shape", [(50, 7), (7, 50)])
def test_ridge_solves_the_normal_equations(shape):
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=shape), generator.normal(size=(shape[0], 3))
    strength = 0.3
    (model,) = fit_path(x, y, (strength,))
    scaled = (x - x.mean(0)) / x.std(0)
    gram = scaled.T @ scaled
    kernel = scaled @ scaled.T
    # The mean eigenvalue is that of the smaller of both products.
    smaller = min(gram, kernel, key=len)
    penalty = strength * np.trace(smaller) / len(smaller)
    weights = np.linalg.solve(
        gram + penalty * np.eye(shape[1]), scaled.T @ (y - y.mean(0))
    )
    np.testing.assert_allclose(model(x), scaled @ weights + y.mean(0))


def test_a_feature_that_never_varies_is_left_out():
    x = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]])
    (model,) = fit_path(x, x[:, :1], (1e-9,))
    np.testing.assert_allclose(model(np.array([[4.0, 9.0]])), [[4.0]])


def test_the_strength_is_the_one_that_is_best_on_the_rows_that_choose():
    generator = np.random.default_rng(1)
    x = generator.normal(size=(60, 40))
    y = x[:, :1] + generator.normal(size=(60, 1)) * 2
    held_out = np.arange(60) % 3 == 0

    def score(model, rows):
        return -float(np.square(model(x[rows]) - y[rows]).mean())

    best = fit_best(x, y, held_out, score)
    path = fit_path(x[~held_out], y[~held_out])
    chosen = np.argmax([score(each, np.flatnonzero(held_out)) for each in path])
    assert chosen > 0
    np.testing.assert_allclose(
        best.weights, fit_path(x, y)[chosen].weights, atol=1e-12
    )


def test_texts_are_alike_by_their_letters():
    texts = ["a red heart", "A  red hat", "zzz"]
    features = _of_texts(texts, _frequent(texts))
    products = features @ features.T
    np.testing.assert_allclose(np.diag(products), 1.0)
    assert products[0, 1] > 0.4 > 0.2 > products[0, 2]


def test_chance_counts_all_right_answers():
    # Of three items two are right: one draw misses with 1/3, two never do.
    right = np.array([2])
    assert chance_recall(right, 3, 1) == pytest.approx(2 / 3)
    assert chance_recall(right, 3, 2) == 1.0


def test_average_precision_of_a_class_that_no_row_has_does_not_count():
    predicted = np.array([[2.0, 0.0], [1.0, 0.0]])
    labels = np.array([[0, 0], [1, 0]])
    assert scores.mean_precision(predicted, labels) == 0.5
