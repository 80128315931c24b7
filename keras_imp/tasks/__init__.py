"""What a step optimizes: a head, a loss and metrics."""

from keras_imp.tasks.classification import Classification
from keras_imp.tasks.combined import Combined
from keras_imp.tasks.contrastive.losses import (
    PairLoss,
    contrastive_loss,
    sigmoid_contrastive_loss,
)
from keras_imp.tasks.contrastive.task import Contrastive
from keras_imp.tasks.masked.task import MaskedModeling
from keras_imp.tasks.metrics import TaskMetric
from keras_imp.tasks.regression import Regression
from keras_imp.tasks.task import Task

__all__ = [
    "Classification",
    "Combined",
    "Contrastive",
    "MaskedModeling",
    "PairLoss",
    "Regression",
    "Task",
    "TaskMetric",
    "contrastive_loss",
    "sigmoid_contrastive_loss",
]
