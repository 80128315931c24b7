"""Every public method that models inherit, and a call of each.

A row calls the method and asserts what it does; `refused` and `raises` are for
methods that say why they do nothing here. Names of one backend are in
`OF_BACKEND`. Rows that change a model take a new one: `case.fresh()`.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest

import keras_imp
from tests.helpers.weights import to_numpy

BACKEND = keras.config.backend()
# The quickest way to a few steps.
HOW = {"jit_compile": BACKEND == "jax", "run_eagerly": BACKEND == "tensorflow"}
SIZES = {
    "vocabulary_size": 6,
    "patch_size": (1, 2, 2),
    "position_buckets": (1, 2, 2),
    "max_sequence_length": 4,
    "scan_layers": False,
}
EXPERTS = {"num_experts": 2, "num_moe_layers": 1}
X = {
    "image": np.linspace(-1, 1, 96, dtype="float32").reshape(2, 4, 4, 3),
    "text": np.array([[1, 2, 0], [3, 4, 5]], "int32"),
}
CLASSES = np.array([0, 1])


class Case(NamedTuple):
    """A model to call methods of.

    Attributes:
        model: A compiled model, which rows leave as it is.
        fresh: Makes another one.
        x: What it is called with.
        folder: Where to write.
    """

    model: Any
    fresh: Callable[[], Any]
    x: dict[str, Any]
    folder: Path

    @property
    def symbols(self):
        return symbols(self.x)

    def weights(self, model=None):
        return [np.array(w) for w in (model or self.model).get_weights()]


def make_encoder(**arguments):
    encoder = keras_imp.IMPEncoder(
        4, 4, 2, 1, modalities=("image", "text"), **SIZES, **arguments
    )
    encoder.compile("sgd", loss="mse", **HOW)
    return encoder


def make_model():
    model = keras_imp.AlternatingModel(
        make_encoder(**EXPERTS),
        [
            keras_imp.tasks.Classification("objects", "image", 3),
            keras_imp.tasks.Regression("price", "text"),
        ],
    )
    model.compile("sgd", **HOW)
    return model


def symbols(x):
    return keras.tree.map_structure(
        lambda a: keras.KerasTensor(a.shape, a.dtype.name), x
    )


def shapes(outputs):
    return keras.tree.map_structure(lambda a: tuple(a.shape), outputs)


def assert_same(first, second, rtol=1e-5):
    flat = keras.tree.flatten
    for a, b in zip(flat(first), flat(second), strict=True):
        a, b = (to_numpy([v])[0] for v in (a, b))
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-6)


def raises(error, text, call):
    with pytest.raises(error, match=re.escape(text)):
        call()


def refused(name, *args, error=NotImplementedError, text=""):
    """A row: the method says that it is not possible, and changes nothing."""

    def row(case):
        before = case.weights(), len(case.model.trainable_variables)
        said = text or f"`{name}` is not possible: "
        raises(error, said, lambda: getattr(case.model, name)(*args))
        after = case.weights(), len(case.model.trainable_variables)
        assert_same(before, after)

    return row


# What does the same in an encoder and in a model -----------------------------


def _add_variable(case):
    model = case.fresh()
    path = model.add_variable((2,), "zeros").path
    assert path.startswith(f"{model.name}/variable")


def _add_weight(case):
    model = case.fresh()
    before = model.count_params()
    model.add_weight(shape=(2,))
    assert model.count_params() == before + 2


def _build(case):
    before = case.weights()
    case.model.build()
    assert_same(case.weights(), before)


def _build_from_config(case):
    config = case.model.get_build_config()
    assert config is None
    case.model.build_from_config(config)


def _call(case):
    assert_same(case.model.call(case.x), case.model(case.x))


def _compile(case):
    model = case.fresh()
    model.compile("adam")
    assert isinstance(model.optimizer, keras.optimizers.Adam)


def _compile_from_config(case):
    model = case.fresh()
    model.compile_from_config(model.get_compile_config())
    assert isinstance(model.optimizer, keras.optimizers.SGD)


def _compute_mask(case):
    assert case.model.compute_mask(case.x, None) is None


def _compute_output_spec(case):
    spec = case.model.compute_output_spec(case.symbols)
    assert shapes(spec) == shapes(case.model(case.x))


def _count_params(case):
    weights = case.model.weights
    assert case.model.count_params() == sum(np.prod(w.shape) for w in weights)


def _export(case):
    text = "`input_signature` must be given: the inputs may have any size."
    path = case.folder / "exported.onnx"
    raises(ValueError, text, lambda: case.model.export(path, format="onnx"))


def _from_config(case):
    again = type(case.model).from_config(case.model.get_config())
    assert again.count_params() == case.model.count_params()
    assert again.get_config() == case.model.get_config()


def _get_compile_config(case):
    config = case.model.get_compile_config()
    assert config["optimizer"]["class_name"] == "SGD"


def _get_layer(case):
    layer = case.model.layers[0]
    assert case.model.get_layer(layer.name) is layer
    assert case.model.get_layer(index=0) is layer


def _get_quantization_layer_structure(case):
    assert case.model.get_quantization_layer_structure("int8") is None


def _state_tree(case):
    model = case.fresh()
    tree = model.get_state_tree("numpy_array")
    kept = keras.tree.map_structure(np.array, tree["trainable_variables"])
    assert len(keras.tree.flatten(kept)) == len(model.trainable_variables)
    doubled = keras.tree.map_structure(lambda v: 2 * v, kept)
    model.set_state_tree({"trainable_variables": doubled})
    found = model.get_state_tree("numpy_array")["trainable_variables"]
    assert_same(found, doubled)


def _load_weights(case):
    case.model.save_weights(case.folder / "saved.weights.h5")
    model = case.fresh()
    report = model.load_weights(case.folder / "saved.weights.h5")
    assert report.is_complete
    assert_same(model(case.x), case.model(case.x))


def _own_variables(case):
    store: dict = {}
    case.model.save_own_variables(store)
    arrays = {k: keras.ops.convert_to_numpy(v) for k, v in store.items()}
    case.model.load_own_variables(arrays)


def _make_function(name):
    def row(case):
        model = case.fresh()
        getattr(model, f"make_{name}_function")()
        assert callable(getattr(model, f"{name}_function"))

    return row


def _predict_on_batch(case):
    found = case.model.predict_on_batch(case.x)
    assert_same(found, case.model(case.x))


def _rematerialized_call(case):
    found = case.model.rematerialized_call(case.model.call, case.x)
    assert_same(found(case.x), case.model(case.x))


def _reset_metrics(case):
    case.model.reset_metrics()
    figures = case.model.get_metrics_result()
    assert all(float(value) == 0 for value in figures.values())


def _save(case):
    path = case.folder / "saved.keras"
    case.model.save(path)
    again = keras.models.load_model(path)
    assert_same(again(case.x), case.model(case.x))


def _set_weights(case):
    model = case.fresh()
    model.set_weights(case.weights())
    assert_same(case.weights(model), case.weights())


def _stateless_call(case):
    outputs, _ = case.model.stateless_call(
        case.model.trainable_variables,
        case.model.non_trainable_variables,
        case.x,
    )
    assert_same(outputs, case.model(case.x))


def _summary(case):
    lines: list[str] = []
    case.model.summary(print_fn=lines.append, expand_nested=True)
    text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(lines))
    assert all(layer.name in text for layer in case.model.layers)
    assert str(case.model.layers[0].count_params()) in text


def _symbolic_call(case):
    found = case.model.symbolic_call(case.symbols)
    assert shapes(found) == shapes(case.model(case.x))


def _to_json(case):
    again = keras.models.model_from_json(case.model.to_json())
    assert again.count_params() == case.model.count_params()


COMMON = {
    "add_loss": refused("add_loss", 1.0, error=ValueError, text="`add_loss()`"),
    "add_metric": refused("add_metric", text="`add_metric()` method is depr"),
    "add_variable": _add_variable,
    "add_weight": _add_weight,
    "build": _build,
    "build_from_config": _build_from_config,
    "call": _call,
    "compile": _compile,
    "compile_from_config": _compile_from_config,
    "compute_mask": _compute_mask,
    "compute_output_spec": _compute_output_spec,
    "count_params": _count_params,
    "export": _export,
    "from_config": _from_config,
    "get_build_config": _build_from_config,
    "get_compile_config": _get_compile_config,
    "get_config": _from_config,
    "get_layer": _get_layer,
    "get_metrics_result": _reset_metrics,
    "get_quantization_layer_structure": _get_quantization_layer_structure,
    "get_state_tree": _state_tree,
    "get_weights": _set_weights,
    "load_own_variables": _own_variables,
    "load_weights": _load_weights,
    "make_predict_function": _make_function("predict"),
    "make_test_function": _make_function("test"),
    "make_train_function": _make_function("train"),
    "predict_on_batch": _predict_on_batch,
    "quantize": refused("quantize", "int8"),
    "quantized_build": refused("quantized_build", text="`quantize` is not"),
    "quantized_call": refused("quantized_call", text="`quantize` is not"),
    "rematerialized_call": _rematerialized_call,
    "reset_metrics": _reset_metrics,
    "save": _save,
    "save_own_variables": _own_variables,
    "save_weights": _load_weights,
    "set_state_tree": _state_tree,
    "set_weights": _set_weights,
    "stateless_call": _stateless_call,
    "summary": _summary,
    "symbolic_call": _symbolic_call,
    "to_json": _to_json,
}


# An encoder -----------------------------------------------------------------


def targets(case):
    return keras.tree.map_structure(
        lambda a: np.ones(a.shape, "float32"), case.model(case.x)
    )


def _compute_loss(case):
    y = targets(case)
    assert float(case.model.compute_loss(case.x, y, y)) == 0.0


def _compute_metrics(case):
    y = targets(case)
    assert "loss" in case.model.compute_metrics(case.x, y, y)


def _compute_output_shape(case):
    given = {name: (None, *x.shape[1:]) for name, x in case.x.items()}
    found = case.model.compute_output_shape(given)
    assert found["image"]["sequence_output"] == (None, 4, 4)
    assert found["text"]["pooled_output"] == (None, 4)


def _fit(case):
    model, y = case.fresh(), targets(case)
    before = case.weights(model)
    history = model.fit(case.x, y, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    after = case.weights(model)
    assert any(np.any(a != b) for a, b in zip(before, after, strict=True))


def _evaluate(case):
    y = targets(case)
    found = case.model.evaluate(case.x, y, verbose=0, return_dict=True)
    on_batch = case.model.test_on_batch(case.x, y, return_dict=True)
    assert found["loss"] == pytest.approx(on_batch["loss"], rel=1e-5)


def _predict(case):
    assert_same(case.model.predict(case.x, verbose=0), case.model(case.x))


def _train_on_batch(case):
    model = case.fresh()
    assert np.isfinite(model.train_on_batch(case.x, targets(case))).all()


def _stateless_compute_loss(case):
    y, model = targets(case), case.model
    loss, _ = model.stateless_compute_loss(
        model.trainable_variables,
        model.non_trainable_variables,
        model.metrics_variables,
        x=case.x,
        y=y,
        y_pred=y,
    )
    assert float(loss) == 0.0


def _preset(case):
    folder = str(case.folder / "preset")
    case.model.save_to_preset(folder)
    again = type(case.model).from_preset(folder)
    assert_same(again(case.x), case.model(case.x))


def _lora_names(case):
    assert case.model.default_lora_layer_names() == ["query", "value"]


def _lora(case):
    encoder, path = case.fresh(), case.folder / "a.lora.h5"
    encoder.enable_lora(2)
    assert len(encoder.trainable_variables) == 4 * len(encoder.body.stacks)
    for variable in encoder.trainable_variables:
        variable.assign(keras.ops.ones(variable.shape))
    before = encoder(case.x)
    encoder.save_lora_weights(path)
    for variable in encoder.trainable_variables:
        variable.assign(keras.ops.zeros(variable.shape))
    encoder.load_lora_weights(path)
    assert_same(encoder(case.x), before)


ENCODER = {
    **COMMON,
    "compute_loss": _compute_loss,
    "compute_metrics": _compute_metrics,
    "compute_output_shape": _compute_output_shape,
    "default_lora_layer_names": _lora_names,
    "enable_lora": _lora,
    "evaluate": _evaluate,
    "export_to_transformers": refused("export_to_transformers", "folder"),
    "fit": _fit,
    "from_preset": _preset,
    "load_lora_weights": _lora,
    "predict": _predict,
    "predict_step": _predict,
    "save_lora_weights": _lora,
    "save_to_preset": _preset,
    "stateless_compute_loss": _stateless_compute_loss,
    "test_on_batch": _evaluate,
    "test_step": _evaluate,
    "train_on_batch": _train_on_batch,
    "train_step": _fit,
}


# A model --------------------------------------------------------------------


def mixture():
    batch = ({"image": X["image"]}, CLASSES)
    return keras_imp.TaskMixture.sequential({"objects": [batch]})


def _fit_model(case):
    model = case.fresh()
    history = model.fit(mixture(), steps_per_epoch=1, verbose=0).history
    assert np.isfinite(history["objects/loss"]).all()


def _evaluate_model(case):
    found = case.model.evaluate(mixture(), verbose=0)
    assert np.isfinite(found["objects/loss"])


def _predict_model(case):
    images = {"image": X["image"]}
    found = case.model.predict(images, task="objects", verbose=0)
    assert_same(found, case.model({"objects": images}))


MODEL = {
    **COMMON,
    "compute_loss": refused("compute_loss"),
    "compute_metrics": refused("compute_metrics"),
    "compute_output_shape": refused("compute_output_shape", {}),
    "evaluate": _evaluate_model,
    "fit": _fit_model,
    "predict": _predict_model,
    "predict_step": _predict_model,
    "stateless_compute_loss": refused("stateless_compute_loss"),
    "test_on_batch": refused("test_on_batch", text="`test_on_batch` cannot"),
    "test_step": _evaluate_model,
    "train_on_batch": refused("train_on_batch", text="`train_on_batch` canno"),
    "train_step": _fit_model,
}


# Names that Keras has on one backend ----------------------------------------


def _jax_state_sync(case):
    before = case.weights()
    case.model.jax_state_sync()
    assert_same(case.weights(), before)


def _distribute_strategy(case):
    assert case.model.distribute_strategy is not None


def _forward(case):
    assert_same(case.model.forward(case.x), case.model(case.x))


def _torch_params(case):
    named = dict(case.model.named_parameters())
    assert len(named) == len(case.model.torch_params) > 0


def _compiled_loss(case):
    y = targets(case)
    assert float(case.model.compiled_loss(y, y)) == 0.0


def _updates(case):
    model, y = case.model, targets(case)
    return model.compute_loss_and_updates(
        model.trainable_variables,
        model.non_trainable_variables,
        model.metrics_variables,
        case.x,
        y,
        None,
        training=False,
    )


def _compute_loss_and_updates(case):
    assert np.isfinite(float(_updates(case)[0]))


def _no_loss_and_updates(case):
    text = "`stateless_compute_loss` is not possible"
    raises(NotImplementedError, text, lambda: _updates(case))


def _compiled_metrics(case):
    assert hasattr(case.model.compiled_metrics, "update_state")


OF_BACKEND: dict[str, dict[str, dict]] = {
    "jax": {
        "both": {"jax_state_sync": _jax_state_sync},
        "encoder": {"compute_loss_and_updates": _compute_loss_and_updates},
        "model": {"compute_loss_and_updates": _no_loss_and_updates},
    },
    "tensorflow": {
        "both": {
            "compiled_metrics": _compiled_metrics,
            "distribute_strategy": _distribute_strategy,
        },
        "encoder": {"compiled_loss": _compiled_loss},
        "model": {
            "compiled_loss": refused(
                "compiled_loss", 0, 0, text="`compute_loss` is not possible"
            )
        },
    },
    "torch": {
        "both": {
            "forward": _forward,
            "named_parameters": _torch_params,
            "torch_params": _torch_params,
        },
        "encoder": {},
        "model": {},
    },
}
for _kind, _rows in (("encoder", ENCODER), ("model", MODEL)):
    _rows |= OF_BACKEND[BACKEND]["both"] | OF_BACKEND[BACKEND][_kind]

# Attributes, which say what they are; `input` and `output` say why not.
ATTRIBUTES = {
    "compute_dtype": "float32",
    "dtype": "float32",
    "dtype_policy": keras.DTypePolicy("float32"),
    "input_dtype": "float32",
    "input_spec": None,
    "losses": [],
    "quantization_mode": None,
    **HOW,
    "supports_masking": False,
    "trainable": True,
    "variable_dtype": "float32",
}
LISTS = (
    "layers",
    "metrics",
    "metrics_names",
    "metrics_variables",
    "trainable_variables",
    "trainable_weights",
    "variables",
    "weights",
)
OTHERS = {
    # Keras has no value for it before it has distributed something.
    "distribute_reduction_method",
    "input",
    # What `compile` was given takes the place of a method of TensorFlow.
    "loss",
    "non_trainable_variables",
    "non_trainable_weights",
    "output",
    "path",
    "presets",
    "token_embedding",
}


def inherited(model):
    """Public names that Keras and keras-hub give to the class of a model."""
    return {
        name
        for base in type(model).__mro__
        if base.__module__.partition(".")[0] in ("keras", "keras_hub")
        for name in vars(base)
        if not name.startswith("_")
    }
