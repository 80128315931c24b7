"""A built task is copied with its weights, and its copy joins a model."""

import copy
import pickle
import re

import keras
import numpy as np
import pytest

import keras_imp
from tests.helpers.encoders import all_inputs, small_encoder
from tests.helpers.weights import to_numpy

tasks = keras_imp.tasks
PATCHES = {"decoder_dim": 4, "decoder_layers": 1, "decoder_heads": 1}
TASKS = {
    "classification": lambda: tasks.Classification("task", "image", 3),
    "regression": lambda: tasks.Regression("task", "image"),
    "contrastive": lambda: tasks.Contrastive("task", projection_dim=4),
    "words": lambda: tasks.MaskedModeling("task", "text", mask_id=10),
    "patches": lambda: tasks.MaskedModeling("task", "image", **PATCHES),
    "dropping": lambda: tasks.Classification(
        "task", "image", 3, drop_tokens={"image": 0.5}, dtype="mixed_bfloat16"
    ),
    "combined": lambda: tasks.Combined(
        "task",
        [
            tasks.Regression("price", "image"),
            tasks.MaskedModeling("words", "text", mask_id=10),
        ],
    ),
}
HOW = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda task: pickle.loads(pickle.dumps(task)),
}


@pytest.fixture(scope="module")
def encoder():
    return small_encoder(("image", "text"), scan_layers=False)


@pytest.fixture(scope="module", params=TASKS)
def model(request, encoder):
    """A model of one task."""
    return keras_imp.AlternatingModel(encoder, [TASKS[request.param]()])


def assert_same(first, second):
    flat = keras.tree.flatten
    for a, b in zip(flat(first), flat(second), strict=True):
        np.testing.assert_array_equal(*to_numpy([a, b]))


@pytest.mark.parametrize("how", HOW)
def test_a_copy_has_the_weights_and_predicts_the_same(model, encoder, how):
    task = model.task_list[0]
    found = HOW[how](task)
    assert type(found) is type(task)
    assert found.get_config() == task.get_config()
    assert_same(found.variables, task.variables)
    inputs = all_inputs(np.random.default_rng(1))
    x = {name: inputs[name] for name in task.modalities}
    other = keras_imp.AlternatingModel(encoder, [found])
    assert_same(other({"task": x}), model({"task": x}))
    # They share nothing.
    for variable in found.trainable_variables:
        variable.assign(variable + 1)
    for a, b in zip(found.trainable_variables, task.trainable_variables):
        assert np.all(np.not_equal(*to_numpy([a, b])))


@pytest.mark.parametrize("how", HOW)
def test_a_task_that_is_not_built_is_copied_too(how):
    task = TASKS["classification"]()
    found = HOW[how](task)
    assert not found.built
    assert found.get_config() == task.get_config()


class Vocabulary(tasks.Classification):
    """Takes its number of classes from the encoder."""

    def prepare(self, encoder):
        self.head.units = encoder.vocabulary_size


def test_a_task_that_needs_its_encoder_says_so(encoder):
    task = Vocabulary("task", "image", 3)
    keras_imp.AlternatingModel(encoder, [task])
    text = (
        "A built task that takes something from its encoder in `prepare` "
        "cannot be copied without the encoder. Received: task='task'. Copy "
        "the model that it belongs to, or make a new task: "
        "type(task).from_config(task.get_config())."
    )
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        copy.deepcopy(task)
