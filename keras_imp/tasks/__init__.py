"""What a step optimises: a head, a loss and metrics."""

from keras_imp.tasks.classification import Classification
from keras_imp.tasks.contrastive import Contrastive, contrastive_loss
from keras_imp.tasks.metrics import TaskMetric
from keras_imp.tasks.task import Task

__all__ = [
    "Classification",
    "Contrastive",
    "Task",
    "TaskMetric",
    "contrastive_loss",
]
