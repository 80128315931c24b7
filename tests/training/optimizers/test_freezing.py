"""Weights that must not change while others train, in real steps."""

import re

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp.training.optimizers import AdamW, Muon
from tests.helpers import models

STEPS = 6
# A stack of two layers of which one is frozen; a sparse layer that is.
DENSE = {"num_layers": 2}, (0,)
SPARSE = {"num_layers": 3, "num_experts": 2, "num_moe_layers": 1}, (0, 2)


def make_model(update, optimizer, layers):
    keras.utils.set_random_seed(5)
    encoder = keras_imp.IMPEncoder(
        hidden_dim=8,
        intermediate_dim=12,
        num_heads=2,
        modalities=("image", "audio"),
        patch_size=(1, 2, 2),
        audio_patch_size=(2, 2),
        position_buckets=(1, 2, 2),
        audio_position_buckets=(2, 2),
        **layers,
    )
    model = keras_imp.AlternatingModel(
        encoder,
        [
            keras_imp.tasks.Classification("objects", "image", 3),
            keras_imp.tasks.Classification("sounds", "audio", 2),
        ],
        update=update,
    )
    model.compile(
        optimizer, jit_compile=models.default_jit(), **models.few_steps()
    )
    return model


def make_mixture():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(6, 4, 4, 3)).astype("float32")
    audio = rng.normal(size=(6, 4, 4)).astype("float32")
    return keras_imp.TaskMixture(
        {
            "objects": [({"image": image}, rng.integers(0, 3, 6))],
            "sounds": [({"audio": audio}, rng.integers(0, 2, 6))],
        },
        schedule=keras_imp.schedules.RoundRobin(),
        steps_per_epoch=STEPS,
    )


def frozen_paths(model):
    """Paths of whole weights that must not change, and of split stacks."""
    encoder = model.encoder
    split, *sparse = encoder.body.stacks
    whole = [
        *encoder.embedders["audio"].trainable_variables,
        *(v for stack in sparse for v in stack.trainable_variables),
        *model.tasks["sounds"].trainable_variables,
    ]
    return {v.path for v in whole}, {v.path for v in split.stacked}


@pytest.mark.parametrize(
    ("update", "use_ema", "encoder", "kind"),
    [
        ("touched", True, DENSE, AdamW),
        ("all", False, DENSE, AdamW),
        ("touched", False, SPARSE, AdamW),
        ("touched", True, DENSE, Muon),
        ("touched", False, SPARSE, Muon),
    ],
    ids=["touched", "all", "sparse", "Muon", "Muon, sparse"],
)
def test_frozen_weights_do_not_change_by_a_bit(update, use_ema, encoder, kind):
    layers, frozen_layers = encoder
    optimizer = kind(
        1e-2,
        0.5,
        frozen_layers=frozen_layers,
        frozen_modalities=("audio",),
        learning_rate_multipliers={"sounds": 0.0},
        use_ema=use_ema,
    )
    model = make_model(update, optimizer, layers)
    whole, split = frozen_paths(model)
    before = models.values(model.trainable_variables)
    model.fit(make_mixture(), verbose=0)
    assert int(model.step_counter) == STEPS
    for path, value in models.values(model.trainable_variables).items():
        if path in whole:
            np.testing.assert_array_equal(value, before[path], err_msg=path)
        elif path in split:
            np.testing.assert_array_equal(value[0], before[path][0])
            assert (value[1] != before[path][1]).any(), path
        else:
            assert (value != before[path]).any(), path
    assert_no_moments(model, whole, split)


# Two dense layers and two that balance their experts.
BALANCED = {
    "num_layers": 4,
    "num_experts": 4,
    "num_moe_layers": 2,
    "router": "token_choice",
    "router_options": {"balance_rate": 1e-3},
}


@pytest.mark.parametrize("kind", [AdamW, Muon])
def test_the_balance_of_frozen_layers_stays_and_that_of_others_moves(kind):
    model = make_model("touched", kind(1e-2, frozen_layers=range(3)), BALANCED)
    bias = model.encoder.body.stacks[-1].stacked_bias
    model.fit(make_mixture(), verbose=0)
    frozen, moved = keras.ops.convert_to_numpy(bias)
    assert not frozen.any()
    assert moved.any()
    # An optimizer that freezes nothing moves all.
    model.compile("sgd", jit_compile=models.default_jit(), **models.few_steps())
    model.fit(make_mixture(), verbose=0)
    assert keras.ops.convert_to_numpy(bias)[0].any()


def test_the_balance_stays_where_one_of_several_optimizers_freezes_it():
    frozen, rest = AdamW(1e-2, frozen_layers=range(3)), AdamW(1e-2)
    optimizer = keras.optimizers.MultiOptimizer(
        lambda variable: frozen if "stack" in variable.path else rest
    )
    model = make_model("all", optimizer, BALANCED)
    bias = model.encoder.body.stacks[-1].stacked_bias
    model.fit(make_mixture(), verbose=0)
    of_frozen, of_trained = keras.ops.convert_to_numpy(bias)
    assert not of_frozen.any()
    assert of_trained.any()


def compile_plain(model, optimizer):
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=models.default_jit(),
    )


def test_a_keras_optimizer_moves_the_balance_that_a_former_one_froze():
    encoder = make_model("all", "sgd", BALANCED).encoder
    image = keras.Input((4, 4, 3))
    pooled = encoder({"image": image})["image"]["pooled_output"]
    model = keras.Model(image, keras.layers.Dense(2)(pooled))
    bias = encoder.body.stacks[-1].stacked_bias
    x, y = np.ones((4, 4, 4, 3), "float32"), np.arange(4) % 2
    compile_plain(model, AdamW(1e-2, frozen_layers=range(3)))
    model.fit(x, y, verbose=0)
    of_frozen, of_trained = keras.ops.convert_to_numpy(bias)
    assert not of_frozen.any()
    assert of_trained.any()
    compile_plain(model, keras.optimizers.Adam(1e-2))
    model.fit(x, y, verbose=0)
    assert keras.ops.convert_to_numpy(bias)[0].any()


@pytest.mark.parametrize("factor", [0.0, 1.0])
def test_the_balance_of_a_layer_alone_stays_with_its_router(factor):
    layer = keras_imp.layers.TokenChoiceMoE(3, 6, balance_rate=1e-2)
    tokens = keras.Input((5, 4))
    pooled = keras.ops.mean(layer(tokens), axis=1)
    model = keras.Model(tokens, keras.layers.Dense(2)(pooled))
    x = np.random.default_rng(0).normal(size=(4, 5, 4)).astype("float32")
    optimizer = AdamW(1e-2, learning_rate_multipliers={"router": factor})
    compile_plain(model, optimizer)
    model.fit(x, np.arange(4) % 2, verbose=0)
    moved = keras.ops.convert_to_numpy(layer.balance_bias).any()
    assert moved == (factor > 0)


def assert_no_moments(model, whole, split):
    """Nothing is waiting to move a frozen weight later."""
    moments = models.values(model.optimizer.variables)
    for path in whole | split:
        for kind in ("momentum", "velocity"):
            found = [
                value
                for name, value in moments.items()
                if name.endswith(f"{path.replace('/', '_')}_{kind}")
            ]
            # Muon has no velocity of its matrices.
            is_adam = kind == "velocity" and isinstance(model.optimizer, Muon)
            assert len(found) == 1 or (is_adam and not found), path
            for value in found:
                rows = value if path in whole else value[:1]
                assert not rows.any(), path


@pytest.mark.parametrize("update", ["touched", "all"])
def test_layers_that_are_not_trainable_have_no_moments(update):
    model = models.make_model(
        models.two_tasks, compiled=False, encoder=models.TinyEncoder(),
        update=update,
    )  # fmt: skip
    frozen = model.encoder.own["audio"]
    frozen.trainable = False
    optimizer = AdamW(1e-2, 0.5)
    model.compile(
        optimizer, jit_compile=models.default_jit(), **models.few_steps()
    )
    before = models.values(model.weights)
    data = models.data_of("objects", "sounds")
    model.fit(models.in_turn(data), steps_per_epoch=4, verbose=0)
    after = models.values(model.weights)
    for v in frozen.weights:
        np.testing.assert_array_equal(after[v.path], before[v.path])
        name = v.path.replace("/", "_")
        assert not [m for m in optimizer.variables if name in m.path]
    for v in model.encoder.shared.weights:
        assert (after[v.path] != before[v.path]).any()


def test_a_change_of_what_is_trainable_needs_a_new_optimizer():
    model = models.make_model(models.two_tasks)
    mixture = models.in_turn(models.data_of("objects", "sounds"))
    model.fit(mixture, steps_per_epoch=2, verbose=0)
    model.encoder.own["audio"].trainable = False
    count = len(model.trainable_variables)
    text = (
        "The trainable weights must be those that the optimizer was built for. "
        f"Received: optimizer_weights={count + 2}, trainable_weights={count}. "
        "Call model.compile(...) with a new optimizer after a change of "
        "`trainable`."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        model.fit(mixture, steps_per_epoch=2, verbose=0)
    model.compile(AdamW(1e-2), jit_compile=models.default_jit())
    model.fit(mixture, steps_per_epoch=2, verbose=0)


def test_a_step_that_reaches_only_frozen_weights_changes_nothing():
    optimizer = AdamW(
        1e-2,
        0.5,
        learning_rate_multipliers={"shared|sounds|audio": 0.0},
    )
    model = models.make_model(models.two_tasks, optimizer=optimizer)
    before = models.values(model.trainable_variables)
    data = models.data_of("objects", "sounds")
    mixture = models.in_turn(data, schedule=models.Always("sounds"))
    model.fit(mixture, steps_per_epoch=2, verbose=0)
    assert int(optimizer.iterations) == 2
    for path, value in models.values(model.trainable_variables).items():
        np.testing.assert_array_equal(value, before[path], err_msg=path)
