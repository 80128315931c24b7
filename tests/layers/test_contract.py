"""What every exported layer promises, one promise per test."""

import json
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest

from keras_imp import layers
from keras_imp.layers.moe.spec import MoESpec
from tests.helpers import layer_oracles as oracles
from tests.helpers.gradients import gradients
from tests.helpers.weights import randomize, to_numpy
from tests.layers.layer_contract import BATCH, CASES, LayerCase

SEED = 7


class Subject(NamedTuple):
    """A layer that was called alone, eagerly, once.

    Built once per case: on JAX every eager call of a scan compiles it anew.
    """

    case: LayerCase
    layer: keras.layers.Layer
    inputs: dict[str, Any]
    first_weights: list[np.ndarray]
    outputs: list[np.ndarray]

    def call(self, layer=None, inputs=None, **arguments):
        layer = layer or self.layer
        inputs = inputs or self.inputs
        return flat(layer(**inputs, **self.case.static, **arguments))


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES.keys())
def subject(request):
    case = request.param
    rng = np.random.default_rng(SEED)
    inputs = case.inputs(rng)
    layer, first_weights = built(case, inputs)
    randomize(layer, rng)
    outputs = to_numpy(flat(layer(**inputs, **case.static)))
    return Subject(case, layer, inputs, first_weights, outputs)


def built(case, inputs):
    """A fresh layer and its first weights."""
    keras.utils.set_random_seed(SEED)
    layer = case.make()
    functional(case, layer, inputs)
    return layer, layer.get_weights()


def functional(case, layer, inputs):
    symbols = {name: symbolic(name, value) for name, value in inputs.items()}
    return keras.Model(symbols, layer(**symbols, **case.static))


def symbolic(name, value):
    if isinstance(value, dict):
        return {key: symbolic(key, part) for key, part in value.items()}
    return keras.Input(value.shape[1:], dtype=value.dtype.name, name=name)


def flat(outputs):
    """Tensors of any structure, in a fixed order, without what is None."""
    return [x for x in keras.tree.flatten(outputs) if x is not None]


def shapes_and_dtypes(outputs):
    return [
        (tuple(x.shape[1:]), keras.backend.standardize_dtype(x.dtype))
        for x in flat(outputs)
    ]


def assert_equal_outputs(first, second, tolerance=oracles.SAME_MATH_TOLERANCE):
    first, second = to_numpy(flat(first)), to_numpy(flat(second))
    assert len(first) == len(second) > 0
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_every_exported_layer_has_a_case():
    exported = {getattr(layers, name) for name in layers.__all__}
    exported = {x for x in exported if issubclass(x, keras.layers.Layer)}
    covered = {case.layer for case in CASES.values()}
    assert exported == covered


def test_works_alone_without_a_model_or_a_name(subject):
    assert subject.outputs
    assert all(np.isfinite(x).all() for x in subject.outputs)
    assert all(len(x) == BATCH for x in subject.outputs)


def test_eager_symbolic_and_compiled_calls_agree(subject):
    eager = subject.call()
    model = functional(subject.case, subject.layer, subject.inputs)
    compiled = model.predict(subject.inputs, batch_size=BATCH, verbose=0)
    assert_equal_outputs(eager, compiled)
    assert (
        shapes_and_dtypes(eager)
        == shapes_and_dtypes(model.output)
        == shapes_and_dtypes(compiled)
    )


def test_config_survives_json(subject):
    layer, case = subject.layer, subject.case
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    copy = keras.saving.deserialize_keras_object(config)
    assert type(copy) is case.layer
    # JSON has lists only.
    assert json.dumps(copy.get_config()) == json.dumps(layer.get_config())
    for name, value in case.arguments.items():
        if isinstance(value, keras.layers.Layer):
            found = MoESpec.of(getattr(copy, name)).config
            given = value.get_config()
            own = dict.fromkeys(("name", "dtype"))
            assert {**found, **own} == {**given, **own}
        elif not name.endswith("_initializer"):
            assert getattr(copy, name) == getattr(layer, name) == value
    functional(case, copy, subject.inputs)
    copy.set_weights(layer.get_weights())
    assert_equal_outputs(subject.call(copy), subject.outputs)


def test_a_saved_model_gives_equal_outputs(subject, tmp_path):
    model = functional(subject.case, subject.layer, subject.inputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_equal_outputs(loaded(subject.inputs), subject.outputs)


def test_mixed_bfloat16_keeps_variables_in_float32(subject):
    layer = subject.case.make(dtype="mixed_bfloat16")
    symbolic = functional(subject.case, layer, subject.inputs).output
    assert {v.dtype for v in layer.weights} <= {"float32"}
    layer.set_weights(subject.layer.get_weights())
    outputs = subject.call(layer)
    dtypes = {dtype for _, dtype in shapes_and_dtypes(outputs)} - {"bool"}
    assert dtypes == {subject.case.mixed_dtype}
    assert shapes_and_dtypes(symbolic) == shapes_and_dtypes(outputs)
    for a, b in zip(to_numpy(outputs), subject.outputs, strict=True):
        error = np.abs(a.astype("float64") - b.astype("float64"))
        assert error.mean() <= oracles.BFLOAT16_TOLERANCE * np.abs(b).max()


def test_every_weight_gets_a_gradient(subject, rng):
    variables = subject.layer.trainable_variables
    if not variables:
        pytest.skip("This layer has no weights.")
    targets = [
        rng.normal(size=x.shape).astype("float32") for x in subject.outputs
    ]
    arguments = (
        {"training": True} if subject.layer._call_has_training_arg else {}
    )

    def loss():
        return sum(
            keras.ops.sum(keras.ops.multiply(x, target))
            for x, target in zip(
                subject.call(**arguments), targets, strict=True
            )
        )

    for variable, gradient in zip(
        variables, gradients(loss, variables), strict=True
    ):
        assert np.isfinite(gradient).all(), variable.path
        assert np.abs(gradient).max() > 0, variable.path


def test_a_permuted_batch_permutes_the_output(subject):
    order = np.array([2, 0, 1])
    permuted = keras.tree.map_structure(lambda x: x[order], subject.inputs)
    assert_equal_outputs(
        subject.call(inputs=permuted), [x[order] for x in subject.outputs]
    )


def test_an_example_does_not_depend_on_its_neighbors(subject, rng):
    others = subject.case.inputs(rng)
    inputs = keras.tree.map_structure(
        lambda x, other: np.concatenate([other[:1], x[1:2], other[2:]]),
        subject.inputs,
        others,
    )
    outputs = to_numpy(subject.call(inputs=inputs))
    assert_equal_outputs(
        [x[1] for x in outputs], [x[1] for x in subject.outputs]
    )


def test_calls_without_training_are_deterministic(subject):
    arguments = (
        {"training": False} if subject.layer._call_has_training_arg else {}
    )
    assert_equal_outputs(
        subject.call(**arguments), subject.outputs, tolerance=0
    )


def test_padding_tokens_change_nothing_where_tokens_are_real(subject):
    if "padding_mask" not in subject.inputs:
        pytest.skip("This case has no padding.")
    mask, tokens = subject.inputs["padding_mask"], subject.inputs["tokens"]
    other = np.where(mask[..., None], tokens, 100 - tokens).astype("float32")
    outputs = subject.call(inputs={**subject.inputs, "tokens": other})
    for a, b in zip(to_numpy(outputs), subject.outputs, strict=True):
        keeps_tokens = a.shape[:2] == mask.shape
        a, b = (a[mask], b[mask]) if keeps_tokens else (a, b)
        np.testing.assert_array_equal(a, b)


def test_the_same_seed_gives_the_same_first_weights(subject):
    _, weights = built(subject.case, subject.inputs)
    for a, b in zip(weights, subject.first_weights, strict=True):
        np.testing.assert_array_equal(a, b)
