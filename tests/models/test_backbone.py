"""An encoder is a backbone of keras-hub, and does not need keras-hub."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import keras_hub
import numpy as np
import pytest

import keras_imp
from keras_imp.models import PRESETS
from keras_imp.models.backbone import EncoderBackbone

ROOT = Path(__file__).parents[2]


def run(folder, *stages):
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.helpers.with_keras_hub",
            str(folder),
            *stages,
        ],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": keras.config.backend()},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def in_turn(tmp_path_factory):
    """keras-hub comes after an encoder was made, a functional backbone last."""
    folder = tmp_path_factory.mktemp("in_turn")
    return run(folder, "alone", "keras-hub", "functional")


def assert_same(found, expected):
    assert "Functional" not in found["bases"]
    for values in found.pop("outputs").values():
        np.testing.assert_allclose(
            values, expected["outputs"]["call"], rtol=1e-5, atol=1e-6
        )
    assert found == {k: v for k, v in expected.items() if k != "outputs"}


def test_keras_hub_and_a_functional_backbone_change_nothing(in_turn):
    used = {name: v for name, v in in_turn.items() if name.startswith("made")}
    assert len(used) == 6
    for found in used.values():
        assert_same(dict(found), used["made alone, used alone"])


def test_a_functional_backbone_that_was_first_changes_nothing(
    in_turn, tmp_path
):
    found = run(tmp_path, "functional")["made functional, used functional"]
    assert_same(found, in_turn["made alone, used alone"])


def test_an_encoder_loads_neither_keras_hub_nor_another_backend(in_turn):
    assert in_turn["loaded alone"] == in_turn["loaded by Keras"]
    assert "keras_hub" in in_turn["loaded keras-hub"]


def test_nothing_of_a_keras_hub_backbone_is_left_to_chance():
    """What `Backbone` defines would differ with and without keras-hub."""
    theirs = {
        name
        for name in vars(keras_hub.models.Backbone)
        if name not in ("__doc__", "__module__")
        and not name.startswith("_api_export")
    }
    above = EncoderBackbone.__mro__
    above = above[: above.index(keras_hub.models.Backbone)]
    ours = {name for base in above for name in vars(base)}
    assert theirs - ours == set()


def test_a_class_of_ones_own_is_a_backbone_too():
    class OwnEncoder(keras_imp.IMPEncoder):
        pass

    assert issubclass(OwnEncoder, keras_hub.models.Backbone)


def test_presets_of_the_class_are_the_built_in_ones():
    presets = keras_imp.IMPEncoder.presets
    assert set(presets) >= set(PRESETS)
    for name, size in PRESETS.items():
        assert size.items() <= presets[name].items()
        assert presets[name]["modalities"] == (
            "image",
            "video",
            "audio",
            "text",
        )
    presets["imp_tiny"]["config"].clear()
    assert keras_imp.IMPEncoder.presets["imp_tiny"]["config"]


@pytest.mark.parametrize("argument", ["inputs", "outputs"])
def test_an_encoder_is_not_made_from_tensors(argument):
    text = (
        "An encoder is made from its sizes, not from `inputs` and `outputs`. "
        f"Received: {argument}=3. To build on one, call it on keras.Input "
        "tensors and make a keras.Model of these."
    )
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        keras_imp.IMPEncoder(8, 8, 1, 1, **{argument: 3})
