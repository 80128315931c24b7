"""What a trained model can do: zero-shot, retrieval, figures, a page."""

from keras_imp.evaluation.confusion import confusion_matrix, plot_confusion
from keras_imp.evaluation.gallery import plot_retrieval
from keras_imp.evaluation.learning_curves import (
    chance_losses,
    plot_learning_curves,
)
from keras_imp.evaluation.linear_probe import LinearProbe
from keras_imp.evaluation.nearest_neighbors import NearestNeighbors
from keras_imp.evaluation.page import (
    Figure,
    Score,
    ScoreTable,
    write_page,
)
from keras_imp.evaluation.prompts import PROMPTS
from keras_imp.evaluation.report import Report
from keras_imp.evaluation.retrieval import recall_at, same_text
from keras_imp.evaluation.retrieval_report import evaluate_retrieval
from keras_imp.evaluation.routing import Routing, inspect_routing
from keras_imp.evaluation.routing_plots import (
    RoutingHeatMap,
    plot_heat_map,
    plot_overlay,
)
from keras_imp.evaluation.views import (
    mean_probabilities,
    mean_vectors,
    rows_of_views,
)
from keras_imp.evaluation.zero_shot import ZeroShotClassifier

__all__ = [
    "PROMPTS",
    "Figure",
    "LinearProbe",
    "NearestNeighbors",
    "Report",
    "Routing",
    "RoutingHeatMap",
    "Score",
    "ScoreTable",
    "ZeroShotClassifier",
    "chance_losses",
    "confusion_matrix",
    "evaluate_retrieval",
    "inspect_routing",
    "mean_probabilities",
    "mean_vectors",
    "plot_confusion",
    "plot_heat_map",
    "plot_learning_curves",
    "plot_overlay",
    "plot_retrieval",
    "recall_at",
    "rows_of_views",
    "same_text",
    "write_page",
]
