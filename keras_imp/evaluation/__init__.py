"""What a trained model can do: zero-shot, retrieval, figures, a page."""

from keras_imp.evaluation.confusion import confusion_matrix, plot_confusion
from keras_imp.evaluation.gallery import plot_retrieval
from keras_imp.evaluation.learning_curves import (
    chance_losses,
    plot_learning_curves,
)
from keras_imp.evaluation.page import (
    Figure,
    Score,
    ScoreTable,
    write_page,
)
from keras_imp.evaluation.retrieval import recall_at, same_text
from keras_imp.evaluation.routing import Routing, inspect_routing
from keras_imp.evaluation.routing_plots import (
    RoutingHeatMap,
    plot_heat_map,
    plot_overlay,
)
from keras_imp.evaluation.zero_shot import ZeroShotClassifier

__all__ = [
    "Figure",
    "Routing",
    "RoutingHeatMap",
    "Score",
    "ScoreTable",
    "ZeroShotClassifier",
    "chance_losses",
    "confusion_matrix",
    "inspect_routing",
    "plot_confusion",
    "plot_heat_map",
    "plot_learning_curves",
    "plot_overlay",
    "plot_retrieval",
    "recall_at",
    "same_text",
    "write_page",
]
