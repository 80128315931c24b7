"""The vectors of a model on the projector of TensorBoard, with sprites."""

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_imp._errors import check_integer, message
from keras_imp._files import write_text
from keras_imp._optional import require
from keras_imp._repr import ShowsArguments
from keras_imp.evaluation.event_file import EventFile
from keras_imp.evaluation.parts import find_part, predict_part
from keras_imp.evaluation.pooled import features_of
from keras_imp.tasks.contrastive import Contrastive
from keras_imp.training.monitoring.task_logger import (
    check_has_tasks,
    unchanged_random_state,
)

# Side of a sprite in pixels; TensorBoard takes 8192 of them.
SIDE, MOST_PIXELS = 64, 8192
MOST_POINTS = (MOST_PIXELS // SIDE) ** 2
# Sprites of texts and audio are their label on a color.
COLORS = {"text": "#fff3b0", "audio": "#cfe8ff"}


class EmbeddingProjector(ShowsArguments, keras.callbacks.Callback):
    """Write what a task makes of examples for TensorBoard's projector.

    Of a contrastive task the vectors of both modalities, which are in one
    space; of others the vectors that the head is given. Images and videos are
    shown as they are, texts and audio as their label. Training is the same
    with and without it; it costs one prediction of all rows.

    An epoch replaces what the one before wrote. TensorBoard reads the files
    once: start it again to see a later epoch.

    Args:
        log_dir: Folder of TensorBoard. Each task gets a run in it.
        task: Name of a task; `"<task>/<part>"` if it is a part of a `Combined`
            one.
        x: Inputs of one of its modalities, or of two of a contrastive task,
            row by row.
        labels: A text for each row. Defaults to their numbers.
        every: Epochs from one writing to the next.
        batch_size: Examples of a batch.

    Raises:
        ValueError: If a number is not positive; in `fit`, if the model has no
            such task, rows do not fit, or there are more than 16,384 vectors.
        ImportError: In `fit`, if `tensorboard` or Pillow is not installed.

    Example:
        >>> import keras_imp, numpy as np, pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2, modalities=("image",))
        >>> model = keras_imp.AlternatingModel(encoder, [
        ...     keras_imp.tasks.Classification("objects", "image", 3)])
        >>> model.compile("sgd")
        >>> x, y = {"image": np.zeros((2, 16, 16, 3))}, np.array([0, 2])
        >>> projector = keras_imp.callbacks.EmbeddingProjector(
        ...     folder, "objects", x, labels=["cat", "dog"])
        >>> history = model.fit(keras_imp.TaskMixture({"objects": [(x, y)]}),
        ...     steps_per_epoch=1, verbose=0, callbacks=[projector])
        >>> (projector.folder / "metadata.tsv").read_text().split()
        ['label', 'modality', 'cat', 'image', 'dog', 'image']
    """

    def __init__(
        self,
        log_dir: str | Path,
        task: str,
        x: dict[str, np.ndarray],
        labels: Sequence[str] | None = None,
        every: int = 1,
        batch_size: int = 64,
    ):
        super().__init__()
        check_integer(every=every, batch_size=batch_size)
        self.log_dir = Path(log_dir)
        self.task = task
        self.x = x
        self.labels = labels
        self.every = every
        self.batch_size = batch_size

    @property
    def folder(self) -> Path:
        """Folder of the run that it writes."""
        return self.log_dir / f"projector_{self.task.replace('/', '_')}"

    def on_train_begin(self, logs: dict | None = None) -> None:
        check_has_tasks(self.model, type(self).__name__)
        rows = self._check()
        labels = self.labels
        self._labels = list(map(str, range(rows) if labels is None else labels))
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write_metadata()
        (self.folder / "sprites.png").write_bytes(self._sprites())

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if (epoch + 1) % self.every:
            return
        with unchanged_random_state(self.model):
            vectors = np.concatenate(list(map(self._vectors, self.x)))
        lines = ["\t".join(f"{v:.6g}" for v in row) for row in vectors]
        write_text(self.folder / "vectors.tsv", "\n".join(lines) + "\n")
        write_text(self.folder / "projector_config.pbtxt", self._config(epoch))
        if not any(self.folder.glob("events.*")):
            # Only a folder with events is a run.
            events = EventFile(self.folder)
            events.write(epoch)
            events.close()

    def _vectors(self, modality: str) -> np.ndarray:
        """The vectors of a modality's rows."""
        x, task = self.x[modality], find_part(self.model, self.task)
        if not isinstance(task, Contrastive):
            encoder = self.model.encoder
            return features_of(encoder, modality, x, batch_size=self.batch_size)
        found = predict_part(
            self.model, self.task, {modality: x}, self.batch_size
        )
        others = [name for name in self.x if name != modality]
        if others:
            return found[f"{modality}_to_{others[0]}"]
        return next(iter(found.values()))

    def _config(self, epoch: int) -> str:
        fields = {
            "tensor_name": f"{self.task}, epoch {epoch}",
            "tensor_path": "vectors.tsv",
            "metadata_path": "metadata.tsv",
        }
        # A string of JSON is one of a text proto.
        lines = [f"  {k}: {json.dumps(v)}" for k, v in fields.items()]
        sprite = (
            f'  sprite {{ image_path: "sprites.png" single_image_dim: {SIDE} '
            f"single_image_dim: {SIDE} }}"
        )
        return "\n".join(["embeddings {", *lines, sprite, "}", ""])

    def _write_metadata(self) -> None:
        lines = ["label\tmodality"]
        for modality in self.x:
            lines += [
                f"{' '.join(label.split()) or '-'}\t{modality}"
                for label in self._labels
            ]
        write_text(self.folder / "metadata.tsv", "\n".join(lines) + "\n")

    def _sprites(self) -> bytes:
        """All sprites in rows, as one PNG."""
        image = require("PIL.Image", extra="data")
        sprites = [
            _sprite(modality, value, label)
            for modality, values in self.x.items()
            for value, label in zip(values, self._labels)
        ]
        side = math.ceil(math.sqrt(len(sprites)))
        sheet = image.new("RGB", (side * SIDE, side * SIDE), "white")
        for place, sprite in enumerate(sprites):
            row, column = divmod(place, side)
            sheet.paste(sprite, (column * SIDE, row * SIDE))
        file = io.BytesIO()
        sheet.save(file, "PNG")
        return file.getvalue()

    def _check(self) -> int:
        """Raise unless the rows fit the task; return their number."""
        task = find_part(self.model, self.task)
        most = 2 if isinstance(task, Contrastive) else 1
        if not 1 <= len(self.x) <= most or not {*self.x} <= {*task.modalities}:
            raise ValueError(
                message(
                    "`x` must have one modality of the task"
                    + (", or two." if most == 2 else "."),
                    f"Those of {self.task!r} are {tuple(task.modalities)}.",
                    modalities=sorted(self.x),
                )
            )
        counts = {modality: len(values) for modality, values in self.x.items()}
        if self.labels is not None:
            counts["labels"] = len(self.labels)
        if len(set(counts.values())) > 1 or not min(counts.values()):
            raise ValueError(
                message(
                    "Each row must have an entry of everything.", rows=counts
                )
            )
        rows = next(iter(counts.values()))
        if rows * len(self.x) > MOST_POINTS:
            raise ValueError(
                message(
                    f"The projector takes at most {MOST_POINTS:,} vectors with "
                    "sprites.",
                    "Give some of the rows.",
                    vectors=rows * len(self.x),
                )
            )
        return rows


def _sprite(modality: str, value: np.ndarray, label: str) -> Any:
    """An image of an example."""
    image = require("PIL.Image", extra="data")
    if modality in ("image", "video"):
        # The frame in the middle of a video.
        value = value[len(value) // 2] if value.ndim == 4 else value
        if value.dtype != np.uint8:
            value = np.clip((value + 1.0) * 127.5, 0, 255).astype("uint8")
        return image.fromarray(value).resize((SIDE, SIDE))
    sprite = image.new("RGB", (SIDE, SIDE), COLORS.get(modality, "#eeeeee"))
    draw = require("PIL.ImageDraw", extra="data").Draw(sprite)
    draw.multiline_text((2, 2), _wrapped(label), fill="black", font_size=10)
    return sprite


def _wrapped(label: str, width: int = 11, lines: int = 5) -> str:
    """As much of a label as a sprite has room for."""
    label = " ".join(label.split())
    pieces: list[str] = []
    for word in label.split(" "):
        if pieces and len(pieces[-1]) + 1 + len(word) <= width:
            pieces[-1] += f" {word}"
        else:
            pieces.append(word)
    return "\n".join(pieces[:lines])
