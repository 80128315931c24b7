"""What every model of the package promises, one promise per test.

To put a model under the contract, add a row to `CASES`.
"""

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest

import keras_imp
from tests.helpers import models
from tests.helpers.encoders import small_encoder
from tests.helpers.weights import randomize, to_numpy


class ModelCase(NamedTuple):
    """A model.

    Attributes:
        make: Makes it, given some arguments of its constructor.
        arguments: These arguments; its config has them.
    """

    make: Callable[..., keras.Model]
    arguments: dict[str, Any]


def encoder(**arguments):
    return small_encoder(("image", "text"), num_layers=2, **arguments)


def alternating(**arguments):
    return keras_imp.AlternatingModel(
        models.TinyEncoder(dropout=0.1), models.tasks(), **arguments
    )


def combined(**arguments):
    head = keras_imp.tasks.Classification("objects", "image", 3)
    return keras_imp.CombinedModel(encoder(), [head], **arguments)


CASES = {
    "dense encoder": ModelCase(
        encoder,
        {
            "pooling": "token",
            "dropout": 0.1,
            "variant": "imp",
            "qk_layer_norm": True,
            "padding": "same",
            "scan_layers": False,
            "remat": True,
            "name": "seeing",
        },
    ),
    "sparse encoder": ModelCase(
        encoder,
        {
            "pooling": "attention",
            "num_experts": 3,
            "num_moe_layers": 1,
            "moe_placement": "uniform",
            "router": "token_choice",
            "router_options": {"balance_rate": 0.01},
            "router_z_loss": 0.1,
            "interpolate_positions": True,
        },
    ),
    "alternating": ModelCase(alternating, {"update": "all", "name": "all"}),
    "combined": ModelCase(combined, {"strategy": "padded", "update": "all"}),
}


class Subject(NamedTuple):
    """A model with random weights."""

    case: ModelCase
    model: keras.Model


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES.keys())
def subject(request):
    case = request.param
    model = case.make(**case.arguments)
    return Subject(case, randomize(model, np.random.default_rng(0)))


def assert_same(first, second):
    assert type(first) is type(second)
    assert config_of(first) == config_of(second)
    paths = [[v.path for v in model.weights] for model in (first, second)]
    assert paths[0] == paths[1]
    for a, b in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(a), to_numpy(b))


def config_of(model):
    """As JSON has it, which has lists only."""
    return json.loads(json.dumps(keras.saving.serialize_keras_object(model)))


def test_every_exported_model_has_a_case():
    found = [
        getattr(module, name)
        for module in (keras_imp, keras_imp.models, keras_imp.training)
        for name in module.__all__
    ]
    classes = {x for x in found if isinstance(x, type)}
    exported = {x for x in classes if issubclass(x, keras.Model)}
    made = {case.make(**case.arguments).__class__ for case in CASES.values()}
    assert exported == made


def test_config_survives_json(subject):
    config = config_of(subject.model)
    assert " at 0x" not in json.dumps(config) + repr(subject.model)
    found = keras.saving.deserialize_keras_object(copy.deepcopy(config))
    assert type(found) is type(subject.model)
    assert config_of(found) == config
    given = subject.case.arguments
    assert {name: config["config"][name] for name in given} == given


def test_all_weights_exist_and_have_names_of_their_own(subject):
    paths = [variable.path for variable in subject.model.weights]
    assert subject.model.built
    assert len(set(paths)) == len(paths) > 0


def test_a_saved_model_is_the_same(subject, tmp_path):
    subject.model.save(tmp_path / "model.keras")
    assert_same(
        keras.models.load_model(tmp_path / "model.keras"), subject.model
    )


@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_a_copy_is_the_same_and_has_weights_of_its_own(subject, how):
    model = subject.model
    if how == "deepcopy":
        found = copy.deepcopy(model)
    else:
        found = pickle.loads(pickle.dumps(model))
    assert_same(found, model)
    variable = found.trainable_variables[0]
    variable.assign(variable + 1)
    other = model.trainable_variables[0]
    assert (to_numpy(variable) != to_numpy(other)).all()


def test_the_same_seed_gives_the_same_first_weights(subject):
    """However many were made before, in the same process."""
    case, weights = subject.case, []
    for _ in range(2):
        keras.utils.set_random_seed(0)
        weights.append(case.make(**case.arguments).get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_summary_counts_all_parameters(subject):
    lines = []
    subject.model.summary(print_fn=lambda line, **_: lines.append(line))
    text = "\n".join(lines)
    assert f"{subject.model.count_params():,}" in text
    assert " at 0x" not in text
