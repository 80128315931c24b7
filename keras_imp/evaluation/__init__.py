"""What a trained model can do: zero-shot, retrieval, pictures."""

from keras_imp.evaluation.report import plot_learning_curves, plot_retrieval
from keras_imp.evaluation.retrieval import recall_at, same_text
from keras_imp.evaluation.zero_shot import ZeroShotClassifier

__all__ = [
    "ZeroShotClassifier",
    "plot_learning_curves",
    "plot_retrieval",
    "recall_at",
    "same_text",
]
