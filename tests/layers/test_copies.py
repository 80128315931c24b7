"""Copies of built layers, with a policy object as `dtype`."""

import copy
import importlib.util
import pickle
import shutil

import keras
import numpy as np
import pytest

import keras_imp
from tests.helpers.encoders import small_encoder
from tests.helpers.weights import to_numpy
from tests.layers.layer_contract import CASES
from tests.layers.test_contract import functional

pytestmark = pytest.mark.one_backend


def assert_copied(layer):
    for found in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert type(found) is type(layer)
        assert found.dtype_policy == layer.dtype_policy
        pairs = zip(found.weights, layer.weights, strict=True)
        for copied, weight in pairs:
            assert copied is not weight
            np.testing.assert_array_equal(*to_numpy([copied, weight]))


@pytest.mark.parametrize("name", CASES)
def test_a_built_layer_is_copied_with_its_weights(name):
    case = CASES[name]
    layer = case.make(dtype=keras.DTypePolicy("mixed_bfloat16"))
    functional(case, layer, case.inputs(np.random.default_rng(0)))
    assert_copied(layer)


@pytest.mark.parametrize("modality", ["image", "audio", "waveform", "text"])
def test_an_embedder_is_copied_with_its_weights(modality):
    encoder = small_encoder((modality,), dtype="mixed_bfloat16")
    assert_copied(encoder.embedder_of(modality))


def test_models_are_copied_with_their_weights():
    policy = keras.DTypePolicy("mixed_bfloat16")
    encoder = small_encoder(
        ("image",), dtype=policy, num_experts=2, num_moe_layers=1
    )
    assert_copied(encoder)
    model = keras_imp.AlternatingModel(
        encoder, [keras_imp.tasks.Classification("objects", "image", 3)]
    )
    assert_copied(model)
    model.compile("adam")
    assert_copied(model)


def test_a_plot_is_drawn_or_keras_says_what_it_needs(tmp_path):
    inputs = {"image": keras.Input((6, 10, 3), name="image")}
    features = small_encoder(("image",))(inputs)["image"]
    model = keras.Model(inputs, features["pooled_output"])
    file = tmp_path / "model.png"
    if importlib.util.find_spec("pydot") and shutil.which("dot"):
        keras.utils.plot_model(model, file, show_shapes=True)
        assert file.stat().st_size > 0
    else:
        with pytest.raises(ImportError, match=r"pydot|graphviz"):
            keras.utils.plot_model(model, file, show_shapes=True)
