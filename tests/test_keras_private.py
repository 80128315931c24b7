"""What the package needs of Keras' private names, one test for each.

`.ci/newest_keras` runs this file on the newest Keras of the package index.
"""

import ast
import pathlib
import types

import h5py
import keras
import numpy as np
import pytest
from keras import ops

import keras_imp
from keras_imp import _keras_private as keras_private
from tests.helpers.optimizers import take_step
from tests.helpers.weights import to_numpy

PACKAGE = pathlib.Path(keras_imp.__file__).parent
HERE = PACKAGE / "_keras_private.py"
on_jax = pytest.mark.skipif(
    keras.config.backend() != "jax", reason="a name of Keras' JAX trainer"
)


def make_model(**options):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(options.pop("optimizer", "sgd"), loss="mse", **options)
    return model


class Items(keras_private.DataAdapter):
    """Two batches, as an adapter of one's own gives them."""

    num_batches = 2
    batch_size = None
    has_partial_batch = False
    partial_batch_size = None

    def _items(self):
        return iter([(np.ones((3, 2)), np.ones((3, 1)))] * 2)

    get_numpy_iterator = get_jax_iterator = _items

    def get_tf_dataset(self):
        import tensorflow as tf

        return tf.data.Dataset.from_tensors(next(self._items())).repeat(2)

    def get_torch_dataloader(self):
        return [tuple(map(ops.convert_to_tensor, i)) for i in self._items()]


def fit(model, **options):
    return model.fit(Items(), verbose=0, **options)


# A model --------------------------------------------------------------------


def test_fit_takes_a_data_adapter_of_ones_own():
    model = make_model()
    fit(model)
    assert int(model.optimizer.iterations) == 2


def test_compile_makes_the_tracker_of_the_loss():
    model = make_model()
    assert keras_private.loss_tracker(model).name == "loss"
    assert model.metrics[0] is keras_private.loss_tracker(model)
    history = fit(model).history
    tracked = keras_private.loss_tracker(model).result()
    assert history["loss"] == [pytest.approx(float(tracked))]


def test_a_callback_sets_the_epoch_at_which_fit_begins():
    model = make_model()
    assert keras_private.initial_epoch(model) == 0
    callback = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: keras_private.set_initial_epoch(model, 2)
    )
    assert fit(model, epochs=3, callbacks=[callback]).epoch == [2]
    assert keras_private.initial_epoch(model) == 2


def test_all_layers_are_the_layer_and_what_is_in_it():
    model = make_model()
    layers = list(keras_private.all_layers(model))
    assert layers[0] is model
    assert model.layers[-1] in layers


def test_inner_layers_are_those_right_in_a_layer_and_its_lists():
    outer = keras.layers.Layer()
    outer.listed = {"inner": [make_model()]}
    assert list(keras_private.inner_layers(outer)) == outer.listed["inner"]


def test_a_built_layer_gets_a_layer_and_forgets_it_again():
    outer = keras.layers.Layer()
    outer.build((1,))
    inner = keras.layers.Dense(1)
    inner.build((None, 2))
    with pytest.raises(ValueError, match="already built"):
        outer.inner = inner
    with keras_private.unlocked(outer):
        outer.inner = inner
    assert len(outer.trainable_variables) == 2
    with pytest.raises(ValueError, match="already built"):
        outer.other = keras.layers.Dense(1)
    outer.inner = None
    keras_private.untrack(outer, inner)
    assert outer.variables == []


def test_a_layer_knows_whether_another_one_calls_it():
    class Asked(keras.layers.Layer):
        def __call__(self, x):
            answers.append(keras_private.is_outermost_call())
            return super().__call__(x)

        def call(self, x):
            return x

    class Outer(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = Asked()

        def call(self, x):
            return self.inner(x)

    answers: list[bool] = []
    outer = Outer()
    for layer in (outer.inner, outer, outer.inner):
        layer(np.ones((1, 2)))
    assert answers == [True, False, True]


def test_the_recorded_groups_are_those_of_a_file(tmp_path):
    model = make_model()
    fit(model)
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    found = set()

    def note(name, array):
        group, _, key = f"/{name}".rpartition("/vars/")
        if isinstance(array, h5py.Dataset) and group != "/optimizer":
            found.add((group.removeprefix("/"), key, array.shape))

    with h5py.File(path) as file:
        file.visititems(note)
    groups = keras_private.saved_groups(model, skipped=model.optimizer)
    assert found == {
        (group, key, tuple(value.shape))
        for group, values in groups.items()
        for key, value in values.items()
    }


def test_keras_reads_on_in_the_file_that_its_store_is_given(tmp_path):
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = keras.layers.Dense(1)
            self.inner.build((None, 2))
            self.built = True

        def load_own_variables(self, store):
            file = keras_private.file_of_store(store)
            file.close()
            other = h5py.File(tmp_path / "second.weights.h5")
            keras_private.set_file_of_store(store, other)

    models = {name: Model() for name in ("first", "second")}
    for name, model in models.items():
        model.save_weights(tmp_path / f"{name}.weights.h5")
    models["first"].load_weights(tmp_path / "first.weights.h5")
    np.testing.assert_array_equal(
        *(to_numpy(model.inner.kernel) for model in models.values())
    )
    assert keras_private.file_of_store({}) is None


def test_keras_asks_the_model_what_an_epoch_logs():
    class Model(keras.Sequential):
        def _get_metrics_result_or_logs(self, logs):
            return {"loss": 7.0}

    model = Model([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    assert fit(model).history == {"loss": [7.0]}
    logs = model.evaluate(Items(), verbose=0, return_dict=True)
    assert logs == {"loss": 7.0}


# The state of a model that trains on JAX ------------------------------------


@on_jax
def test_keras_asks_the_model_for_the_state_of_each_call():
    found = []

    class Model(keras.Sequential):
        def _get_jax_state(self, **groups):
            found.append({name for name, wanted in groups.items() if wanted})
            return super()._get_jax_state(**groups)

    model = Model([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    fit(model)
    model.evaluate(Items(), verbose=0)
    model.predict(np.ones((3, 2)), verbose=0)
    purge = "purge_model_variables"
    predicted = {"trainable_variables", "non_trainable_variables", purge}
    evaluated = {*predicted, "metrics_variables"}
    trained = {*evaluated, "optimizer_variables"}
    assert found == [trained, evaluated, predicted]


@on_jax
def test_values_are_taken_out_of_the_variables_and_put_back():
    model = make_model()
    model.optimizer.build(model.trainable_variables)
    kernel = model.trainable_variables[0]
    before = to_numpy(kernel)
    groups = dict.fromkeys(keras_private._GROUPS, True)
    state = keras_private.get_jax_state(model, **groups)
    assert len(state) == 4
    keras_private.purge_variables(model, **groups)
    assert kernel._value is None
    keras_private.set_jax_state(model, state)
    keras_private.jax_state_sync(model)
    np.testing.assert_array_equal(to_numpy(kernel), before)


@on_jax
def test_values_that_are_forgotten_are_not_put_back():
    model = make_model()
    groups = dict.fromkeys(keras_private._GROUPS, True)
    keras_private.set_jax_state(
        model, keras_private.get_jax_state(model, **groups)
    )
    kernel = model.trainable_variables[0]
    kernel.assign([[3.0], [4.0]])
    keras_private.forget_jax_state(model)
    keras_private.jax_state_sync(model)
    assert to_numpy(kernel).tolist() == [[3.0], [4.0]]


@on_jax
def test_keras_keeps_the_state_between_steps_where_we_look_for_it():
    model = make_model()
    found = []

    def look(batch, logs):
        found.append(set(getattr(model, keras_private.JAX_STATE)))

    fit(
        model,
        callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=look)],
    )
    assert found == [set(keras_private._GROUPS)] * 2


@on_jax
def test_a_function_of_steps_takes_an_iterator():
    function = keras_private.make_function(
        make_model(), lambda state, data: (data, state + 1)
    )
    assert function(0, iter("ab")) == ("a", 1)


# A metric -------------------------------------------------------------------


def test_the_variables_of_a_metric_have_paths_with_its_name():
    metric = keras.metrics.Mean(name="loss")
    metric.name = "objects/loss"
    keras_private.name_variables(metric)
    paths = [variable.path for variable in metric.variables]
    assert paths == ["objects/loss/total", "objects/loss/count"]


# An optimizer ---------------------------------------------------------------


def built(**options):
    optimizer = keras.optimizers.AdamW(0.1, **options)
    variables = [keras.Variable([1.0], name=f"v{i}") for i in range(2)]
    optimizer.build(variables)
    return optimizer, variables


def test_an_optimizer_knows_the_variables_it_was_built_for():
    optimizer, variables = built()
    known = keras_private.optimized_variables(optimizer)
    assert [id(v) for v in known] == [id(v) for v in variables]
    assert keras_private.variable_index(optimizer, variables[1]) == 1


def test_an_optimizer_knows_which_variables_are_excluded_from_decay():
    optimizer = keras.optimizers.AdamW(0.1)
    optimizer.exclude_from_weight_decay(var_names=["v1"])
    variables = [keras.Variable([1.0], name=f"v{i}") for i in range(2)]
    optimizer.build(variables)
    found = [keras_private.is_decayed(optimizer, v) for v in variables]
    assert found == [True, False]


def test_an_optimizer_keeps_moving_averages_in_the_order_of_variables():
    optimizer, variables = built(use_ema=True)
    averages = keras_private.moving_averages(optimizer)
    assert [a.shape for a in averages] == [v.shape for v in variables]


def test_all_parts_of_an_optimizer_tell_which_weights_they_average():
    optimizer, variables = built(use_ema=True)
    averages = keras_private.moving_averages(optimizer)
    expected = [(id(v), id(a)) for v, a in zip(variables, averages)]

    def found(optimizer):
        return [
            (id(weight), id(average))
            for weight, average in keras_private.averaged(optimizer)
        ]

    assert found(optimizer) == expected
    several = types.SimpleNamespace(optimizers=[optimizer, built()[0]])
    assert found(several) == expected
    scaled = keras.optimizers.LossScaleOptimizer(optimizer)
    assert found(scaled) == expected
    both = keras.optimizers.MultiOptimizer(lambda variable: optimizer)
    assert keras_private.averaged(both) == []


def test_an_adam_keeps_a_momentum_of_each_variable():
    optimizer, variables = built()
    take_step(optimizer, variables, [None, ops.ones(1)])
    first, second = (
        to_numpy(keras_private.momentum_of(optimizer, v)) for v in variables
    )
    assert not first.any()
    assert second == pytest.approx(0.1)


def test_an_optimizer_knows_whether_replicas_share_it():
    optimizer, _ = built()
    assert not keras_private.is_replicated(optimizer)
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
            assert not keras_private.is_replicated(built()[0])
    several = types.SimpleNamespace(num_replicas_in_sync=2)
    vars(optimizer)["_distribution_strategy"] = several
    assert keras_private.is_replicated(optimizer)


def test_a_multi_optimizer_knows_which_part_updates_a_variable():
    first, rest = keras.optimizers.SGD(0.1), keras.optimizers.Adam(0.1)
    both = keras.optimizers.MultiOptimizer(
        lambda variable: first if variable.name == "v0" else rest
    )
    variables = [keras.Variable([1.0], name=f"v{i}") for i in range(2)]
    assert keras_private.optimizer_of(both, variables[0]) is first
    assert keras_private.optimizer_of(both, variables[1]) is rest
    scaled = keras.optimizers.LossScaleOptimizer(both)
    assert keras_private.optimizer_of(scaled, variables[0]) is first
    assert keras_private.optimizer_of(rest, variables[0]) is rest


def test_a_built_multi_optimizer_knows_its_own_parts():
    both = keras.optimizers.MultiOptimizer(
        lambda variable: keras.optimizers.SGD(0.1)
    )
    variables = [keras.Variable([1.0], name=f"v{i}") for i in range(2)]
    both.build(variables)
    found = [keras_private.optimizer_of(both, v) for v in variables]
    assert list(map(id, found)) == list(map(id, both.optimizers))


def test_an_optimizer_calls_what_adamw_overrides_in_this_order():
    called = []

    def noting(name):
        def method(self, *args):
            called.append(name)
            return getattr(super(Noting, self), name)(*args)

        return method

    names = list(keras_private.OVERRIDDEN["Optimizer"])
    Noting = type(  # noqa: N806
        "Noting",
        (keras.optimizers.AdamW,),
        {name: noting(name) for name in names},
    )
    optimizer = Noting(0.1, use_ema=True)
    variable = keras.Variable([1.0])
    optimizer.apply([ops.ones(1)], [variable])
    assert sorted(called) == sorted(names)
    assert called.index("_apply_weight_decay") < called.index(
        "_update_model_variables_moving_average"
    )


# All of them ----------------------------------------------------------------


def test_every_overridden_name_is_a_method_of_keras():
    for name in keras_private.OVERRIDDEN["Optimizer"]:
        assert callable(getattr(keras.optimizers.Optimizer, name)), name
    names = list(keras_private.OVERRIDDEN["Model"])
    if keras.config.backend() != "jax":
        names.remove("_get_jax_state")
    for name in names:
        assert callable(getattr(keras.Model, name)), name


def names_of_the_package(nodes):
    """What the package defines or assigns, outside of the file in question."""
    names = set()
    for path, node in nodes:
        if isinstance(
            node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        ):
            names.add(node.name)
        elif isinstance(getattr(node, "ctx", None), ast.Store) and path != HERE:
            names.add(getattr(node, "attr", getattr(node, "id", "")))
    return names


def test_no_other_file_uses_a_private_name_of_keras():
    nodes = [
        (path, node)
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
    ]
    # Public names of named tuples begin like private ones.
    known = {"_fields", "_replace", "_asdict", *names_of_the_package(nodes)}
    # Of AdamW and Muon, set where Keras does not track them.
    known |= {"_rules", "_matched"}
    others = [(path, node) for path, node in nodes if path != HERE]
    imported = {
        (path.name, node.module)
        for path, node in others
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith(("keras.src", "keras_hub.src"))
    }
    used = {
        (path.name, node.attr)
        for path, node in others
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and node.attr not in known
    }
    assert not imported
    assert not used


def test_a_callback_tells_whether_it_has_put_averages_into_the_model():
    callback = keras.callbacks.SwapEMAWeights()
    optimizer, _ = built(use_ema=True)
    callback.set_model(types.SimpleNamespace(optimizer=optimizer))
    assert not keras_private.holds_averages(callback)
    callback.on_test_begin()
    assert keras_private.holds_averages(callback)
    callback.on_test_end()
    assert not keras_private.holds_averages(callback)
