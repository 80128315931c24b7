"""One run of the playground from start to finish, into one folder."""

from pathlib import Path
from typing import Any

import keras

from keras_imp._run_length import steps_of_epoch
from keras_imp.data import Tokenizer
from keras_imp.evaluation.playground import measures, plots, report, tasks
from keras_imp.evaluation.playground.captions import train_tokenizer
from keras_imp.evaluation.playground.recipe import RECIPE, Recipe
from keras_imp.evaluation.playground.run_page import write_run_page
from keras_imp.evaluation.playground.splits import Split, load_split
from keras_imp.evaluation.playground.watched import watched_rows
from keras_imp.evaluation.run_folder import (
    LOGS,
    RunError,
    Stopwatch,
    load_tokenizer,
    run_callbacks,
    write_json,
)
from keras_imp.evaluation.run_report import settings_of
from keras_imp.evaluation.watched_rows import watching
from keras_imp.training.checkpoint.backup import BackupError
from keras_imp.training.checkpoint.lock import FolderInUseError


class PlaygroundRun:
    """A run of the playground; one that was stopped continues in its folder.

    Call `fit`, `save` and `evaluate` in this order. Each may be repeated.

    Args:
        folder: Folder of the run. It exists.
        steps: Training steps over all tasks.
        seed: Seed of weights, order, augmentation and dropout.
        preset: Preset of the encoder.
        watch: Whether to measure conflict and recall at each epoch, and to
            write vectors for TensorBoard's projector.

    Attributes:
        model: The model.
        written: What each file in the folder is for, by its name.

    Raises:
        RunError: If a file in the folder cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        steps: int,
        seed: int,
        preset: str,
        watch: bool = False,
    ):
        keras.utils.set_random_seed(seed)
        self.folder = folder
        self.steps = steps
        self.seed = seed
        self.preset = preset
        self.watch = watch
        self.recipe = RECIPE
        self._stopwatch = Stopwatch(folder / "time.json")
        self.splits = {
            name: load_split(name) for name in ("train", "validation", "test")
        }
        self.tokenizer = _tokenizer(
            folder / "tokenizer.json", self.splits["train"], self.recipe
        )
        self.model = tasks.build_model(
            self.tokenizer, steps, preset, self.recipe
        )
        self.written: dict[str, str] = {}

    @property
    def seconds(self) -> float:
        """Seconds of training, in all processes that the run has had."""
        return self._stopwatch.seconds

    @property
    def steps_per_epoch(self) -> int:
        """Steps of each of the epochs."""
        return steps_of_epoch(self.steps)

    def fit(self) -> None:
        """Train, from the last backup on if there is one.

        Raises:
            RunError: If the backups cannot be used, or another process has
                them.
            StoppedBySignal: If SIGTERM or SIGINT came, after the state was
                saved.
        """
        splits = self.splits
        try:
            with self._stopwatch:
                self.model.fit(
                    tasks.training_mixture(
                        splits["train"], self.tokenizer, self.seed, self.recipe
                    ),
                    validation_data=tasks.evaluation_mixture(
                        splits["validation"], self.tokenizer, self.recipe
                    ),
                    epochs=-(-self.steps // self.steps_per_epoch),
                    steps_per_epoch=self.steps_per_epoch,
                    callbacks=run_callbacks(
                        self.folder,
                        self._stopwatch,
                        bool(self.model.encoder.num_experts),
                        more=self._watching(),
                    ),
                )
        except (BackupError, FolderInUseError) as error:
            raise RunError(str(error)) from error

    def _watching(self) -> list[keras.callbacks.Callback]:
        if not self.watch:
            return []
        rows = watched_rows(
            self.splits["validation"], self.tokenizer, self.recipe
        )
        return watching(
            self.model.tasks, rows, self.folder / LOGS, self.steps_per_epoch
        )

    def save(self) -> None:
        """Save the model, and the encoder with its preprocessor, as presets."""
        self.model.save(self.folder / "model.keras")
        encoder = self.folder / "encoder"
        self.model.encoder.save_to_preset(
            encoder,
            preprocessor=tasks.make_preprocessor(
                self.model.encoder, self.tokenizer
            ),
        )
        self.written |= {
            "model.keras": "the model, for keras.models.load_model",
            "encoder/": "the encoder and its preprocessor, for from_preset",
        }

    def evaluate(self) -> list[dict[str, Any]]:
        """Measure the model on the test split, draw it, and write the page.

        Returns:
            The lines of `results.json`.
        """
        folder, test = self.folder, self.splits["test"]
        subject = (self.model, test, self.tokenizer)
        rows = [*measures.measure(*subject), *measures.measure_shift(*subject)]
        lines = report.with_baselines(rows)
        seconds = round(self.seconds, 1)
        results = {"seconds": seconds, "rows": lines}
        write_json(folder / "results.json", results)
        self.written["results.json"] = "the table above"
        drawn = plots.draw_plots(
            *subject, folder, self.steps_per_epoch, self.recipe
        )
        self.written |= {name: plots.PLOTS[name].summary for name in drawn}
        settings = settings_of(
            self.model,
            self.recipe.weights,
            self.recipe.batch_sizes,
            self.preset,
            self.steps,
            self.seed,
            seconds,
        )
        write_run_page(folder, settings, lines, drawn)
        self.written["report.html"] = "all of this on one page"
        return lines


def _tokenizer(path: Path, train: Split, recipe: Recipe) -> Tokenizer:
    """The run's tokenizer; one that is resumed reads what it began with."""
    if path.exists():
        return load_tokenizer(path, recipe.text_length)
    tokenizer = train_tokenizer(train.source, recipe)
    tokenizer.save(path)
    return tokenizer
