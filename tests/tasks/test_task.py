import re

import keras
import numpy as np
import pytest

from keras_imp.tasks import Task
from keras_imp.tasks.task import weighted_mean


class Nothing(Task):
    @property
    def modalities(self):
        return ("image",)


def test_weighted_mean_divides_by_the_sum_of_the_weights():
    values = keras.ops.array([1.0, 2.0, 6.0])
    # A sum of 1 + 0 + 18 over a sum of weights of 4.
    mean = weighted_mean(values, keras.ops.array([1, 0, 3]))
    assert float(mean) == pytest.approx(4.75)
    assert float(weighted_mean(values, None)) == pytest.approx(3.0)


def test_weighted_mean_of_no_weight_at_all_is_zero():
    mean = weighted_mean(keras.ops.array([1.0, 2.0]), keras.ops.zeros(2))
    assert float(mean) == 0.0


def test_a_metric_of_a_task_has_the_name_of_the_task_in_front():
    task = Nothing("plants")
    metric = task.track(keras.metrics.Mean(name="recall"))
    assert metric.name == "plants/recall"
    assert task.loss_metric.name == "plants/loss"


@pytest.mark.parametrize("name", ["", "a/b", "a@b"])
def test_a_name_with_a_reserved_character_is_refused(name):
    text = (
        "The name of a task must not be empty or contain any of ('/', '@'). "
        f"Received: name={name!r}."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Nothing(name)


@pytest.mark.parametrize("weight", [0.0, -1.0])
def test_a_loss_weight_that_is_not_positive_is_refused(weight):
    text = (
        f"`loss_weight` must be greater than 0. Received: loss_weight={weight}."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Nothing("plants", loss_weight=weight)


def test_what_a_subclass_must_define_says_so():
    with pytest.raises(NotImplementedError, match=r"Nothing\.compute_loss"):
        Nothing("plants").compute_loss({}, None, None)
    with pytest.raises(NotImplementedError, match=r"Task\.modalities"):
        Task("plants").modalities  # noqa: B018


def test_optional_hooks_do_nothing():
    task, x = Nothing("plants"), {"image": np.zeros(3)}
    assert task.encoder_inputs(x) is x
    task.check_batch(x, None)
    task.update_metrics(x, None, None)
    assert np.isnan(float(task.loss_metric.result()))
