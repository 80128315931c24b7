"""What every exported task promises, one promise per test."""

import json
import re
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
from keras import ops

import keras_imp
from keras_imp import tasks
from tests.helpers.gradients import gradients
from tests.helpers.weights import randomize, to_numpy
from tests.tasks.task_contract import BATCH, CASES, TaskCase


class Subject(NamedTuple):
    """A task in a model that was saved, and the one that was loaded."""

    case: TaskCase
    task: tasks.Task
    encoder: keras.Layer
    x: dict[str, np.ndarray]
    loaded: tasks.Task
    loaded_encoder: keras.Layer

    def call(self, x=None):
        return self.task(x or self.x, encoder=self.encoder)

    def loss(self):
        y = ops_of(self.case.y)
        return self.task.compute_loss(self.x, y, self.call())


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """All tasks of an encoder in one model; by kind, it and its loaded copy."""
    found = {}
    for tokens in (False, True):
        cases = {n: c for n, c in CASES.items() if c.tokens is tokens}
        encoder = next(iter(cases.values())).encoder()
        made = [c.make(task_name(n)) for n, c in cases.items()]
        model = keras_imp.AlternatingModel(encoder, made)
        randomize(model, np.random.default_rng(0))
        path = tmp_path_factory.mktemp("tasks") / "model.keras"
        model.save(path)
        found[tokens] = model, keras.models.load_model(path)
    return found


@pytest.fixture(params=list(CASES))
def subject(request, pairs):
    name, case = request.param, CASES[request.param]
    model, loaded = pairs[case.tokens]
    task = model.tasks[task_name(name)]
    x, of_loaded = case.x(task), loaded.tasks[task.name]
    return Subject(case, task, model.encoder, x, of_loaded, loaded.encoder)


def task_name(case):
    return re.sub("[^a-z]+", "_", case)


def ops_of(y: Any):
    return y if y is None else keras.tree.map_structure(ops.array, y)


def symbols_of(x):
    return {
        name: keras.Input(v.shape[1:], dtype=v.dtype.name, name=name)
        for name, v in x.items()
    }


def eager_calls_are_slow(subject):
    """On JAX, where they compile each operation of an encoder's blocks.

    There `test_every_weight_gets_a_gradient` makes the call.
    """
    return keras.config.backend() == "jax" and subject.case.tokens


def shapes_and_dtypes(outputs):
    return {
        path: (tuple(x.shape[1:]), keras.backend.standardize_dtype(x.dtype))
        for path, x in keras.tree.flatten_with_path(outputs)
    }


def test_every_exported_task_has_a_case():
    exported = {getattr(tasks, name) for name in tasks.__all__}
    exported = {
        x
        for x in exported - {tasks.Task}
        if isinstance(x, type) and issubclass(x, tasks.Task)
    }
    assert exported == {case.task for case in CASES.values()}


def test_config_survives_json(subject):
    case, task = subject.case, subject.task
    text = json.dumps(keras.saving.serialize_keras_object(task))
    assert " at 0x" not in text + repr(task)
    copy = keras.saving.deserialize_keras_object(json.loads(text))
    assert type(copy) is case.task
    found = json.loads(json.dumps(copy.get_config()))
    assert found == json.loads(json.dumps(task.get_config()))
    given = {n: v for n, v in case.arguments.items() if n != "tasks"}
    kept = {name: found[name] for name in given}
    if "pairs" in given:
        assert copy.pairs == task.pairs == given["pairs"]
    assert kept == json.loads(json.dumps(given))


def test_a_saved_model_holds_it(subject):
    task, loaded = subject.task, subject.loaded
    assert type(loaded) is subject.case.task
    for a, b in zip(loaded.weights, task.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(a), to_numpy(b))
    if eager_calls_are_slow(subject):
        return
    outputs, again = (
        to_numpy(keras.tree.flatten(each(subject.x, encoder=encoder)))
        for each, encoder in (
            (task, subject.encoder),
            (loaded, subject.loaded_encoder),
        )
    )
    for a, b in zip(outputs, again, strict=True):
        assert len(a) == BATCH
        np.testing.assert_array_equal(a, b)


def test_the_same_seed_gives_the_same_first_weights(subject):
    """However many were made before, in the same process."""
    weights = []
    for _ in range(2):
        keras.utils.set_random_seed(0)
        task = subject.case.make()
        keras_imp.AlternatingModel(subject.encoder, [task])
        weights.append(task.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_symbolic_call_has_the_shapes_of_a_real_one(subject):
    outputs = subject.call(symbols_of(subject.x))
    for output in keras.tree.flatten(outputs):
        assert output.shape[0] is None
    if not eager_calls_are_slow(subject):
        assert shapes_and_dtypes(outputs) == shapes_and_dtypes(subject.call())


def test_every_weight_gets_a_gradient(subject):
    own = subject.task.trainable_variables
    found = gradients(
        subject.loss, [*own, *subject.encoder.trainable_variables]
    )
    for variable, gradient in zip(own, found):
        assert np.isfinite(gradient).all(), variable.path
        assert np.abs(gradient).max() > 0, variable.path
    assert any(np.abs(gradient).max() > 0 for gradient in found[len(own) :])


def test_mixed_precision_keeps_weights_and_outputs_in_float32(subject):
    policy = "mixed_bfloat16"
    task = subject.case.make(dtype=policy)
    encoder = subject.case.encoder(policy)
    keras_imp.AlternatingModel(encoder, [task])
    assert {v.dtype for v in task.trainable_variables} == {"float32"}
    symbols = symbols_of(subject.x)
    mixed, full = task(symbols, encoder=encoder), subject.call(symbols)
    assert shapes_and_dtypes(mixed) == shapes_and_dtypes(full)


def test_its_metrics_have_its_name_in_front_and_are_nan_until_it_is_drawn(
    subject,
):
    task = subject.case.make("drawn")
    names = [metric.name for metric in task.metrics]
    assert "drawn/loss" in names
    assert len(set(names)) == len(names)
    assert all(name.startswith("drawn/") for name in names)
    assert all(np.isnan(float(metric.result())) for metric in task.metrics)


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        (
            "task",
            {"loss_weight": 0.0},
            "`loss_weight` must be greater than 0. Received: loss_weight=0.0.",
        ),
        (
            "task",
            {"microbatches": 0},
            "`microbatches` must be greater than 0. Received: microbatches=0.",
        ),
        (
            "task",
            {"accumulate": "sum"},
            "`accumulate` must be one of ('exact', 'mean'). Received: "
            "accumulate='sum'.",
        ),
        (
            "a/b",
            {},
            "The name of a task must not be empty or contain any of "
            r"('/', '@', '\\'). Received: name='a/b'.",
        ),
    ],
    ids=["loss_weight", "microbatches", "accumulate", "name"],
)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_arguments_of_every_task_are_checked(case, name, arguments, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        case.make(name, **arguments)
