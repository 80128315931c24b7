"""The example of a start from a backbone learns; its blocks stay."""

import pathlib
import runpy

import numpy as np
import pytest

import keras_imp
from tests.helpers import backbones
from tests.helpers.weights import to_numpy

pytestmark = pytest.mark.one_backend

FILE = pathlib.Path(__file__).parents[1] / "examples" / "warm_start.py"


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(FILE))


def test_it_learns_with_frozen_blocks(example, monkeypatch):
    started = []
    start = keras_imp.IMPEncoder.from_backbone

    def from_backbone(backbone):
        started.append(start(backbone))
        weights = [to_numpy(v.value).copy() for v in started[0].body.weights]
        started.append(weights)
        return started[0]

    monkeypatch.setattr(keras_imp.IMPEncoder, "from_backbone", from_backbone)
    model, accuracy = example["main"](steps=60, epochs=2, verbose=0)
    encoder, before = started
    assert model.encoder is encoder
    for old, variable in zip(before, encoder.body.weights, strict=True):
        np.testing.assert_array_equal(old, to_numpy(variable.value))
    _, y = example["drawings"]("validation", encoder)
    # Better than to name the most frequent category.
    assert accuracy > 1.1 * np.bincount(y).max() / len(y)


def test_it_starts_from_a_preset(example, tmp_path):
    folder = str(tmp_path / "vit")
    backbones.vit(image_shape=(64, 64, 3)).save_to_preset(folder)
    model, _ = example["main"](folder, steps=1, epochs=1, verbose=0)
    assert model.encoder.position_buckets == (1, 4, 4)
