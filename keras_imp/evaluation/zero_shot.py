"""Classify by comparing with the texts of the class names."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keras_imp._errors import check_integer, check_positive, message
from keras_imp._files import write_text
from keras_imp._repr import ShowsArguments
from keras_imp.evaluation.classified import report_of_classes
from keras_imp.evaluation.fingerprint import fingerprint
from keras_imp.evaluation.parts import find_part, predict_part
from keras_imp.evaluation.prompts import prompts_of
from keras_imp.evaluation.report import Report
from keras_imp.evaluation.views import mean_vectors
from keras_imp.tasks.combined import Combined, tasks_and_parts


class ZeroShotClassifier(ShowsArguments):
    """Classes by their names, in the space of a contrastive task.

    Each class name goes into every prompt; the unit vectors of its prompts are
    averaged and made unit vectors again. An input belongs to the class whose
    vector is nearest. Nothing is trained. The vectors of the classes are made
    when they are needed, and again when the model's weights have changed.

    Args:
        model: An `AlternatingModel` with a contrastive task on text.
        task: Name of that task; `"<task>/<part>"` if it is a part of a
            `Combined` one.
        class_names: Names of the classes.
        prompts: Templates with `{}` where the name goes, or a library of them:
            `"image"`, `"video"` or `"audio"` (`evaluation.prompts.PROMPTS`).
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
        >>> x = {"image": np.zeros((3, 16, 16, 3))}
        >>> classify.predict(x).shape
        (3, 2)
        >>> classify.evaluate(x, np.array([0, 1, 1])).examples
        3

    Reference:
        docs/method.md, Results in the paper, with all prompts instead of the
        first.
    """

    def __init__(
        self,
        model: Any,
        task: str,
        class_names: list[str],
        prompts: str | tuple[str, ...] | list[str] = ("{}",),
        tokenizer: Callable[[list[str]], np.ndarray] | None = None,
        batch_size: int = 64,
    ):
        check_positive(batch_size=batch_size)
        _check_names(class_names)
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
        self.prompts = prompts_of(prompts)
        self.batch_size = batch_size
        self._tokenizer = tokenizer
        self._classes: dict[str, np.ndarray] = {}
        # Of the weights that made the vectors above.
        self._made_by: str | None = None

    def predict(self, x: dict[str, np.ndarray], views: int = 1) -> np.ndarray:
        """Cosine similarities with the classes.

        Args:
            x: Inputs of one modality other than text.
            views: Rows of `x` that belong to one example and follow each
                other, as several crops of an image or parts of a recording
                do: their vectors are averaged.

        Returns:
            Shape `(examples, classes)`; the largest is the prediction.

        Raises:
            ValueError: If there is not exactly one modality, the task does
                not compare it with text, or its rows are no whole examples.
        """
        if len(x) != 1:
            raise ValueError(
                message("`x` must have one modality.", modalities=sorted(x))
            )
        (modality,) = x
        classes = self.class_vectors(modality)
        check_integer(1, views=views)
        rows = len(x[modality])
        if rows % views:
            raise ValueError(
                message(
                    "Each example must have all of its views.",
                    rows=rows,
                    views=views,
                )
            )
        vectors = self._vectors(x)[f"{modality}_to_text"]
        return mean_vectors(vectors, views) @ classes.T

    def class_vectors(self, modality: str) -> np.ndarray:
        """Unit vectors of the classes, to compare vectors of inputs with.

        Args:
            modality: That of the inputs.

        Returns:
            Shape `(classes, projection_dim)`.

        Raises:
            ValueError: If the task does not compare the modality with text.
        """
        now = fingerprint(self.model)
        if now != self._made_by:
            self._classes, self._made_by = self._make_classes(), now
        if modality not in self._classes:
            raise ValueError(
                message(
                    f"Task {self.task!r} compares text with "
                    f"{tuple(self._classes)}.",
                    modality=modality,
                )
            )
        return self._classes[modality]

    def evaluate(
        self,
        x: dict[str, np.ndarray],
        labels: np.ndarray,
        views: int = 1,
        groups: np.ndarray | None = None,
    ) -> Report:
        """Measure how often the right class is the nearest.

        Args:
            x: Inputs of one modality other than text.
            labels: Positions in `class_names`, shape `(examples,)`.
            views: As in `predict`.
            groups: Ids of what examples depend on, for the intervals: several
                images of one thing, parts of one recording.

        Returns:
            Accuracy, accuracy among the nearest 5, mean recall of the classes,
            and the recall of each.

        Raises:
            ValueError: As in `predict`, or if `labels` do not fit.
        """
        (modality,) = x
        return report_of_classes(
            f"{self.task}, {modality}, zero-shot",
            self.predict(x, views),
            labels,
            self.class_names,
            groups,
            prompts=list(self.prompts),
            views=views,
        )

    def save(self, path: str | Path) -> None:
        """Write names, prompts and task as JSON, to keep beside the model.

        Args:
            path: The file. It has no vectors: `load` makes those of the model
                that it is given.
        """
        content = {
            "task": self.task,
            "class_names": self.class_names,
            "prompts": list(self.prompts),
            "batch_size": self.batch_size,
        }
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        write_text(Path(path), text)

    @classmethod
    def load(
        cls,
        path: str | Path,
        model: Any,
        tokenizer: Callable[[list[str]], np.ndarray] | None = None,
    ) -> "ZeroShotClassifier":
        """A classifier that was saved, of a model.

        Args:
            path: File of `save`.
            model: The model.
            tokenizer: As in the constructor.

        Returns:
            The classifier.

        Raises:
            ValueError: If the file is none, or the model does not fit.
        """
        content = _read(Path(path))
        return cls(model=model, tokenizer=tokenizer, **content)

    def accuracy(
        self, x: dict[str, np.ndarray], labels: np.ndarray, views: int = 1
    ) -> float:
        """Fraction of the inputs whose nearest class is the right one.

        Args:
            x: Inputs of one modality other than text.
            labels: Positions in `class_names`.
            views: As in `predict`.

        Returns:
            In [0, 1].
        """
        found = self.predict(x, views).argmax(axis=1)
        return float((found == labels).mean())

    def _make_classes(self) -> dict[str, np.ndarray]:
        texts = [p.format(n) for n in self.class_names for p in self.prompts]
        vectors = self._vectors({"text": self._tokenizer(texts)})
        return {
            direction.split("_to_")[1]: mean_vectors(values, len(self.prompts))
            for direction, values in vectors.items()
        }

    def _vectors(self, x: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return predict_part(self.model, self.task, x, self.batch_size)


def _read(path: Path) -> dict[str, Any]:
    """What `save` wrote."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {
            key: content[key]
            for key in ("task", "class_names", "prompts", "batch_size")
        }
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(
            message(
                "The file must be one that ZeroShotClassifier.save wrote.",
                path=str(path),
                error=f"{type(error).__name__}: {error}",
            )
        ) from error


def _check_task(model: Any, name: str) -> None:
    """Raise unless a name is that of a contrastive task on text."""
    task = find_part(model, name)
    is_combined = isinstance(task, Combined)
    if is_combined or "text" not in task.modalities:
        raise ValueError(
            message(
                "The task must be contrastive and have the modality 'text'.",
                f"Name one of its parts: {list(tasks_and_parts(model.tasks))}."
                if is_combined
                else "",
                task=name,
                modalities=task.modalities,
            )
        )


def _check_names(class_names: list[str]) -> None:
    names = list(class_names)
    if not names or len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(
            message(
                "`class_names` must be different names, at least one.",
                f"There twice: {', '.join(twice)}." if twice else "",
                class_names=names,
            )
        )
