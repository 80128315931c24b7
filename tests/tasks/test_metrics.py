import keras
import numpy as np
import pytest

from keras_imp.tasks import TaskMetric


def wrapped(metric=None):
    return TaskMetric(metric or keras.metrics.Mean(name="loss"), "a/loss")


def test_a_metric_is_nan_until_it_saw_something():
    metric = wrapped()
    assert np.isnan(float(metric.result()))
    metric.update_state(3.0)
    metric.update_state(5.0)
    assert float(metric.result()) == 4.0


def test_a_reset_metric_is_nan_again():
    metric = wrapped()
    metric.update_state(3.0)
    metric.reset_state()
    assert np.isnan(float(metric.result()))
    metric.update_state(7.0)
    assert float(metric.result()) == 7.0


def test_arguments_reach_the_wrapped_metric():
    metric = wrapped()
    metric.update_state([2.0, 4.0], sample_weight=[3.0, 1.0])
    assert float(metric.result()) == pytest.approx(2.5)


def test_config_round_trip():
    metric = wrapped(keras.metrics.AUC(curve="PR", num_thresholds=7))
    copy = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(metric)
    )
    assert copy.name == "a/loss"
    assert copy.metric.num_thresholds == 7
    assert copy.metric.get_config() == metric.metric.get_config()
