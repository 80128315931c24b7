import keras
import numpy as np

from tests.helpers import models
from tests.helpers.models import data_of, two_tasks
from tests.helpers.weights import to_numpy


def test_a_saved_model_goes_on_as_if_it_had_not_been_saved(tmp_path):
    model = models.make_model(two_tasks, dropout=0.3)
    mixture = lambda: models.in_turn(data_of("objects", "sounds"))
    model.fit(mixture(), steps_per_epoch=3, verbose=0)
    model.save(tmp_path / "model.keras")
    keras.utils.set_random_seed(99)
    loaded = keras.models.load_model(tmp_path / "model.keras")
    models.assert_same(models.state(loaded), models.state(model))
    histories = [
        m.fit(mixture(), steps_per_epoch=5, verbose=0).history
        for m in (model, loaded)
    ]
    assert histories[0] == histories[1]
    models.assert_same(models.state(loaded), models.state(model))


def test_weights_load_into_a_model_without_dropout(tmp_path):
    path = tmp_path / "model.weights.h5"
    model = models.make_model(two_tasks, dropout=0.3)
    model.save_weights(path)
    plain = models.make_model(two_tasks, encoder=NoRandomness(), seed=2)
    plain.load_weights(path)
    for a, b in zip(model.weights, plain.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(a), to_numpy(b))


class NoRandomness(models.TinyEncoder):
    """The same weights, and no seed generator."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dropout = keras.layers.Identity()

    def call(self, inputs, training=None):
        raise NotImplementedError("never called")
