"""The presets with weights: small, the same everywhere, and with a card."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import keras_imp
from keras_imp.models.presets import BUILT_IN_FOLDERS

OUTPUTS = Path(__file__).parents[2] / "files" / "presets"
MOST_BYTES = 8_000_000

pytestmark = pytest.mark.parametrize("name", BUILT_IN_FOLDERS)


def test_outputs_are_those_of_the_backend_that_trained_it(name):
    model = keras_imp.AlternatingModel.from_preset(name)
    rng = np.random.default_rng(0)
    # As `outputs_of` in scripts/train_presets.py.
    inputs = {
        "image": rng.integers(0, 256, (2, 32, 32, 3), "uint8"),
        "video": rng.integers(0, 256, (2, 8, 32, 32, 3), "uint8"),
        "audio": rng.uniform(-0.5, 0.5, (2, 16_384)).astype("float32"),
        "text": rng.integers(1, 500, (2, 12)),
    }
    with np.load(OUTPUTS / f"{name}.npz") as expected:
        for modality, values in inputs.items():
            features = model.encoder.predict({modality: values}, verbose=0)
            np.testing.assert_allclose(
                features[modality]["pooled_output"],
                expected[modality],
                atol=1e-4,
            )
        classes = model.predict(
            {"image": inputs["image"]}, task="objects", verbose=0
        )
        np.testing.assert_allclose(classes, expected["objects"], atol=1e-4)


@pytest.mark.one_backend
def test_it_is_small(name):
    files = [*BUILT_IN_FOLDERS[name].iterdir()]
    assert sum(path.stat().st_size for path in files) < MOST_BYTES


@pytest.mark.one_backend
def test_it_says_where_it_comes_from(name):
    info = keras_imp.list_presets()[name]
    assert info.has_weights
    assert info.license == "apache-2.0"
    assert info.modalities == ("image", "video", "audio", "text")
    assert f"keras-imp evaluate {name}" in info.card


@pytest.mark.one_backend
def test_the_example_of_its_card_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (40, 30), "red").save("heart.png")
    code = re.search(
        r"```python\n(.*?)```", keras_imp.list_presets()[name].card, re.S
    )
    names: dict = {}
    exec(code[1], names)
    assert names["scores"].shape == (1, 3)
