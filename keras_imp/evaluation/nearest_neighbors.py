"""What a frozen encoder knows: classes by the examples that are nearest."""

from typing import Any

import numpy as np

from keras_imp._errors import check_integer, message
from keras_imp.evaluation.frozen_classifier import FrozenClassifier
from keras_imp.evaluation.nearest import nearest

# Of the votes, as in the reference.
TEMPERATURE = 0.07


class NearestNeighbors(FrozenClassifier):
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

    method = "nearest neighbors"

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
        super().__init__(encoder, modality, class_names, layer, batch_size)
        self.k = k
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
        positions, products = nearest(self._vectors(x), vectors, self.k)
        weights = np.exp((products - products[:, :1]) / TEMPERATURE)
        votes = np.zeros((len(positions), len(self.class_names)))
        rows = np.arange(len(positions))[:, None]
        np.add.at(votes, (rows, labels[positions]), weights)
        return votes / votes.sum(axis=1, keepdims=True)

    def _settings(self) -> dict[str, Any]:
        return {"k": self.k}

    def _vectors(self, x: np.ndarray) -> np.ndarray:
        found = self._features(x)
        return found / np.linalg.norm(found, axis=1, keepdims=True)
