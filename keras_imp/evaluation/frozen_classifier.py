"""What classifiers on the vectors of a frozen encoder share."""

from typing import Any

import numpy as np

from keras_imp._repr import ShowsArguments
from keras_imp.evaluation.classified import report_of_classes
from keras_imp.evaluation.pooled import features_of
from keras_imp.evaluation.report import Report


class FrozenClassifier(ShowsArguments):
    """Base of classifiers on the vectors of an encoder that is not trained.

    Args:
        encoder: An `IMPEncoder`.
        modality: The modality of the inputs.
        class_names: Names of the classes.
        layer: Where the vectors are read: as in
            `evaluation.pooled.features_of`.
        batch_size: Examples of a batch.
    """

    # In the title of its reports.
    method: str

    def __init__(
        self,
        encoder: Any,
        modality: str,
        class_names: list[str],
        layer: str,
        batch_size: int,
    ):
        self.encoder = encoder
        self.modality = modality
        self.class_names = list(class_names)
        self.layer = layer
        self.batch_size = batch_size

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Scores of the classes.

        Args:
            x: Inputs of the encoder, row by row.

        Returns:
            Shape `(examples, classes)`.
        """
        raise NotImplementedError

    def evaluate(
        self,
        x: np.ndarray,
        labels: np.ndarray,
        groups: np.ndarray | None = None,
    ) -> Report:
        """Measure the classification of other examples.

        Args:
            x: Inputs of the encoder, row by row.
            labels: Positions in `class_names`.
            groups: As in `ZeroShotClassifier.evaluate`.

        Returns:
            The report.
        """
        return report_of_classes(
            f"{self.modality}, {self.method}",
            self.predict(x),
            labels,
            self.class_names,
            groups,
            layer=self.layer,
            **self._settings(),
        )

    def _settings(self) -> dict[str, Any]:
        """What the figures depend on, beside the layer."""
        raise NotImplementedError

    def _features(self, x: np.ndarray) -> np.ndarray:
        return features_of(
            self.encoder, self.modality, x, self.layer, self.batch_size
        )
