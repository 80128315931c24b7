"""Metrics of a task, which know whether the task was seen at all."""

import keras
from keras import ops

from keras_imp import _keras_private as keras_private
from keras_imp._values import value_of
from keras_imp.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_imp")
class TaskMetric(keras.metrics.Metric):
    """A Keras metric whose result is NaN until it was updated.

    An epoch need not draw every task. The mean of nothing is not 0: an
    accuracy of 0 would be a lie. The logs of an epoch leave such a metric out.
    Examples without weight are nothing too.

    Args:
        metric: The metric to wrap.
        name: Name, `"<task>/<metric>"`.

    Example:
        >>> import keras
        >>> from keras_imp.tasks.metrics import TaskMetric
        >>> metric = TaskMetric(keras.metrics.Mean(), name="captions/loss")
        >>> float(metric.result())
        nan
        >>> metric.update_state(2.0)
        >>> float(metric.result())
        2.0
    """

    def __init__(self, metric: keras.metrics.Metric, name: str):
        super().__init__(name=name, dtype="float32")
        # In half precision, a count ends at some hundreds.
        if metric.dtype in ("bfloat16", "float16"):
            config = {**metric.get_config(), "dtype": "float32"}
            metric = type(metric).from_config(config)
        self.metric = metric
        self.seen = self.add_variable(
            shape=(), initializer="zeros", dtype="float32", name="seen"
        )
        # All tasks have a `loss`: `get_state_tree` wants each path once.
        keras_private.name_variables(self)

    def update_state(self, *args, sample_weight=None, **kwargs) -> None:
        self.metric.update_state(*args, sample_weight=sample_weight, **kwargs)
        counts = ops.ones_like(self.seen.value)
        if sample_weight is not None:
            counts = ops.cast(ops.any(ops.greater(sample_weight, 0)), "float32")
        self.seen.assign(ops.maximum(self.seen.value, counts))

    @property
    def was_updated(self) -> bool:
        """Whether it has a value."""
        return bool(value_of(self.seen) > 0)

    def result(self) -> Tensor:
        value = ops.cast(self.metric.result(), "float32")
        return ops.where(self.seen.value > 0, value, float("nan"))

    def get_config(self):
        metric = keras.saving.serialize_keras_object(self.metric)
        return {"metric": metric, "name": self.name}

    @classmethod
    def from_config(cls, config):
        metric = keras.saving.deserialize_keras_object(config["metric"])
        return cls(metric, name=config["name"])
