"""A trained model as what an index and its queries are made by."""

import threading
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_imp._errors import message
from keras_imp._repr import ShowsArguments
from keras_imp.data.manifest import Manifest
from keras_imp.data.preprocessor import IMPPreprocessor
from keras_imp.data.records import RowReader
from keras_imp.evaluation.fingerprint import fingerprint
from keras_imp.evaluation.parts import predict_part
from keras_imp.search.errors import SearchError
from keras_imp.tasks.combined import tasks_and_parts
from keras_imp.tasks.contrastive import Contrastive
from keras_imp.training.alternating_model import AlternatingModel


class SearchModel(ShowsArguments):
    """Turns items and queries into vectors of one contrastive task.

    Args:
        model: An `AlternatingModel`.
        preprocessor: Makes its inputs.
        task: Name of a contrastive task, or `"<task>/<part>"`. Defaults to the
            only one.

    Attributes:
        modalities: Those of the task that the preprocessor can make.
        model_id: Changes with any weight of the model.

    Raises:
        SearchError: If the model has no such task, or several and none is
            named.

    Example:
        >>> import numpy as np, keras_imp
        >>> from keras_imp.data import Tokenizer
        >>> words = Tokenizer.train(["cat", "dog"], 40, length=4)
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2, ("image", "text"),
        ...     vocabulary_size=words.vocabulary_size)
        >>> model = keras_imp.AlternatingModel(encoder, [
        ...     keras_imp.tasks.Contrastive("captions", projection_dim=8)])
        >>> model.compile()
        >>> search = keras_imp.search.SearchModel(model,
        ...     keras_imp.IMPPreprocessor(image=(16, 16), tokenizer=words))
        >>> search.text("a cat", of="image").shape
        (1, 8)
    """

    def __init__(
        self,
        model: Any,
        preprocessor: IMPPreprocessor,
        task: str | None = None,
    ):
        self.model = model
        self.preprocessor = preprocessor
        self.task = _task(model, task)
        known = tasks_and_parts(model.tasks)[self.task].modalities
        self.modalities = tuple(
            name for name in known if name in preprocessor.modalities
        )
        self.model_id = fingerprint(model)
        # Keras' predict is no function for several threads at once.
        self._lock = threading.Lock()

    @classmethod
    def load(cls, run: str | Path, task: str | None = None) -> "SearchModel":
        """The model of a run of `keras-imp train`, or of a preset.

        Args:
            run: Folder of the run, with its `model.keras` and `encoder/`; or
                the name, folder or address of a preset that has tasks, such
                as `"imp_tiny_playground"`.
            task: As in the constructor.

        Returns:
            The model.

        Raises:
            SearchError: If it is neither, or as the constructor.

        Example:
            >>> import keras_imp
            >>> keras_imp.search.SearchModel.load(
            ...     "imp_tiny_playground", "captions/texts").modalities
            ('image', 'text')
        """
        file = Path(run) / "model.keras"
        try:
            if file.is_file():
                model = keras.models.load_model(file)
                place: str | Path = Path(run) / "encoder"
            else:
                model, place = AlternatingModel.from_preset(run), run
            preprocessor = IMPPreprocessor.from_preset(place)
        except (ValueError, OSError) as error:
            raise SearchError(
                message(
                    "A search needs the folder of a run that has ended, with "
                    "its model.keras, or a preset that has tasks.",
                    "Train one: keras-imp train --data PATH --out FOLDER.",
                    run=str(run),
                    error=str(error),
                )
            ) from error
        return cls(model, preprocessor, task)

    def other(self, modality: str) -> str:
        """The modality that items of another one are compared with.

        Args:
            modality: Modality of the items.

        Returns:
            Text, or the first of the others.

        Raises:
            SearchError: If the task does not have the modality.
        """
        if modality not in self.modalities:
            raise SearchError(
                message(
                    f"Task {self.task!r} has the modalities {self.modalities}.",
                    modality=modality,
                )
            )
        others = [name for name in self.modalities if name != modality]
        if not others:
            raise SearchError(
                message(
                    f"Task {self.task!r} compares {modality!r} with what the "
                    "preprocessor cannot make.",
                    "Save the model with a preprocessor that has a tokenizer "
                    "and the sizes of all modalities.",
                    modalities_of_the_preprocessor=self.preprocessor.modalities,
                )
            )
        return "text" if "text" in others else others[0]

    def vectors(
        self, modality: str, x: np.ndarray, to: str, batch_size: int = 1
    ) -> np.ndarray:
        """Unit vectors of inputs, to be compared with another modality.

        Args:
            modality: What `x` is.
            x: Inputs of the model, row by row.
            to: The modality they are compared with.
            batch_size: Examples of a batch; the last one is filled up.

        Returns:
            float32, shape `(rows, width)`.
        """
        rows = len(x)
        x = np.concatenate([x, np.repeat(x[-1:], -rows % batch_size, axis=0)])
        # A query is one batch: a pipeline for it would take longer than it.
        size = batch_size if len(x) > batch_size else None
        with self._lock:
            found = predict_part(self.model, self.task, {modality: x}, size)
        return np.asarray(found[f"{modality}_to_{to}"][:rows], "float32")

    def text(self, words: str, of: str) -> np.ndarray:
        """The vector of some words, to look for items of a modality.

        Args:
            words: What a person typed.
            of: Modality of the items.

        Returns:
            float32, shape `(1, width)`.

        Raises:
            SearchError: If the items are not compared with text.
        """
        self._check_query("text", of)
        ids = self.preprocessor({"text": [words]})["text"]
        return self.vectors("text", ids, to=of)

    def file(self, modality: str, file: str | Path, of: str) -> np.ndarray:
        """The vector of a file, to look for items of a modality.

        Args:
            modality: `"image"`, `"video"` or `"audio"`: what the file is.
            file: Its path.
            of: Modality of the items: the same, to find what is alike, or the
                one that it is compared with.

        Returns:
            float32, shape `(1, width)`.

        Raises:
            BadFile: If the file cannot be decoded.
            SearchError: If the items are not compared with such files.
        """
        self._check_query(modality, of)
        if modality == "text":
            raise SearchError(
                message("A file must be an image, a video or audio.", file=file)
            )
        to = self.other(of) if modality == of else of
        return self.vectors(modality, self.read(modality, file), to)

    def read(self, modality: str, file: str | Path) -> np.ndarray:
        """One file as an input of the model, as the items are read.

        Args:
            modality: What the file is.
            file: Its path.

        Returns:
            Shape `(1, ...)`.

        Raises:
            BadFile: If the file cannot be decoded.
        """
        # Of a link, what it names: that is not in a folder of data.
        path = Path(file).resolve()
        manifest = Manifest({modality: [path.name]}, root=path.parent)
        reader = RowReader(manifest, self.preprocessor, (modality,))
        return reader.read(0)[0][modality][None]

    def _check_query(self, modality: str, of: str) -> None:
        allowed = (of, self.other(of))
        if modality not in allowed:
            raise SearchError(
                message(
                    f"Items of {of!r} are found by {' or '.join(allowed)}.",
                    query=modality,
                )
            )


def _task(model: Any, name: str | None) -> str:
    """The name of a contrastive task or part, checked."""
    known = {
        key: task
        for key, task in tasks_and_parts(model.tasks).items()
        if isinstance(task, Contrastive)
    }
    if name is None and len(known) == 1:
        return next(iter(known))
    if not known:
        raise SearchError(
            message(
                "A search needs a model with a contrastive task: one that was "
                "trained on pairs, such as images with texts.",
                tasks=list(tasks_and_parts(model.tasks)),
            )
        )
    if name not in known:
        raise SearchError(
            message(
                "A search needs the name of a contrastive task.",
                f"The model has {', '.join(map(repr, known))}.",
                task=name,
            )
        )
    return name
