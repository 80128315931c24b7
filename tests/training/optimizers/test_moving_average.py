"""Averages of the weights while tasks alternate."""

import keras
import numpy as np
import pytest

from keras_imp.training.optimizers import AdamW, Muon
from tests.helpers import models
from tests.helpers.models import data_of, two_tasks

MOMENTUM = 0.8


def make_model(kind=AdamW, **options):
    optimizer = kind(1e-2, use_ema=True, ema_momentum=MOMENTUM, **options)
    return models.make_model(two_tasks, optimizer=optimizer)


def mixture():
    return models.in_turn(data_of("objects", "sounds"))


def averages(model):
    """By path of the weight."""
    variables = model.optimizer.variables
    found = {}
    for weight in model.trainable_variables:
        name = f"{weight.path.replace('/', '_')}_average"
        (average,) = (v for v in variables if v.path.endswith(name))
        found[weight.path] = np.array(keras.ops.convert_to_numpy(average))
    return found


class Record(keras.callbacks.Callback):
    """Weights and averages after each epoch."""

    def __init__(self):
        super().__init__()
        self.weights, self.averages = [], []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(models.values(self.model.trainable_variables))
        self.averages.append(averages(self.model))


@pytest.mark.parametrize(
    "options",
    [{}, {"kind": Muon, "matrices": "kernel$"}],
    ids=["AdamW", "Muon"],
)
def test_all_weights_are_averaged_at_each_step_idle_ones_too(options):
    model, record = make_model(**options), Record()
    start = models.values(model.trainable_variables)
    model.fit(
        mixture(), steps_per_epoch=1, epochs=6, callbacks=[record], verbose=0
    )
    expected = record.weights[0]
    for step, weights in enumerate(record.weights):
        expected = {
            path: MOMENTUM * expected[path] + (1 - MOMENTUM) * weights[path]
            for path in weights
        }
        for path, value in record.averages[step].items():
            np.testing.assert_allclose(
                value, expected[path], rtol=1e-5, atol=1e-7, err_msg=path
            )
    # The sounds' head is idle in every other step: its average moves on.
    (head,) = (p for p in start if "sounds" in p and p.endswith("kernel"))
    weights, means = record.weights, record.averages
    np.testing.assert_array_equal(weights[2][head], weights[1][head])
    assert (means[2][head] != means[1][head]).any()
    # A weight that no task of the mixture reaches is its own average.
    idle = model.encoder.words.embeddings.path
    np.testing.assert_array_equal(means[-1][idle], start[idle])


def test_training_ends_with_the_averages_in_the_model():
    model, record = make_model(), Record()
    model.fit(
        mixture(), steps_per_epoch=3, epochs=2, callbacks=[record], verbose=0
    )
    for path, value in models.values(model.trainable_variables).items():
        np.testing.assert_array_equal(value, record.averages[-1][path])
        reached = "words" not in path and "video" not in path
        assert (value != record.weights[-1][path]).any() == reached, path


def test_validation_uses_the_averages_and_training_does_not(tmp_path):
    plain, swapped, record = make_model(), make_model(), Record()
    found = []
    for model, callbacks in (
        (plain, []),
        (swapped, [keras.callbacks.SwapEMAWeights(), record]),
    ):
        found.append(
            model.fit(
                mixture(),
                validation_data=models.all_once(data_of("objects", "sounds")),
                steps_per_epoch=4,
                epochs=3,
                verbose=0,
                callbacks=callbacks,
            ).history
        )
    # TensorFlow swaps by additions, which round.
    np.testing.assert_allclose(found[0]["loss"], found[1]["loss"], rtol=1e-5)
    assert found[0]["val_loss"] != found[1]["val_loss"]
    # Both models hold the averages of the last step now.
    loss = plain.evaluate(
        models.all_once(data_of("objects", "sounds")), verbose=0
    )["loss"]
    assert found[1]["val_loss"][-1] == pytest.approx(loss, rel=1e-5)
    assert found[0]["val_loss"][-1] != pytest.approx(loss, rel=1e-5)
    path = next(iter(record.weights[-1]))
    assert (record.weights[-1][path] != record.averages[-1][path]).any()


def test_a_checkpoint_may_hold_the_averages(tmp_path):
    model, record = make_model(), Record()
    checkpoint = keras.callbacks.ModelCheckpoint(
        tmp_path / "{epoch}.keras", save_best_only=False
    )
    model.fit(
        mixture(),
        steps_per_epoch=3,
        epochs=2,
        verbose=0,
        callbacks=[
            record,
            keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
            checkpoint,
        ],
    )
    for epoch in (1, 2):
        saved = keras.models.load_model(tmp_path / f"{epoch}.keras")
        found = models.values(saved.trainable_variables)
        for path, value in record.averages[epoch - 1].items():
            np.testing.assert_allclose(
                found[path], value, rtol=1e-6, atol=1e-7, err_msg=path
            )
