"""What a trained model can do: zero-shot, retrieval, figures."""

from keras_imp.evaluation.report import plot_learning_curves, plot_retrieval
from keras_imp.evaluation.retrieval import recall_at, same_text
from keras_imp.evaluation.routing import Routing, inspect_routing
from keras_imp.evaluation.routing_plots import (
    RoutingHeatMap,
    plot_heat_map,
    plot_overlay,
)
from keras_imp.evaluation.zero_shot import ZeroShotClassifier

__all__ = [
    "Routing",
    "RoutingHeatMap",
    "ZeroShotClassifier",
    "inspect_routing",
    "plot_heat_map",
    "plot_learning_curves",
    "plot_overlay",
    "plot_retrieval",
    "recall_at",
    "same_text",
]
