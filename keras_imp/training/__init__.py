"""Taking steps: the model, its mixture of tasks, schedules."""

from keras_imp.training.alternating_model import AlternatingModel
from keras_imp.training.callbacks import NonFiniteLossError
from keras_imp.training.combined_model import CombinedModel
from keras_imp.training.task_mixture import TaskMixture

__all__ = [
    "AlternatingModel",
    "CombinedModel",
    "NonFiniteLossError",
    "TaskMixture",
]
