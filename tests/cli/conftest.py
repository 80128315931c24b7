import keras
import pytest

from keras_imp.evaluation.own_data import overfit as overfitting
from keras_imp.evaluation.own_data import run as own_run
from keras_imp.models import PRESETS

SMALLER = {
    "hidden_dim": 32,
    "intermediate_dim": 64,
    "num_layers": 1,
    "num_heads": 2,
}


@pytest.fixture(scope="module")
def smallest_encoder():
    """Runs on own data have an encoder that is trained in no time."""
    preset = PRESETS["imp_tiny"]
    smaller = {**preset, "config": {**preset["config"], **SMALLER}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "imp_tiny", smaller)
        for module in (own_run, overfitting):
            patch.setattr(module, "build_model", _eagerly(module.build_model))
        yield


def _eagerly(build):
    """Quicker than to trace graphs of a few steps, on TensorFlow."""

    def build_model(*args):
        model, preprocessor = build(*args)
        model.run_eagerly = keras.config.backend() == "tensorflow"
        return model, preprocessor

    return build_model
