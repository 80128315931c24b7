"""A sparse encoder inside a model of one's own, under plain `fit`."""

import re

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp.layers.moe.base import SparseFeedForward
from tests.helpers.weights import to_numpy

VOCABULARY = 13


def make_encoder(**options):
    return keras_imp.IMPEncoder(
        8,
        16,
        2,
        2,
        modalities=("text",),
        vocabulary_size=VOCABULARY,
        max_sequence_length=7,
        num_experts=3,
        num_moe_layers=1,
        **options,
    )


class Own(keras.Model):
    """A classifier of somebody else."""

    def __init__(self, encoder):
        super().__init__()
        self.reader = encoder
        self.head = keras.layers.Dense(2)

    def call(self, inputs, training=None):
        features = self.reader({"text": inputs}, training=training)
        return self.head(features["text"]["pooled_output"])


def data(rng, examples=6):
    text = rng.integers(1, VOCABULARY, (examples, 5)).astype("int32")
    text[0, 3:] = 0
    return text, rng.integers(0, 2, examples)


def compiled(model):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss)
    return model


def test_it_trains_evaluates_and_predicts_in_a_plain_model(rng):
    encoder = make_encoder(router_z_loss=0.5)
    model = compiled(Own(encoder))
    x, y = data(rng)
    model(x)
    before = [to_numpy(v) for v in encoder.trainable_variables]
    history = model.fit(
        x,
        y,
        batch_size=3,
        epochs=2,
        verbose=0,
        validation_data=(x[:4], y[:4]),
        validation_batch_size=4,
        callbacks=[keras_imp.callbacks.RoutingLogger(("left_behind",))],
    ).history
    name = "routing/text/layer_1/left_behind"
    assert sorted(history) == sorted(["loss", "val_loss", name, f"val_{name}"])
    assert np.isfinite(list(history.values())).all()
    after = [to_numpy(v) for v in encoder.trainable_variables]
    # Each weight moves: the router's by its z-loss, too.
    assert all((a != b).any() for a, b in zip(before, after, strict=True))
    # One batch of validation, after the last step.
    found = keras_imp.inspect_routing(encoder, {"text": x[:4]})["text"]
    np.testing.assert_allclose(
        history[f"val_{name}"][-1:], found.left_behind, atol=1e-6
    )
    assert np.isfinite(model.evaluate(x, y, verbose=0))
    np.testing.assert_allclose(
        model.predict(x, verbose=0), to_numpy(model(x)), atol=1e-5
    )


def test_inspect_routing_sees_into_any_model(rng, tmp_path):
    encoder = make_encoder()
    model = Own(encoder)
    x, _ = data(rng)
    model(x)
    found = keras_imp.inspect_routing(model, x, tmp_path, batch_size=4)
    expected = keras_imp.inspect_routing(encoder, {"text": x})
    assert list(found) == ["text"]
    for ours, theirs in zip(found["text"], expected["text"], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert (tmp_path / "routing_heatmap_text.png").stat().st_size > 1000
    # To look changes nothing.
    assert np.isnan(encoder.routing_metrics["text"].importance()).all()


def test_inspect_routing_names_the_layers_of_any_model(rng):
    moe = keras_imp.layers.ExpertChoiceMoE(3, 11, name="experts")
    inputs = keras.Input((7, 6))
    stack = keras_imp.layers.EncoderStack(2, 2, feed_forward=moe, name="stack")
    model = keras.Model(inputs, moe(moe(stack(inputs))))
    x = rng.normal(size=(4, 7, 6)).astype("float32")
    found = keras_imp.inspect_routing(model, x)
    assert {name: routing.gates.shape for name, routing in found.items()} == {
        "stack": (4, 2, 7, 3),
        "experts": (4, 1, 7, 3),
        "experts_2": (4, 1, 7, 3),
    }
    np.testing.assert_allclose(found["stack"].load.sum(-1), 1.0, rtol=1e-6)


def test_inspect_routing_refuses_a_model_without_experts(rng):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    text = (
        "inspect_routing needs a model with a routed layer. Received: "
        "model='Sequential'. Such layers are keras_imp.layers.ExpertChoiceMoE, "
        "TokenChoiceMoE and SoftMoE, and those of a sparse IMPEncoder."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        keras_imp.inspect_routing(model, np.zeros((2, 3)))


def test_the_heat_map_is_for_any_model(rng, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import (
        EventAccumulator,
    )

    model = compiled(Own(make_encoder()))
    x, y = data(rng)
    heat_map = keras_imp.evaluation.RoutingHeatMap(tmp_path)
    model.fit(x, y, verbose=0, callbacks=[heat_map])
    events = EventAccumulator(str(tmp_path / "routing")).Reload()
    assert [i.step for i in events.Images("routing/importance")] == [0]


def test_an_unknown_router_is_not_counted_as_dense():
    class Unknown(SparseFeedForward):
        """A router that forgot to say what a token meets."""

    text = (
        "A routed layer must have the property `active_fraction`: the fraction "
        "of the experts' weights that a token meets. Received: layer='Unknown'."
    )
    with pytest.raises(NotImplementedError, match=re.escape(text)):
        keras_imp.layers.EncoderStack(2, 2, feed_forward=Unknown(3, 11))
