"""Dtype policies: kept by what is saved, and the same in all of an encoder."""

import keras
import numpy as np
import pytest

import keras_imp
from tests.helpers import named


def make_model(policy, **options):
    keras.utils.set_random_seed(0)
    heads = keras_imp.tasks.Classification("objects", "image", 3)
    model = keras_imp.AlternatingModel(
        named.make_encoder(dtype=policy), [heads], **options
    )
    model.compile(keras_imp.optimizers.AdamW(1e-3))
    return model


def mixture():
    x = {"image": np.zeros((2, 8, 8, 3), "float32")}
    batch = (x, np.array([0, 2]))
    return keras_imp.TaskMixture({"objects": [batch]})


@pytest.mark.parametrize(
    "policy", ["mixed_bfloat16", "mixed_float16", "bfloat16"]
)
def test_all_of_an_encoder_has_the_dtypes_of_its_policy(policy):
    encoder = named.make_encoder(dtype=policy)
    expected = keras.dtype_policies.get(policy)
    floats = {v.dtype for v in encoder.weights}
    assert floats == {expected.variable_dtype}
    for layer in encoder._flatten_layers():
        assert layer.compute_dtype == expected.compute_dtype


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_a_mixed_model_trains_and_keeps_its_policy_when_it_is_loaded(
    policy, tmp_path
):
    model = make_model(policy)
    scales = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scales == (policy == "mixed_float16")
    history = model.fit(mixture(), steps_per_epoch=1, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for part in ("dtype_policy", "encoder.dtype_policy"):
        found = loaded
        for name in part.split("."):
            found = getattr(found, name)
        assert found.name == policy
    assert type(loaded.optimizer) is type(model.optimizer)
    for a, b in zip(loaded.optimizer.variables, model.optimizer.variables):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_policy_that_is_not_the_encoders_is_kept():
    model = make_model("float32", dtype="mixed_float16")
    copy = keras_imp.AlternatingModel.from_config(model.get_config())
    assert copy.dtype_policy.name == "mixed_float16"
    assert copy.encoder.dtype_policy.name == "float32"


def test_an_encoder_of_half_precision_trains_with_heads_in_float32():
    """The gradients have two dtypes, and one norm."""
    model = make_model("bfloat16")
    history = model.fit(mixture(), steps_per_epoch=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_a_metric_counts_on_in_half_precision():
    metric = keras_imp.tasks.Regression("price", "image").track(
        keras.metrics.Sum(dtype="bfloat16")
    )
    for _ in range(300):
        metric.update_state(1.0)
    assert float(metric.result()) == 300.0
