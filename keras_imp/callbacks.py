"""Callbacks for `fit`: what a run of weeks needs, and how to watch it."""

from keras_imp.evaluation.embedding_projector import EmbeddingProjector
from keras_imp.evaluation.retrieval_logger import RetrievalLogger
from keras_imp.evaluation.tensorboard_logger import TensorBoardLogger
from keras_imp.training.checkpoint.backup import Backup, StoppedBySignal
from keras_imp.training.monitoring.csv_log import ResumableCSVLogger
from keras_imp.training.monitoring.gradient_conflict import (
    GradientConflictLogger,
)
from keras_imp.training.monitoring.gradient_norms import GradientNormLogger
from keras_imp.training.monitoring.history import TaskHistory
from keras_imp.training.monitoring.routing_log import RoutingLogger

__all__ = [
    "Backup",
    "EmbeddingProjector",
    "GradientConflictLogger",
    "GradientNormLogger",
    "ResumableCSVLogger",
    "RetrievalLogger",
    "RoutingLogger",
    "StoppedBySignal",
    "TaskHistory",
    "TensorBoardLogger",
]
