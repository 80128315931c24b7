import re

import keras
import numpy as np
import pytest
from keras import ops

from keras_imp.models.weight_places import Place
from keras_imp.training.optimizers import AdamW, CosineWithWarmup, Muon
from tests.helpers import models as training
from tests.helpers.models import data_of, two_tasks
from tests.helpers.optimizers import (
    AdamWOracle,
    as_tensors,
    assert_follows,
    take_step,
)
from tests.helpers.weights import to_numpy

BACKEND = keras.config.backend()
SHAPES = {"a/kernel": (3, 2), "a/bias": (2,), "b/kernel": (4, 1, 2), "c": ()}


def muon(*arguments, **options):
    return Muon(*arguments, matrices="kernel$", **options)


def make_variables(rng):
    variables = []
    for path, shape in SHAPES.items():
        value = rng.normal(size=shape).astype("float32")
        scope, _, name = path.rpartition("/")
        with keras.name_scope(scope or "top"):
            variables.append(keras.Variable(value, name=name))
    return variables


def make_gradients(rng, steps, length=1.0):
    """Some of them None; each weight has one sooner or later."""
    return [
        [
            None
            if (step + i) % 3 == 0
            else (length * rng.normal(size=shape)).astype("float32")
            for i, shape in enumerate(SHAPES.values())
        ]
        for step in range(steps)
    ]


# The numbers ----------------------------------------------------------------


# Norms of all gradients of a step together: about 3; 0.003.
@pytest.mark.parametrize("length", [1.0, 1e-3])
@pytest.mark.parametrize("clip", [1.0, None])
def test_steps_with_partial_gradients_follow_the_formula(rng, length, clip):
    variables = make_variables(rng)
    oracle = AdamWOracle(
        [to_numpy(v) for v in variables], 0.01, [0.5, 0.0, 0.5, 0.0], clip=clip
    )
    optimizer = AdamW(0.01, 0.5, global_clipnorm=clip)
    gradients = make_gradients(rng, 6, length)
    assert_follows(optimizer, oracle, variables, gradients)


def test_gradients_are_clipped_at_a_norm_of_1_unless_told_otherwise():
    assert AdamW().global_clipnorm == 1.0
    assert AdamW(global_clipnorm=None).global_clipnorm is None
    optimizer = AdamW(global_clipnorm=None, clipnorm=2.0)
    assert (optimizer.global_clipnorm, optimizer.clipnorm) == (None, 2.0)


def test_multipliers_scale_rate_and_decay(rng):
    variables = make_variables(rng)
    # b/kernel matches two patterns, and 0 freezes a/bias.
    factors = [10.0, 0.0, 5.0, 1.0]
    oracle = AdamWOracle(
        [to_numpy(v) for v in variables],
        0.01,
        [0.5, 0.0, 0.5, 0.0],
        factors,
        clip=0.5,
    )
    optimizer = AdamW(
        0.01,
        0.5,
        global_clipnorm=0.5,
        learning_rate_multipliers={"kernel": 10.0, "^b/": 0.5, "a/bias": 0},
    )
    assert_follows(optimizer, oracle, variables, make_gradients(rng, 6))


def test_rows_of_a_stack_have_factors_of_their_own(rng):
    """A frozen row does not count for the clipping either."""
    variables = make_variables(rng)
    # Three layers in the first axis of the one, two of four in the other.
    variables[0].place = Place((1, 2, 3), top=5)
    variables[1].place = Place((2, 4), top=5)
    oracle = AdamWOracle(
        [to_numpy(v) for v in variables],
        0.01,
        [0.5, 0.0, 0.5, 0.0],
        [
            np.array([[0.5**4], [0.0], [0.5**2]]),
            np.array([0.0, 0.5]),
            1.0,
            1.0,
        ],
        clip=0.5,
    )
    optimizer = AdamW(
        0.01, 0.5, global_clipnorm=0.5, layer_decay=0.5, frozen_layers=[1]
    )
    start = to_numpy(variables[0])[1]
    assert_follows(optimizer, oracle, variables, make_gradients(rng, 6))
    np.testing.assert_array_equal(to_numpy(variables[0])[1], start)


def test_a_schedule_and_the_other_options_of_keras(rng):
    variables = make_variables(rng)
    rate = CosineWithWarmup(0.02, total_steps=10, warmup_steps=4)
    options = {"beta_1": 0.8, "epsilon": 1e-3, "amsgrad": True}
    ours = AdamW(rate, 0.5, global_clipnorm=None, decayed="", **options)
    stock = keras.optimizers.AdamW(rate, 0.5, **options)
    start = [to_numpy(v) for v in variables]
    gradients = make_gradients(rng, 6)
    found = []
    for optimizer in (ours, stock):
        for variable, value in zip(variables, start, strict=True):
            variable.assign(value)
        optimizer.build(variables)
        for step in gradients:
            take_step(optimizer, variables, as_tensors(step))
        found.append([to_numpy(v) for v in variables])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("clip", [0.5, None])
def test_rows_of_a_table_that_come_twice_count_as_their_sum(rng, clip):
    table = keras.Variable(rng.normal(size=(5, 3)).astype("float32"))
    rows = rng.normal(size=(4, 3)).astype("float32")
    indices = [1, 3, 1, 1]
    dense = np.zeros((5, 3), "float32")
    np.add.at(dense, indices, rows)
    gradient = lambda factor: ops.convert_to_tensor(factor * dense)
    if BACKEND == "tensorflow":  # The gradient of a lookup.
        import tensorflow as tf

        gradient = lambda factor: tf.IndexedSlices(
            factor * rows, tf.constant(indices), (5, 3)
        )
    oracle = AdamWOracle([to_numpy(table)], 0.01, [0.0], clip=clip)
    optimizer = AdamW(0.01, global_clipnorm=clip)
    optimizer.build([table])
    for factor in np.float32([1.0, 0.1, 0.01]):  # Clipped by unlike factors.
        (expected,) = oracle.step([factor * dense])
        take_step(optimizer, [table], [gradient(factor)])
        np.testing.assert_allclose(
            to_numpy(table), expected, rtol=2e-5, atol=2e-6
        )


def test_what_keras_is_told_to_exclude_does_not_decay(rng):
    variables = make_variables(rng)
    optimizer = AdamW(0.01, 0.5)
    optimizer.exclude_from_weight_decay(var_list=[variables[0]])
    oracle = AdamWOracle(
        [to_numpy(v) for v in variables], 0.01, [0.0, 0.0, 0.5, 0.0], clip=1.0
    )
    assert_follows(optimizer, oracle, variables, make_gradients(rng, 3))


def test_another_pattern_decays_other_weights(rng):
    variables = make_variables(rng)
    optimizer = AdamW(0.01, 0.5, decayed="bias|^top/c")
    oracle = AdamWOracle(
        [to_numpy(v) for v in variables], 0.01, [0.0, 0.5, 0.0, 0.5], clip=1.0
    )
    assert_follows(optimizer, oracle, variables, make_gradients(rng, 3))


# With a model ---------------------------------------------------------------


@pytest.mark.parametrize("kind", [AdamW, muon])
def test_a_saved_model_goes_on_as_if_it_had_not_been_saved(tmp_path, kind):
    optimizer = kind(
        1e-2,
        0.1,
        learning_rate_multipliers={"objects": 3.0, "audio/kernel": 0.0},
        use_ema=True,
    )
    model = training.make_model(two_tasks, dropout=0.3, optimizer=optimizer)
    mixture = lambda: training.in_turn(data_of("objects", "sounds"))
    model.fit(mixture(), steps_per_epoch=3, verbose=0)
    model.save(tmp_path / "model.keras")
    keras.utils.set_random_seed(99)
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is type(optimizer)
    assert loaded.optimizer.get_config() == optimizer.get_config()
    training.assert_same(training.state(loaded), training.state(model))
    for m in (model, loaded):
        m.fit(mixture(), steps_per_epoch=5, verbose=0)
    training.assert_same(training.state(loaded), training.state(model))


@pytest.mark.parametrize("kind", [AdamW, muon])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_a_scaled_loss_gives_the_same_step(policy, kind):
    """Unscaled before it is clipped; frozen and idle weights stay."""
    plain, _ = one_step(policy, kind)
    scaled, before = one_step(policy, kind, initial_scale=2.0**6)
    # An epsilon of 0.1 lets the length of the gradient show in the step.
    tolerance = 1e-7 if policy == "float32" else 1e-4
    for path, value in plain.items():
        np.testing.assert_allclose(scaled[path], value, atol=tolerance)
        reached = any(p in path for p in ("objects", "image", "shared/kernel"))
        assert (value != before[path]).any() == reached, path
        assert (scaled[path] != before[path]).any() == reached, path


def one_step(policy, kind, **scaling):
    """Weights after and before a step of one task; its loss may be scaled."""
    optimizer = kind(
        1e-2,
        0.1,
        epsilon=0.1,
        global_clipnorm=0.05,
        learning_rate_multipliers={"shared/bias": 0.0},
    )
    if scaling:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, **scaling)
    keras.config.set_dtype_policy(policy)
    try:
        model = training.make_model(
            two_tasks, optimizer=optimizer, auto_scale_loss=False
        )
    finally:
        keras.config.set_dtype_policy("float32")
    before = training.values(model.trainable_variables)
    model.fit(
        training.in_turn(
            data_of("objects", "sounds"), schedule=training.Always("objects")
        ),
        steps_per_epoch=1,
        verbose=0,
    )
    return training.values(model.trainable_variables), before


@pytest.mark.parametrize("kind", [AdamW, muon])
@pytest.mark.parametrize("update", ["touched", "all"])
def test_mixed_float16_scales_the_loss_by_itself(update, kind):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        optimizer = kind(1e-2, learning_rate_multipliers={"sounds": 0.0})
        model = training.make_model(
            two_tasks, optimizer=optimizer, update=update
        )
    finally:
        keras.config.set_dtype_policy("float32")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert model.optimizer.inner_optimizer is optimizer
    before = training.values(model.trainable_variables)
    history = model.fit(
        training.in_turn(data_of("objects", "sounds")),
        steps_per_epoch=6,
        epochs=3,
        verbose=0,
    ).history
    assert history["objects/loss"][-1] < history["objects/loss"][0]
    for path, value in training.values(model.trainable_variables).items():
        if "sounds" in path:
            np.testing.assert_array_equal(value, before[path], err_msg=path)


# Arguments ------------------------------------------------------------------


def test_config_round_trip():
    optimizer = AdamW(
        CosineWithWarmup(1e-3, 100, 10),
        0.05,
        global_clipnorm=None,
        decayed="kernel|table",
        learning_rate_multipliers={"captions": 10.0},
        layer_decay=0.75,
        frozen_layers=range(2),
        frozen_modalities=("audio",),
        beta_2=0.95,
        use_ema=True,
        ema_momentum=0.9,
    )
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(copy) is AdamW
    assert copy.get_config() == optimizer.get_config()
    assert copy.frozen_layers == (0, 1)
    assert copy.beta_2 == 0.95


@pytest.mark.parametrize("layer_decay", [0.0, -0.5, 1.1])
def test_a_layer_decay_out_of_range_is_refused(layer_decay):
    text = (
        f"`layer_decay` must be in (0, 1]. Received: layer_decay={layer_decay}."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        AdamW(layer_decay=layer_decay)
