"""Mixup."""

import re

import numpy as np
import pytest

from keras_imp.data.augment import Draws, mix

pytestmark = pytest.mark.one_backend

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (40, 5, 5, 3), "uint8")
TARGETS = np.eye(40, dtype="float32")


def test_values_and_targets_are_mixed_alike():
    values, targets = mix(IMAGES, TARGETS, Draws(0, 0, 40))
    assert values.dtype == "uint8"
    assert targets.dtype == "float32"
    expected = np.tensordot(targets, IMAGES.astype("float32"), 1)
    assert np.abs(values - expected).max() <= 0.5 + 1e-3
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)
    weights = np.diag(np.roll(targets, -1, axis=1))
    assert 0 <= weights.min() < 0.1
    assert 0.4 < weights.max() <= 0.5


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"targets": np.arange(40)},
            "`targets` must be float, with a row for each example. Received: "
            "examples=40, shape=(40,), dtype='int64'. Make classes one-hot: "
            "np.eye(num_classes)[y].",
        ),
        (
            {"values": np.zeros((40, 3), "int32")},
            "`values` must be uint8 or float. Received: dtype='int32'.",
        ),
        (
            {"amount": (0.5, 0.1)},
            "`amount` must be the least and the largest weight, in [0, 1]. "
            "Received: amount=(0.5, 0.1).",
        ),
    ],
    ids=["classes", "ids", "amount"],
)
def test_bad_arguments(arguments, text):
    arguments = {"values": IMAGES, "targets": TARGETS, **arguments}
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        mix(draws=Draws(0, 0, 40), **arguments)
