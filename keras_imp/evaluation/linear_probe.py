"""What a frozen encoder knows: a linear classification of its vectors."""

from typing import Any

import numpy as np

from keras_imp._errors import check_integer, message
from keras_imp._optional import require
from keras_imp.evaluation.frozen_classifier import FrozenClassifier

# Inverse strengths of the penalty that are tried.
STRENGTHS = tuple(10.0**power for power in range(-4, 4))
# Fraction of the examples of a class that choose the strength.
CHOOSING = 0.2


class LinearProbe(FrozenClassifier):
    """Logistic regression on the vectors of a frozen encoder.

    Args:
        encoder: An `IMPEncoder`. It is not trained.
        modality: The modality of the inputs.
        class_names: Names of the classes.
        layer: Where the vectors are read: as in
            `evaluation.pooled.features_of`.
        strengths: Inverse strengths of the penalty to choose from.
        batch_size: Examples of a batch.

    Raises:
        ValueError: If a name is there twice.
        ImportError: If scikit-learn is not installed.

    Example:
        >>> import numpy as np, keras_imp
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2, ("image",))
        >>> images = np.random.default_rng(0).uniform(
        ...     -1, 1, (20, 16, 16, 3)) + np.arange(20)[:, None, None, None] % 2
        >>> probe = keras_imp.evaluation.LinearProbe(
        ...     encoder, "image", ["dark", "bright"], strengths=(1.0,))
        >>> labels = np.arange(20) % 2
        >>> images = np.clip(images, -1, 1)
        >>> probe.fit(images, labels).evaluate(images, labels).examples
        20
    """

    method = "linear probe"

    def __init__(
        self,
        encoder: Any,
        modality: str,
        class_names: list[str],
        layer: str = "pooled",
        strengths: tuple[float, ...] = STRENGTHS,
        batch_size: int = 64,
    ):
        require("sklearn", extra="probe")
        super().__init__(encoder, modality, class_names, layer, batch_size)
        self.strengths = tuple(strengths)
        self._model: Any = None

    def fit(
        self,
        x: np.ndarray,
        labels: np.ndarray,
        validation: tuple[np.ndarray, np.ndarray] | None = None,
        shots: int | None = None,
        seed: int = 0,
    ) -> "LinearProbe":
        """Fit the regression; its strength is chosen on other examples.

        Args:
            x: Inputs of the encoder, row by row.
            labels: Positions in `class_names`, shape `(examples,)`.
            validation: Inputs and labels to choose the strength with.
                Defaults to a fifth of each class; the regression is then
                fitted on all again.
            shots: Examples of each class to fit on, drawn by the seed.
                Defaults to all.
            seed: Seed of what is drawn.

        Returns:
            Itself.

        Raises:
            ValueError: If a class has fewer examples than are asked for, there
                is only one class, or no example is left to choose the
                strength.
        """
        labels = np.asarray(labels)
        generator = np.random.default_rng(seed)
        if shots is not None:
            rows = _drawn(labels, shots, generator)
            x, labels = x[rows], labels[rows]
        if len(np.unique(labels)) < 2:
            raise ValueError(
                message(
                    "There must be examples of two classes.",
                    classes=np.unique(labels).tolist(),
                )
            )
        features = self._features(x)
        train = np.ones(len(labels), bool)
        if validation is None:
            train = ~_held_out(labels, generator)
            if train.all():
                raise ValueError(
                    message(
                        "A class must have two examples, one of which helps to "
                        "choose the strength.",
                        "Or give others: validation=(x, labels).",
                        examples=len(labels),
                    )
                )
            held = features[~train], labels[~train]
        else:
            held = self._features(validation[0]), np.asarray(validation[1])
        candidates = [
            (self._regression(c, features[train], labels[train]), c)
            for c in self.strengths
        ]
        best, strength = max(candidates, key=lambda each: each[0].score(*held))
        if not train.all():
            best = self._regression(strength, features, labels)
        self._model, self._strength = best, strength
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Probabilities of the classes.

        Args:
            x: Inputs of the encoder, row by row.

        Returns:
            Shape `(examples, classes)`; 0 for a class without an example in
            `fit`.

        Raises:
            ValueError: If `fit` has not been called.
        """
        if self._model is None:
            raise ValueError(message("Call `fit` first.", fitted=False))
        found = self._model.predict_proba(self._features(x))
        scores = np.zeros((len(found), len(self.class_names)))
        scores[:, self._model.classes_] = found
        return scores

    def _settings(self) -> dict[str, Any]:
        return {"strength": self._strength}

    def _regression(
        self, strength: float, features: np.ndarray, labels: np.ndarray
    ) -> Any:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        model = make_pipeline(
            StandardScaler(), LogisticRegression(C=strength, max_iter=1000)
        )
        return model.fit(features, labels)


def _drawn(
    labels: np.ndarray, shots: int, generator: np.random.Generator
) -> np.ndarray:
    """Rows of `shots` examples of each class."""
    check_integer(1, shots=shots)
    rows = []
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        if len(of_class) < shots:
            raise ValueError(
                message(
                    "Each class must have as many examples as there are shots.",
                    label=int(label),
                    examples=len(of_class),
                    shots=shots,
                )
            )
        rows.append(generator.permutation(of_class)[:shots])
    return np.sort(np.concatenate(rows))


def _held_out(labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A fifth of each class; at least one example stays in it."""
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        of_class = generator.permutation(np.flatnonzero(labels == label))
        held[of_class[: int(np.ceil(CHOOSING * (len(of_class) - 1)))]] = True
    return held
