"""Encoders, tasks and losses of the user."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_imp
from tests.helpers import models
from tests.helpers.models import data_of, two_tasks
from tests.helpers.weights import to_numpy


def test_a_functional_model_is_an_encoder():
    image = keras.Input((5,), name="image")
    x = keras.layers.Dense(8, activation="tanh")(image)
    encoder = keras.Model({"image": image}, {"image": {"pooled_output": x}})
    task = keras_imp.tasks.Classification("objects", "image", 3)
    model = models.make_model([task], encoder, hidden_dim=8)
    history = model.fit(
        models.in_turn(data_of("objects")),
        steps_per_epoch=3,
        epochs=4,
        verbose=0,
    ).history
    assert history["loss"][-1] < history["loss"][0]


@keras.saving.register_keras_serializable(package="tests")
class Regression(keras_imp.tasks.Task):
    """A user's own task: one number from a picture."""

    def __init__(self, name, **kwargs):
        super().__init__(name=name, **kwargs)
        self.head = keras.layers.Dense(1)
        self.error = self.track(keras.metrics.Mean(name="absolute_error"))

    @property
    def modalities(self):
        return ("image",)

    def build(self, pooled_shape):
        self.head.build(pooled_shape["image"])

    def call(self, inputs, encoder=None, training=None):
        features = encoder(inputs, training=training)
        return self.head(features["image"]["pooled_output"])[:, 0]

    def compute_loss(self, x, y, y_pred, sample_weight=None):
        return ops.mean(ops.square(ops.cast(y, "float32") - y_pred))

    def update_metrics(self, x, y, y_pred, sample_weight=None):
        self.error.update_state(ops.abs(ops.cast(y, "float32") - y_pred))


def test_a_task_of_ones_own_trains_beside_the_others():
    sounds = two_tasks()[1]
    model = models.make_model([Regression("heights"), sounds])
    data = data_of("objects", "sounds")
    data["heights"] = data.pop("objects")
    history = model.fit(
        models.in_turn(data), steps_per_epoch=6, epochs=5, verbose=0
    ).history
    for name in ("heights/loss", "heights/absolute_error", "sounds/loss"):
        assert history[name][-1] < history[name][0]


def test_a_multi_label_task_trains():
    task = keras_imp.tasks.Classification(
        "tags", "image", 3, multi_label=True, label_smoothing=0.1
    )
    model = models.make_model([task])
    batches = [
        (x, np.eye(3, dtype="float32")[y], np.linspace(0.5, 1.5, len(y)))
        for x, y in data_of("objects")["objects"]
    ]
    history = model.fit(
        models.in_turn({"tags": batches}),
        steps_per_epoch=6,
        epochs=3,
        verbose=0,
    ).history
    assert history["tags/loss"][-1] < history["tags/loss"][0]
    assert 0.3 < history["tags/pr_auc"][-1] <= 1.0


def loss(model, data, training):
    batch = model.program.unpack(data)
    return float(to_numpy(model.program.run(batch, training)[0]))


def test_losses_that_a_layer_adds_count():
    model = models.make_model(encoder=models.TinyEncoder(added=0.25))
    plain = models.make_model()
    plain.set_weights(model.get_weights())
    # The encoder runs twice for captions.
    for name, added in {"objects": 0.25, "captions": 0.5}.items():
        data = {name: models.make_data()[name][0]}
        difference = loss(model, data, True) - loss(plain, data, True)
        assert difference == pytest.approx(added, rel=1e-4)


def test_the_weight_of_a_task_scales_its_loss():
    losses = []
    for weight in (1.0, 2.5):
        model = models.make_model(
            lambda: [
                keras_imp.tasks.Classification(
                    "objects",
                    "image",
                    3,
                    loss_weight=weight,  # noqa: B023
                )
            ],
            compiled=False,
        )
        data = {"objects": models.make_data()["objects"][0]}
        losses.append(loss(model, data, False))
    assert losses[1] == pytest.approx(2.5 * losses[0], rel=1e-6)
