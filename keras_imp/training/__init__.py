"""Taking steps: the model, its mixture of tasks, schedules."""

from keras_imp.training.alternating_model import AlternatingModel
from keras_imp.training.combined_model import CombinedModel
from keras_imp.training.input.task_mixture import TaskMixture
from keras_imp.training.monitoring.non_finite import NonFiniteLossError

__all__ = [
    "AlternatingModel",
    "CombinedModel",
    "NonFiniteLossError",
    "TaskMixture",
]
