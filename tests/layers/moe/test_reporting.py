"""Routed layers in one's own model: losses, figures and state."""

import re

import keras
import numpy as np
import pytest
from keras import ops

import keras_imp
from keras_imp.layers import (
    EncoderBlock,
    EncoderStack,
    ExpertChoiceMoE,
    SoftMoE,
    TokenChoiceMoE,
)
from keras_imp.layers.moe.reporting import (
    observe_routing,
    routing_figures,
    routing_totals,
)
from keras_imp.layers.moe.totals import FIGURES
from tests.helpers.weights import to_numpy

WIDTH, INNER, EXPERTS, TOKENS = 6, 11, 3, 7

LAYERS = {
    "expert choice": lambda: ExpertChoiceMoE(
        EXPERTS, INNER, capacity_factor=0.5, router_z_loss=0.5, name="experts"
    ),
    "token choice": lambda: TokenChoiceMoE(
        EXPERTS, INNER, load_loss_weight=0.5, balance_rate=0.1, name="experts"
    ),
    "soft": lambda: SoftMoE(
        EXPERTS, INNER, slots_per_expert=2, router_z_loss=0.5, name="experts"
    ),
}
EACH = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS.keys())


class Own(keras.Model):
    """A model of somebody else, with a routed layer in it."""

    def __init__(self, layer):
        super().__init__()
        self.inside = layer

    def call(self, inputs, training=None):
        return self.inside(inputs, training=training)


class Deaf(Own):
    """The same, but it does not tell its layers that they train."""

    def call(self, inputs):
        return self.inside(inputs)


def functional(layer):
    inputs = keras.Input((TOKENS, WIDTH))
    return keras.Model(inputs, layer(inputs))


MODELS = {"functional": functional, "subclassed": Own}


def compiled(model):
    # Weights that stay as they are.
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile="auto")
    return model


def tokens(rng, examples=4):
    return rng.normal(size=(examples, TOKENS, WIDTH)).astype("float32")


def report_of(layer, x):
    outputs, report = layer(x, return_report=True)
    return to_numpy(outputs), report


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
@EACH
def test_a_plain_fit_adds_the_losses_of_the_router(rng, make, model):
    layer, x = make(), tokens(rng)
    model = compiled(model(layer))
    model(x)
    outputs, report = report_of(layer, x)
    added = float(report.loss)
    assert added > 0
    history = model.fit(x, x, verbose=0).history
    mse = np.mean((outputs - x) ** 2)
    np.testing.assert_allclose(history["loss"], [mse + added], rtol=1e-4)
    if isinstance(layer, TokenChoiceMoE):
        assert to_numpy(layer.balance_bias).any()
    else:
        # Not what is added in training.
        found = model.evaluate(x, x, verbose=0)
        np.testing.assert_allclose(found, mse, rtol=1e-4)


@EACH
def test_the_logger_tells_of_training_and_validation(rng, make):
    layer = make()
    model = compiled(functional(layer))
    train, other = tokens(rng, 6), tokens(rng, 4)
    bias = getattr(layer, "balance_bias", None)
    reports = {"": report_of(layer, train)[1]}
    if bias is None:
        reports["val_"] = report_of(layer, other)[1]
    history = model.fit(
        train,
        train,
        batch_size=6,
        epochs=2,
        verbose=0,
        validation_data=(other, other),
        callbacks=[keras_imp.callbacks.RoutingLogger()],
    ).history
    for prefix, report in reports.items():
        expected = {
            "left_behind": report.left_behind,
            "confidence": report.confidence,
            "z_loss": report.z_loss,
            "min_load": ops.min(report.load),
            "max_load": ops.max(report.load),
            "min_importance": ops.min(report.importance),
        }
        assert tuple(expected) == FIGURES
        for name, value in expected.items():
            logged = history[f"{prefix}routing/experts/{name}"]
            # A bias that follows the load changes the second epoch.
            count = 1 if bias is not None else 2
            np.testing.assert_allclose(
                logged[:count], [float(value)] * count, rtol=1e-4, atol=1e-6
            )


def test_the_logger_names_each_layer(rng):
    inputs = keras.Input((TOKENS, WIDTH))
    x = EncoderBlock(2, feed_forward=LAYERS["soft"](), name="block")(inputs)
    x = EncoderStack(2, 2, feed_forward=LAYERS["soft"](), name="stack")(x)
    x = LAYERS["expert choice"]()(x)
    model = compiled(keras.Model(inputs, x))
    x = tokens(rng)
    logger = keras_imp.callbacks.RoutingLogger(("left_behind", "max_load"))
    history = model.fit(x, x, verbose=0, callbacks=[logger]).history
    assert sorted(history) == [
        "loss",
        "routing/block/feed_forward/left_behind",
        "routing/block/feed_forward/max_load",
        "routing/experts/left_behind",
        "routing/experts/max_load",
        "routing/stack/layer_0/left_behind",
        "routing/stack/layer_0/max_load",
        "routing/stack/layer_1/left_behind",
        "routing/stack/layer_1/max_load",
    ]


def test_figures_are_means_over_the_batches_of_an_epoch(rng):
    layer = LAYERS["expert choice"]()
    model = compiled(functional(layer))
    x = tokens(rng, 6)
    halves = [report_of(layer, x[i : i + 3])[1] for i in (0, 3)]
    expected = np.mean([float(half.left_behind) for half in halves])
    logger = keras_imp.callbacks.RoutingLogger(("left_behind",))
    history = model.fit(
        x, x, batch_size=3, epochs=3, verbose=0, callbacks=[logger]
    ).history
    np.testing.assert_allclose(
        history["routing/experts/left_behind"], [expected] * 3, rtol=1e-5
    )


def test_evaluate_tells_the_callbacks_after_the_logger(rng):
    model = compiled(functional(LAYERS["soft"]()))
    x, seen = tokens(rng), []
    note = keras.callbacks.LambdaCallback(
        on_test_end=lambda logs: seen.append(dict(logs))
    )
    logger = keras_imp.callbacks.RoutingLogger(("left_behind",))
    model.evaluate(x, x, verbose=0, callbacks=[logger, note])
    assert seen[0]["routing/experts/left_behind"] == 0.0


def test_predict_works_and_a_plain_call_counts_nothing(rng):
    model = compiled(functional(LAYERS["soft"]()))
    x = tokens(rng)
    model(x)
    assert routing_figures(model) == {}
    predicted = model.predict(x, verbose=0)
    np.testing.assert_allclose(predicted, to_numpy(model(x)), atol=1e-5)


@EACH
def test_totals_are_state_and_no_weights(rng, make, tmp_path):
    layer, x = make(), tokens(rng)
    model = compiled(functional(layer))
    (totals,) = routing_totals(model).values()
    weights = {id(v) for v in layer.weights}
    state = {id(v) for v in model.non_trainable_variables}
    assert {id(v) for v in totals.variables} <= state - weights
    sizes = [int(np.prod(w.shape)) for w in layer.get_weights()]
    assert model.count_params() == sum(sizes)
    model.fit(x, x, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(to_numpy(loaded(x)), to_numpy(model(x)))
    assert routing_figures(model)
    assert routing_figures(loaded) == {}


def test_totals_are_kept_in_float32_whatever_the_layer_computes_in(rng):
    layer = SoftMoE(EXPERTS, INNER, 2, dtype="mixed_bfloat16", name="experts")
    model = compiled(functional(layer))
    totals = routing_totals(model)["experts"]
    totals.batches.assign(300.0)  # bfloat16 cannot count from here.
    model(tokens(rng), training=False)
    assert float(to_numpy(totals.batches)) == 301.0


def test_observers_see_the_calls_inside_and_only_those(rng):
    layer = LAYERS["expert choice"]()
    x = tokens(rng)
    layer(x)
    with observe_routing() as calls:
        layer(x)
        with observe_routing() as inner:
            layer(x)
    layer(x)
    assert len(calls) == len(inner) == 1
    _, report = report_of(layer, x)
    np.testing.assert_array_equal(
        to_numpy(calls[0].weights)[0], to_numpy(report.weights)
    )


def test_the_logger_refuses_a_model_without_experts(rng):
    model = compiled(functional(keras.layers.Dense(WIDTH)))
    x = tokens(rng)
    text = (
        "RoutingLogger needs a model with a routed layer. Received: "
        "model='Functional'. Such layers are keras_imp.layers.ExpertChoiceMoE, "
        "TokenChoiceMoE and SoftMoE, and those of a sparse IMPEncoder."
    )
    logger = keras_imp.callbacks.RoutingLogger()
    with pytest.raises(ValueError, match=re.escape(text)):
        model.fit(x, x, verbose=0, callbacks=[logger])


def test_the_logger_refuses_a_model_that_does_not_tell_of_training(rng):
    model = compiled(Deaf(LAYERS["soft"]()))
    x = tokens(rng)
    text = (
        "The `call` of the model must have an argument `training`: without it "
        "routed layers neither add their losses nor count. Received: "
        "model='Deaf', arguments=['inputs']. Write `def call(self, inputs, "
        "training=None)`; Keras sets it for the layers inside."
    )
    logger = keras_imp.callbacks.RoutingLogger()
    with pytest.raises(ValueError, match=re.escape(text)):
        model.fit(x, x, verbose=0, callbacks=[logger])


def test_the_logger_refuses_an_unknown_figure():
    text = f"`figures` must be one of {FIGURES}. Received: figures='speed'."
    with pytest.raises(ValueError, match=re.escape(text)):
        keras_imp.callbacks.RoutingLogger(("speed",))
