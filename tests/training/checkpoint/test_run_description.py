import json

import keras
import pytest

import keras_imp
from keras_imp.training.checkpoint.run_description import (
    Difference,
    describe,
    first_difference,
    with_learning_rate,
)
from tests.helpers import models

pytestmark = pytest.mark.one_backend


def description(encoder=None, schedule=None, width=8):
    model = models.make_model(
        models.one_task, encoder, hidden_dim=width, optimizer="sgd"
    )
    model.optimizer.build(model.trainable_variables)
    mixture = models.in_turn(models.data_of("objects"), steps_per_epoch=4)
    if schedule is not None:
        mixture.schedule = schedule.bind(("objects",), seed=3)
    return describe(model, mixture)


def functional(activation="tanh"):
    image = keras.Input((5,), name="image")
    x = keras.layers.Dense(8, activation=activation)(image)
    x = keras.layers.Dense(8)(x)
    return keras.Model({"image": image}, {"image": {"pooled_output": x}})


class Secretive(models.TinyEncoder):
    def get_config(self):
        raise NotImplementedError


@pytest.mark.parametrize(
    "make", [models.TinyEncoder, functional, Secretive],
    ids=["layer", "functional", "without config"],
)  # fmt: skip
def test_the_same_model_made_again_is_the_same_run(make):
    # Keras gives its layers other names the second time.
    first, second = description(make()), description(make())
    assert first_difference(first, second) is None
    assert json.loads(json.dumps(first)) == first


def test_arguments_of_layers_within_a_functional_encoder_are_compared():
    found = first_difference(
        description(functional()), description(functional("relu"))
    )
    assert (found.backup, found.now) == ("tanh", "relu")
    assert found.where.endswith("activation")


def test_shapes_are_compared_where_an_encoder_tells_no_arguments():
    found = first_difference(
        description(Secretive(hidden_dim=4), width=4),
        description(Secretive(hidden_dim=8), width=8),
    )
    assert found.where.startswith("weights[")
    assert (found.backup, found.now) == ("float32 (5, 4)", "float32 (5, 8)")


def test_a_dtype_policy_is_compared_by_its_name():
    half = models.TinyEncoder(dtype="mixed_bfloat16")
    found = first_difference(description(), description(half))
    assert found == Difference(
        "model.encoder.dtype", "float32", "mixed_bfloat16"
    )


def test_a_rate_within_an_optimizer_of_version_0_1_0_is_left_out():
    old = {"class": "SGD", "momentum": 0.9, "learning_rate": 0.5}
    backup = {"optimizer": {"inner_optimizer": old, "learning_rate": None}}
    found = with_learning_rate(backup, 0.25)
    inner = {"class": "SGD", "momentum": 0.9}
    assert found == {
        "optimizer": {"inner_optimizer": inner, "learning_rate": 0.25}
    }
    assert old["learning_rate"] == 0.5


def test_what_a_schedule_keeps_for_itself_is_not_compared():
    class Own(keras_imp.schedules.RoundRobin):
        def __init__(self, order, function):
            self.order = order
            self.function = function
            self._draws = object()

    first = description(schedule=Own([1, 2], lambda: 1))
    second = description(schedule=Own([1, 2], lambda: 2))
    other = description(schedule=Own([2, 1], lambda: 1))
    assert first_difference(first, second) is None
    assert first_difference(first, other) == Difference(
        "mixture.schedule.order", [1, 2], [2, 1]
    )


@pytest.mark.parametrize(
    ("backup", "now", "found"),
    [
        ({"a": 1}, {"a": 1}, None),
        ({"a": 1}, {}, Difference("a", 1, "nothing")),
        ({}, {"a": 1}, Difference("a", "nothing", 1)),
        ({"a": [1, 2]}, {"a": [1]}, Difference("a", [1, 2], [1])),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, Difference("a[0].b", 1, 2)),
        (
            {"a": list(range(9))},
            {"a": list(range(10))},
            Difference("len(a)", 9, 10),
        ),
        (
            {"a": [0] * 9},
            {"a": [*[0] * 8, 1]},
            Difference("a[8]", 0, 1),
        ),
    ],
)
def test_the_first_difference_is_found(backup, now, found):
    assert first_difference(backup, now) == found
