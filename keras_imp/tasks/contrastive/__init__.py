"""The contrastive task: its losses, which pairs count, and its checks."""

from keras_imp.tasks.contrastive.losses import (
    contrastive_loss,
    sigmoid_contrastive_loss,
)
from keras_imp.tasks.contrastive.task import Contrastive

__all__ = ["Contrastive", "contrastive_loss", "sigmoid_contrastive_loss"]
