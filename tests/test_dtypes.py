"""Dtypes: those of a policy in all of an encoder, trained, saved and loaded."""

import contextlib
import re

import keras
import keras_hub
import numpy as np
import pytest

import keras_imp
from tests.helpers import models, named
from tests.helpers.weights import to_numpy
from tests.layers.layer_contract import CASES

BACKEND = keras.config.backend()
POLICIES = (
    "float32",
    "mixed_bfloat16",
    "mixed_float16",
    "bfloat16",
    "float16",
    "float64",
)
ON_JAX = pytest.mark.skipif(BACKEND != "jax", reason="of JAX only")


def float64_exists(policy):
    """On JAX, float64 is an option of a process, or of a `with` block."""
    if BACKEND != "jax" or policy != "float64":
        return contextlib.nullcontext()
    import jax

    return jax.enable_x64(True)


@contextlib.contextmanager
def session(floatx="float32", policy=None):
    """A session with another default dtype."""
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy or floatx)
    try:
        yield
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


def make_encoder(policy=None, experts=2):
    """A dense layer, and one with experts unless there are none."""
    return keras_imp.IMPEncoder(
        4,
        4,
        num_layers=2,
        num_heads=1,
        modalities=("image",),
        patch_size=(1, 4, 4),
        position_buckets=(1, 2, 2),
        num_experts=experts,
        num_moe_layers=min(experts, 1),
        dtype=policy,
    )


def make_model(
    policy=None, experts=2, cls=keras_imp.AlternatingModel, optimizer=None, **of
):
    keras.utils.set_random_seed(0)
    head = keras_imp.tasks.Classification("objects", "image", 3)
    model = cls(make_encoder(policy, experts), [head], **of)
    if optimizer is None:
        optimizer = keras_imp.optimizers.AdamW(1e-3, global_clipnorm=1.0)
    model.compile(
        optimizer, jit_compile=models.default_jit(), **models.few_steps()
    )
    return model


IMAGES = np.linspace(-1, 1, 2 * 8 * 8 * 3, dtype="float32").reshape(2, 8, 8, 3)


def fit(model, steps=2):
    batch = ({"image": IMAGES}, np.array([0, 2]))
    together = isinstance(model, keras_imp.CombinedModel)
    make = keras_imp.TaskMixture
    mixture = (make.together if together else make)({"objects": [batch]})
    history = model.fit(mixture, steps_per_epoch=steps, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    return history


def predict(model):
    return model.predict({"image": IMAGES}, verbose=0)


def check_dtypes(layer, policy):
    policy = keras.dtype_policies.get(policy)
    assert layer.dtype_policy == policy
    for part in layer._flatten_layers():
        assert part.compute_dtype == policy.compute_dtype, part.path
        assert part.variable_dtype == policy.variable_dtype, part.path
    for variable in layer.weights:
        assert variable.dtype == policy.variable_dtype, variable.path
        found = keras.backend.standardize_dtype(variable.value.dtype)
        assert found == policy.variable_dtype, variable.path


def saved_and_loaded(model, folder):
    """Loaded in a session of float32, whatever this one has."""
    model.save(folder / "model.keras")
    with session():
        return keras.models.load_model(folder / "model.keras")


# Dense layers are in all of them, and two kinds of models take turns.
@pytest.mark.parametrize(
    ("policy", "cls"),
    list(
        zip(POLICIES, 3 * [keras_imp.AlternatingModel, keras_imp.CombinedModel])
    ),
)
def test_a_model_trains_and_keeps_its_policy_when_it_is_loaded(
    policy, cls, tmp_path
):
    with float64_exists(policy):
        # Given as an object to the encoder, and as a name to the head.
        model = make_model(keras.DTypePolicy(policy), cls=cls)
        scales = isinstance(
            model.optimizer, keras.optimizers.LossScaleOptimizer
        )
        assert scales == (policy == "mixed_float16")
        fit(model)
        loaded = saved_and_loaded(model, tmp_path)
        assert loaded.dtype_policy.name == policy
        assert type(loaded.optimizer) is type(model.optimizer)
        for a, b in zip(loaded.optimizer.variables, model.optimizer.variables):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(to_numpy(a), to_numpy(b))
        for each in (model, loaded):
            check_dtypes(each.encoder, policy)
        np.testing.assert_array_equal(predict(loaded), predict(model))


@pytest.mark.parametrize("floatx", ["float64", "float16"])
def test_a_session_of_another_dtype_trains(floatx, tmp_path):
    with float64_exists(floatx):
        with session(floatx):
            model = make_model(experts=0)
            fit(model)
            check_dtypes(model.encoder, floatx)
            # Keras gives `predict` inputs of the default dtype.
            predicted = predict(model)
        loaded = saved_and_loaded(model, tmp_path)
        check_dtypes(loaded.encoder, floatx)
        np.testing.assert_allclose(predict(loaded), predicted, atol=0.01)


@pytest.mark.parametrize("floatx", ["bfloat16", "float16"])
def test_the_loss_of_an_epoch_is_added_up_in_float32(floatx):
    model = make_model(experts=0)
    with session(floatx):
        model.compile(keras_imp.optimizers.AdamW(1e-3))
    tracker = model.metrics[0]
    assert tracker.name == "loss"
    for _ in range(300):
        tracker.update_state(1.0, sample_weight=10.0)
    assert float(tracker.result()) == 1.0
    assert float(tracker.count) == 3000.0


# What a policy is made of, layer by layer: all of them, with all options.
# JAX and torch add up what TensorFlow refuses to.
@pytest.mark.skipif(BACKEND != "tensorflow", reason="of TensorFlow only")
@pytest.mark.parametrize("policy", ["float64", "bfloat16", "float16"])
def test_every_layer_computes_in_its_own_dtype(policy):
    for name, case in CASES.items():
        layer = case.make(dtype=keras.DTypePolicy(policy))
        training = {"training": True} if layer._call_has_training_arg else {}
        inputs = case.inputs(np.random.default_rng(0))
        outputs = keras.tree.flatten(layer(**inputs, **case.static, **training))
        dtypes = {
            keras.backend.standardize_dtype(x.dtype)
            for x in outputs
            if x is not None
        }
        is_float32 = case.mixed_dtype == "float32"
        expected = {"float32" if is_float32 else policy}
        assert dtypes - {"bool"} == expected, name


@pytest.mark.parametrize("kind", ["layers", "tasks"])
def test_a_policy_may_be_an_object(kind):
    policy = keras.DTypePolicy("mixed_bfloat16")
    made = {
        "layers": [case.make(dtype=policy) for case in CASES.values()],
        "tasks": named.make_tasks(dtype=policy),
    }[kind]
    for layer in made:
        copy = type(layer).from_config(layer.get_config())
        assert copy.dtype_policy == layer.dtype_policy == policy


def test_an_encoder_passes_the_precision_checks_of_keras_hub():
    """`run_precision_test` of its test case, which skips torch on a CPU."""
    inputs = {"image": IMAGES}
    for name in ("mixed_float16", "mixed_bfloat16", "bfloat16"):
        policy = keras.mixed_precision.Policy(name)
        encoder = make_encoder(policy)
        assert isinstance(encoder, keras_hub.models.Backbone)
        check_dtypes(encoder, policy)
        found = [encoder.compute_output_spec(inputs)]
        if name == "bfloat16":
            found.append(encoder(inputs))
        for tensor in keras.tree.flatten(found):
            dtype = keras.backend.standardize_dtype(tensor.dtype)
            assert dtype in ("bool", policy.compute_dtype)


def test_a_policy_that_is_not_the_encoders_is_kept():
    for cls in (keras_imp.AlternatingModel, keras_imp.CombinedModel):
        model = make_model("float32", cls=cls, dtype="mixed_float16")
        # By it, `compile` scales the loss.
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        copy = cls.from_config(model.get_config())
        assert copy.dtype_policy.name == "mixed_float16"
        assert copy.encoder.dtype_policy.name == "float32"


@pytest.mark.parametrize("encoder", ["bfloat16", "float16", "float64"])
def test_gradients_of_two_dtypes_have_one_norm(encoder):
    """That of an optimizer of Keras, with an encoder of one dtype and heads
    of another; in float16 the square of 300 is infinite."""
    clipped = keras.optimizers.SGD(0.1, global_clipnorm=1.0)
    with float64_exists(encoder):
        model = make_model(encoder, experts=0, optimizer=clipped)
        model.tasks["objects"].loss_weight = 3000.0
        before = [to_numpy(v) for v in model.trainable_variables]
        fit(model, steps=1)
        after = [to_numpy(v) for v in model.trainable_variables]
    steps = [a.astype("float64") - b for a, b in zip(after, before)]
    norm = np.sqrt(sum(np.sum(step**2) for step in steps))
    assert norm == pytest.approx(0.1, rel=0.05)


def test_accumulated_gradients_of_two_dtypes_have_one_norm():
    options = {"global_clipnorm": 1.0, "gradient_accumulation_steps": 2}
    own = keras_imp.optimizers.AdamW(1e-3, **options)
    fit(make_model("bfloat16", experts=0, optimizer=own, update="all"))


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the others can")
def test_accumulated_gradients_that_keras_cannot_clip_are_refused():
    optimizer = keras.optimizers.Adam(
        1e-3, global_clipnorm=1.0, gradient_accumulation_steps=2
    )
    model = make_model("bfloat16", 0, optimizer=optimizer, update="all")
    text = (
        "On TensorFlow, an optimizer of Keras cannot accumulate gradients and "
        "clip them by one norm where the weights have the dtypes "
        "['bfloat16', 'float32']. Received: gradient_accumulation_steps=2, "
        "global_clipnorm=1.0. Use keras_imp.optimizers.AdamW, or a mixed "
        "policy, with which all weights are float32."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        fit(model)


@pytest.mark.parametrize(
    ("policy", "name"),
    [
        (keras.dtype_policies.DTypePolicyMap("float32"), "map_float32"),
        ("int8_from_float32", "int8_from_float32"),
        ("int32", "int32"),
    ],
    ids=("map", "int8", "int32"),
)
def test_an_encoder_refuses_a_policy_that_it_cannot_have(policy, name):
    text = (
        "`dtype` of an encoder must be one floating-point dtype or mixed "
        f"policy for all its parts. Received: dtype={name!r}. Use "
        '"float32" or "mixed_bfloat16", for example.'
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        make_encoder(policy)


@ON_JAX
def test_float64_on_jax_is_refused_until_jax_has_it():
    text = (
        "JAX computes in float32 where float64 is asked for, unless it is "
        "told otherwise. Received: dtype='float64'. Call "
        'jax.config.update("jax_enable_x64", True) before you make anything, '
        'or use "float32".'
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        make_encoder("float64")


@ON_JAX
def test_bfloat16_for_all_floats_on_jax_is_refused():
    text = (
        "Keras on JAX makes floats of all integers while its default is "
        "bfloat16. Received: floatx='bfloat16'. Call "
        'keras.config.set_floatx("float32") and '
        'keras.config.set_dtype_policy("bfloat16").'
    )
    with (
        session("bfloat16"),
        pytest.raises(ValueError, match=f"^{re.escape(text)}$"),
    ):
        make_encoder()


@pytest.mark.skipif(BACKEND == "jax", reason="refused there")
def test_bfloat16_for_all_floats_trains(tmp_path):
    with session("bfloat16"):
        model = make_model(experts=0)
        fit(model)
    check_dtypes(saved_and_loaded(model, tmp_path).encoder, "bfloat16")


def test_a_metric_counts_on_in_half_precision():
    metric = keras_imp.tasks.Regression("price", "image").track(
        keras.metrics.Sum(dtype="bfloat16")
    )
    for _ in range(300):
        metric.update_state(1.0)
    assert float(metric.result()) == 300.0
