"""What a frozen encoder knows: classes by the examples that are nearest."""

from typing import Any

import numpy as np

from keras_imp._errors import check_integer, message
from keras_imp._repr import ShowsArguments
from keras_imp.evaluation.classified import report_of_classes
from keras_imp.evaluation.pooled import features_of
from keras_imp.evaluation.report import Report

# Of the votes, as in the reference.
TEMPERATURE = 0.07


class NearestNeighbors(ShowsArguments):
    """Classes by the examples whose vectors are nearest; nothing is fitted.

    Each of the k nearest examples votes for its class with the weight
    exp(cosine similarity / 0.07).

    Args:
        encoder: An `IMPEncoder`.
        modality: The modality of the inputs.
        class_names: Names of the classes.
        k: How many neighbors vote.
        layer: As in `LinearProbe`.
        batch_size: Examples of a batch.

    Raises:
        ValueError: If `k` is no positive integer.

    Example:
        >>> import numpy as np, keras_imp
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2, ("image",))
        >>> images = np.zeros((4, 16, 16, 3)) + np.array(
        ...     [-1, -0.9, 0.9, 1])[:, None, None, None]
        >>> labels = np.array([0, 0, 1, 1])
        >>> near = keras_imp.evaluation.NearestNeighbors(
        ...     encoder, "image", ["dark", "bright"], k=1)
        >>> near.fit(images, labels).evaluate(images, labels)["accuracy"]
        1.0

    Reference:
        Wu et al., Unsupervised feature learning via non-parametric instance
        discrimination, 2018.
    """

    def __init__(
        self,
        encoder: Any,
        modality: str,
        class_names: list[str],
        k: int = 20,
        layer: str = "pooled",
        batch_size: int = 64,
    ):
        check_integer(1, k=k)
        self.encoder = encoder
        self.modality = modality
        self.class_names = list(class_names)
        self.k = k
        self.layer = layer
        self.batch_size = batch_size
        self._known: tuple[np.ndarray, np.ndarray] | None = None

    def fit(self, x: np.ndarray, labels: np.ndarray) -> "NearestNeighbors":
        """Remember the vectors and the classes of examples.

        Args:
            x: Inputs of the encoder, row by row.
            labels: Positions in `class_names`.

        Returns:
            Itself.
        """
        self._known = (self._vectors(x), np.asarray(labels))
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Fractions of the votes.

        Args:
            x: Inputs of the encoder, row by row.

        Returns:
            Shape `(examples, classes)`.

        Raises:
            ValueError: If `fit` has not been called.
        """
        if self._known is None:
            raise ValueError(message("Call `fit` first.", fitted=False))
        vectors, labels = self._known
        k = min(self.k, len(labels))
        # Vectors of all examples are small beside their similarities.
        found = [
            self._votes(some @ vectors.T, labels, k)
            for some in np.array_split(
                self._vectors(x), -(-len(x) // self.batch_size)
            )
        ]
        return np.concatenate(found)

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
        report = report_of_classes(
            self.predict(x), labels, self.class_names, groups
        )
        return report(
            f"{self.modality}, nearest neighbors", layer=self.layer, k=self.k
        )

    def _votes(
        self, similarities: np.ndarray, labels: np.ndarray, k: int
    ) -> np.ndarray:
        nearest = np.argpartition(-similarities, k - 1, axis=1)[:, :k]
        near = np.take_along_axis(similarities, nearest, axis=1)
        weights = np.exp((near - near.max(axis=1, keepdims=True)) / TEMPERATURE)
        votes = np.zeros((len(near), len(self.class_names)))
        rows = np.repeat(np.arange(len(near)), k)
        np.add.at(votes, (rows, labels[nearest].ravel()), weights.ravel())
        return votes / votes.sum(axis=1, keepdims=True)

    def _vectors(self, x: np.ndarray) -> np.ndarray:
        found = features_of(
            self.encoder, self.modality, x, self.layer, self.batch_size
        )
        return found / np.linalg.norm(found, axis=1, keepdims=True)
