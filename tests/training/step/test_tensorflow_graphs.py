"""TensorFlow: one graph for each task and shapes, and no word about it."""

import logging

import keras
import numpy as np
import pytest

import keras_imp
from tests.helpers import models

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="is about its graphs"
)
NAMES = [f"task_{i}" for i in range(6)]


class Traced(models.TinyEncoder):
    """Notes each time that it is traced: the shapes of its inputs."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.traced = []

    def call(self, inputs, training=None):
        if not training:
            self.traced.append(
                {name: tuple(x.shape) for name, x in inputs.items()}
            )
        return super().call(inputs, training=training)


def make_model():
    model = keras_imp.AlternatingModel(
        Traced(),
        [keras_imp.tasks.Classification(n, "image", 3) for n in NAMES],
    )
    model.compile("sgd", jit_compile=False)
    model.encoder.traced.clear()
    return model


def batch(examples=4):
    return {"image": np.ones((examples, 5), "float32")}, np.zeros(examples, int)


def test_tensorflow_warns_of_no_traces(caplog):
    model = make_model()
    mixture = keras_imp.TaskMixture(
        {name: [batch(4), batch(3)] for name in NAMES},
        schedule=keras_imp.schedules.RoundRobin(),
    )
    with caplog.at_level(logging.WARNING, logger="tensorflow"):
        model.fit(mixture, steps_per_epoch=12, verbose=0)
        model.evaluate(
            keras_imp.TaskMixture.sequential(
                {name: [batch(4), batch(3)] for name in NAMES}
            ),
            verbose=0,
        )
        for name in NAMES:
            for examples in (4, 3, 2, 1):
                x, _ = batch(examples)
                model.predict(x, task=name, verbose=0)
    assert [record.getMessage() for record in caplog.records] == []


def test_a_prediction_has_a_graph_for_each_task():
    model = make_model()
    for name in NAMES[:2]:
        for examples in (4, 3, 2, 9):
            x, _ = batch(examples)
            found = model.predict(x, task=name, batch_size=4, verbose=0)
            assert found.shape == (examples, 3)
    # The first of any number of examples, then one for all numbers.
    traced = [{"image": (4, 5)}, {"image": (None, 5)}]
    assert model.encoder.traced == traced * 2


def test_images_of_another_size_are_predicted_too():
    model = keras_imp.AlternatingModel(
        keras_imp.IMPEncoder(8, 16, 1, 2, modalities=("image",)),
        [keras_imp.tasks.Classification("objects", "image", 3)],
    )
    model.compile("sgd")
    for size in (16, 32, 48, 16):
        x = {"image": np.zeros((2, size, size, 3), "float32")}
        expected = keras.ops.convert_to_numpy(model({"objects": x}))
        np.testing.assert_allclose(
            model.predict(x, verbose=0), expected, atol=1e-5
        )


def test_several_steps_in_one_call_predict_all_examples():
    model = make_model()
    model.compile("sgd", steps_per_execution=3, jit_compile=False)
    x = {"image": np.random.default_rng(0).normal(size=(17, 5))}
    found = model.predict(x, task="task_0", batch_size=4, verbose=0)
    expected = keras.ops.convert_to_numpy(model({"task_0": x}))
    np.testing.assert_allclose(found, expected, atol=1e-5)
