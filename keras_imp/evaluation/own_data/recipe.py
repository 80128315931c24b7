"""How a model is trained on own data: every choice, as one TOML file."""

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_imp._errors import message
from keras_imp._files import write_text
from keras_imp._optional import require
from keras_imp.data.reading.matching import nearest
from keras_imp.evaluation.own_data import rules
from keras_imp.evaluation.playground.recipe import RECIPE as PLAYGROUND

# Names of tasks that all backends take.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
# A list as the writer of TOML breaks it into lines.
LIST = re.compile(r" = \[\n((?:    .*,\n)+)\]$", re.MULTILINE)


class RecipeError(ValueError):
    """Raised when a recipe cannot be followed; it names file and key."""


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes of what the encoder gets. None is chosen from the data.

    Attributes:
        image: Height and width of images.
        video: Frames, height and width of videos.
        video_stride: From one frame to the next, in 25ths of a second.
        audio_seconds: Length of audio.
        text: Token ids of a text.
        patch: Patch of video and image: frames, height, width.
        audio_patch: Patch of a spectrogram: frames, mel bins.
    """

    image: tuple[int, int] | None = None
    video: tuple[int, int, int] | None = None
    video_stride: int | None = None
    audio_seconds: float | None = None
    text: int | None = None
    patch: tuple[int, int, int] | None = None
    audio_patch: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True)
class TaskRecipe:
    """One task: its data, and what to learn from it. None is inferred.

    Attributes:
        data: A table, a folder or an archive, as `keras_imp.data.read` takes.
        kind: `"contrastive"`, `"classification"`, `"multi-label"` or
            `"regression"`.
        inputs: Modalities that are read.
        columns: Names in a table by column: `{"label": "species"}`.
        root: Folder of the files, if it is not that of the data.
        label_separator: What stands between several labels of a row.
        weight: Fraction of the steps, up to a factor that all tasks share.
        batch_size: Rows of a batch.
        crop: How images and videos are cut in training: `"inception"`,
            `"place"` or `"center"`, as for `data.Records`.
        augment: Whether colors, contrast and loudness vary in training, and
            the place and the scale of what is cut in the center.
        match: Which rows of a contrastive task match each other: those of one
            `"file"`, or of one `"group"`.
    """

    data: str
    kind: str | None = None
    inputs: tuple[str, ...] | None = None
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    root: str | None = None
    label_separator: str | None = None
    weight: float | None = None
    batch_size: int = 64
    crop: str | None = None
    augment: bool = True
    match: str = "file"


@dataclasses.dataclass(frozen=True)
class DataRecipe:
    r"""Choices of a training run on own data. None is chosen from the data.

    Attributes:
        tasks: Tasks of the one encoder, by name.
        encoder: A size, such as `"imp_tiny"`; or trained weights to start
            from: a preset with weights, or the folder of a preset or of a run.
        steps: Training steps over all tasks.
        seed: Seed of weights, splits, order and augmentation.
        learning_rate: Peak of the learning rate.
        update_rms: Root mean square of Muon's step, in learning rates.
        warmup: Fraction of the steps in which the rate rises.
        weight_decay: Decoupled weight decay of the kernels.
        clip_norm: Largest global norm of a gradient.
        dropout: Dropout of the encoder.
        projection_dim: Width of the spaces of contrastive tasks.
        temperature: Initial temperature of contrastive losses.
        vocabulary_size: Ids of the tokenizer that is trained on the texts.
        tokenizer: A `tokenizer.json` to use in its place. Defaults to that of
            trained weights.
        validation_fraction: Fraction of the groups that are held out where
            the data has no split.
        sizes: Sizes of images, videos, audio and texts.

    Example:
        >>> from pathlib import Path
        >>> from keras_imp.evaluation.own_data.recipe import DataRecipe
        >>> _ = Path("recipe.toml").write_text(
        ...     "steps = 500\n[tasks.birds]\ndata = 'birds'\n")
        >>> recipe = DataRecipe.read(Path("recipe.toml"))
        >>> recipe.steps, list(recipe.tasks)
        (500, ['birds'])
    """

    tasks: Mapping[str, TaskRecipe] = dataclasses.field(default_factory=dict)
    encoder: str = "imp_tiny"
    steps: int = 2000
    seed: int = 0
    learning_rate: float = PLAYGROUND.learning_rate
    update_rms: float = PLAYGROUND.update_rms
    warmup: float = PLAYGROUND.warmup
    weight_decay: float = PLAYGROUND.weight_decay
    clip_norm: float = PLAYGROUND.clip_norm
    dropout: float = 0.0
    projection_dim: int = PLAYGROUND.projection_dim
    temperature: float = PLAYGROUND.temperature
    vocabulary_size: int = PLAYGROUND.vocabulary_size
    tokenizer: str | None = None
    validation_fraction: float = 0.1
    sizes: Sizes = Sizes()

    @classmethod
    def read(cls, path: Path) -> "DataRecipe":
        """Read a recipe.

        Args:
            path: A TOML file. Paths in it start in its folder.

        Returns:
            The recipe, with paths from the root of the file system.

        Raises:
            RecipeError: If the file is no TOML, a key is unknown, or a value
                is none that it can have.
        """
        try:
            values = tomllib.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise RecipeError(
                message(
                    "A recipe must be a TOML file that can be read.",
                    recipe=str(path),
                    error=str(error),
                )
            ) from error
        reader = _Reader(path)
        tasks = reader.table("tasks", values.pop("tasks", {}))
        sizes = reader.fields(Sizes, "sizes", values.pop("sizes", {}))
        recipe = reader.fields(
            cls,
            "",
            values,
            sizes=sizes,
            tasks={name: reader.task(name, tasks[name]) for name in tasks},
        )
        if recipe.tokenizer is None:
            return recipe
        tokenizer = path.parent.resolve() / recipe.tokenizer
        return dataclasses.replace(recipe, tokenizer=str(tokenizer))

    def save(self, path: Path) -> None:
        """Write the recipe as TOML, without what is None.

        Args:
            path: The file.
        """
        tomli_w = require("tomli_w", extra="data")
        text = tomli_w.dumps(_plain(self))
        # Lists are short here: "[64, 64]" on one line.
        write_text(path, LIST.sub(_on_one_line, text))

    @property
    def weights(self) -> dict[str, float]:
        """Fractions of the steps, by task, up to a common factor."""
        return {name: task.weight or 1.0 for name, task in self.tasks.items()}


class _Reader:
    """Makes dataclasses of the tables of a file, and checks each value."""

    def __init__(self, path: Path):
        self._path = path

    def table(self, key: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            self._refuse(key, "a table", value)
        return value

    def task(self, name: str, value: Any) -> TaskRecipe:
        key = f"tasks.{name}"
        if not NAME.fullmatch(name):
            raise RecipeError(
                message(
                    "The name of a task must be of ASCII letters, digits, '_', "
                    "'-' and '.', and begin with a letter or a digit.",
                    recipe=str(self._path),
                    task=name,
                )
            )
        table = self.table(key, value)
        if "data" not in table:
            raise RecipeError(
                message(
                    "Each task of a recipe must have `data`: a table, a folder "
                    "or an archive.",
                    recipe=str(self._path),
                    task=key,
                )
            )
        task = self.fields(TaskRecipe, key, table)
        folder = self._path.parent.resolve()
        root = task.root and str(folder / task.root)
        return dataclasses.replace(
            task, data=str(folder / task.data), root=root
        )

    def fields(self, of: type, key: str, value: Any, **more: Any) -> Any:
        """An object of a table, by the rules for its fields."""
        known = {field.name for field in dataclasses.fields(of)}
        found = dict(more)
        for name, each in self.table(key, value).items():
            place = f"{key}.{name}" if key else name
            if name not in known:
                raise RecipeError(
                    message(
                        "A recipe has no such key.",
                        nearest(name, sorted(known)),
                        recipe=str(self._path),
                        key=place,
                    )
                )
            rule = rules.RULES[name]
            if not rule.holds(each):
                self._refuse(place, rule.text, each)
            found[name] = tuple(each) if isinstance(each, list) else each
        return of(**found)

    def _refuse(self, key: str, rule: str, value: Any) -> None:
        raise RecipeError(
            message(
                f"`{key}` must be {rule}.",
                recipe=str(self._path),
                value=value,
            )
        )


def _on_one_line(match: re.Match) -> str:
    values = [line.strip().rstrip(",") for line in match[1].splitlines()]
    return f" = [{', '.join(values)}]"


def _plain(value: Any) -> Any:
    """What TOML can hold: tables first have their plain values."""
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        fields = {name: _plain(getattr(value, name)) for name in names}
        kept = {k: v for k, v in fields.items() if v not in (None, {})}
        return dict(sorted(kept.items(), key=lambda x: isinstance(x[1], dict)))
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return list(value) if isinstance(value, tuple) else value
