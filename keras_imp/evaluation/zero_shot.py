"""Classify by comparing with the texts of the class names."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_imp._errors import check_positive, message
from keras_imp._repr import ShowsArguments
from keras_imp.evaluation.parts import predict_part
from keras_imp.tasks.combined import Combined, tasks_and_parts


class ZeroShotClassifier(ShowsArguments):
    """Classes by their names, in the space of a contrastive task.

    Each class name goes into every prompt; the unit vectors of its prompts are
    averaged and made unit vectors again. An input belongs to the class whose
    vector is nearest. Nothing is trained.

    Args:
        model: An `AlternatingModel` with a contrastive task on text.
        task: Name of that task; `"<task>/<part>"` if it is a part of a
            `Combined` one.
        class_names: Names of the classes.
        prompts: Templates with `{}` where the name goes.
        tokenizer: From a list of texts to token ids. Defaults to
            `model.tokenizer`, if the model has one.
        batch_size: Examples of a batch.

    Raises:
        ValueError: If the model has no such task, the task has no text, a name
            is there twice, a prompt has no `{}`, or there is no tokenizer.

    Example:
        >>> import keras_imp
        >>> from keras_imp.data import Tokenizer
        >>> words = Tokenizer.train(["cat", "dog"], 40, length=4)
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2, ("image", "text"),
        ...     vocabulary_size=words.vocabulary_size)
        >>> model = keras_imp.AlternatingModel(encoder, [
        ...     keras_imp.tasks.Contrastive("captions", projection_dim=8)])
        >>> model.compile()
        >>> classify = keras_imp.ZeroShotClassifier(
        ...     model, "captions", ["cat", "dog"], tokenizer=words)
        >>> import numpy as np
        >>> classify.predict({"image": np.zeros((3, 16, 16, 3))}).shape
        (3, 2)

    Reference:
        docs/method.md, Results in the paper, with all prompts instead of the
        first.
    """

    def __init__(
        self,
        model: Any,
        task: str,
        class_names: list[str],
        prompts: tuple[str, ...] | list[str] = ("{}",),
        tokenizer: Callable[[list[str]], np.ndarray] | None = None,
        batch_size: int = 64,
    ):
        check_positive(batch_size=batch_size)
        _check_names(class_names, prompts)
        tokenizer = tokenizer or getattr(model, "tokenizer", None)
        if tokenizer is None:
            raise ValueError(
                message(
                    "A tokenizer is needed to read the class names.",
                    "Pass the one that the model was trained with: tokenizer=.",
                    tokenizer=None,
                )
            )
        _check_task(model, task)
        self.model = model
        self.task = task
        self.class_names = list(class_names)
        self.prompts = tuple(prompts)
        self.batch_size = batch_size
        texts = [p.format(name) for name in class_names for p in prompts]
        vectors = self._vectors({"text": tokenizer(texts)})
        self._classes = {
            direction.split("_to_")[1]: self._average(values)
            for direction, values in vectors.items()
        }

    def predict(self, x: dict[str, np.ndarray]) -> np.ndarray:
        """Cosine similarities with the classes.

        Args:
            x: Inputs of one modality other than text.

        Returns:
            Shape `(examples, classes)`; the largest is the prediction.

        Raises:
            ValueError: If there is not exactly one modality, or the task does
                not compare it with text.
        """
        if len(x) != 1:
            raise ValueError(
                message("`x` must have one modality.", modalities=sorted(x))
            )
        (modality,) = x
        if modality not in self._classes:
            raise ValueError(
                message(
                    f"Task {self.task!r} compares text with "
                    f"{tuple(self._classes)}.",
                    modality=modality,
                )
            )
        vectors = self._vectors(x)[f"{modality}_to_text"]
        return vectors @ self._classes[modality].T

    def accuracy(self, x: dict[str, np.ndarray], labels: np.ndarray) -> float:
        """Fraction of the inputs whose nearest class is the right one.

        Args:
            x: Inputs of one modality other than text.
            labels: Positions in `class_names`.

        Returns:
            In [0, 1].
        """
        return float((self.predict(x).argmax(axis=1) == labels).mean())

    def _vectors(self, x: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return predict_part(self.model, self.task, x, self.batch_size)

    def _average(self, vectors: np.ndarray) -> np.ndarray:
        count, width = len(self.prompts), vectors.shape[-1]
        mean = vectors.reshape(-1, count, width).mean(axis=1)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def _check_task(model: Any, name: str) -> None:
    """Raise unless a name is that of a contrastive task on text."""
    known = tasks_and_parts(model.tasks)
    if name not in known:
        raise ValueError(
            message(f"The model has the tasks {list(known)}.", task=name)
        )
    task = known[name]
    is_combined = isinstance(task, Combined)
    if is_combined or "text" not in task.modalities:
        raise ValueError(
            message(
                "The task must be contrastive and have the modality 'text'.",
                f"Name one of its parts: {list(known)}." if is_combined else "",
                task=name,
                modalities=task.modalities,
            )
        )


def _check_names(class_names, prompts) -> None:
    if not class_names or len(set(class_names)) != len(class_names):
        raise ValueError(
            message(
                "`class_names` must be different names, at least one.",
                class_names=list(class_names),
            )
        )
    for prompt in prompts:
        if "{}" not in prompt:
            raise ValueError(
                message(
                    "A prompt must have {} where the class name goes.",
                    prompt=prompt,
                )
            )
