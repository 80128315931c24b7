"""One run on own data from its files to a report, in one folder."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from keras_imp._run_length import steps_of_epoch
from keras_imp.data.manifest import Manifest
from keras_imp.data.records import TooManyBadFilesError
from keras_imp.data.records.store import write_stores
from keras_imp.evaluation.own_data import features, plots, show
from keras_imp.evaluation.own_data.build import build_model
from keras_imp.evaluation.own_data.choices import choose_sizes
from keras_imp.evaluation.own_data.finished_run import (
    CLASSES,
    NUMBERS,
    RECIPE,
)
from keras_imp.evaluation.own_data.inference import RowsOfTasks, infer
from keras_imp.evaluation.own_data.measures import Measured, measure
from keras_imp.evaluation.own_data.recipe import DataRecipe, RecipeError
from keras_imp.evaluation.own_data.rows import Limits, fix_rows
from keras_imp.evaluation.own_data.run_page import write_run_page
from keras_imp.evaluation.own_data.sources import (
    training_mixture,
    validation_mixture,
)
from keras_imp.evaluation.own_data.watched import watched_rows
from keras_imp.evaluation.own_data.words import check_words, tokenizer_of
from keras_imp.evaluation.run_folder import (
    LOGS,
    RunError,
    Stopwatch,
    run_callbacks,
    write_json,
)
from keras_imp.evaluation.run_report import settings_of
from keras_imp.evaluation.watched_rows import watching
from keras_imp.training.checkpoint.backup import BackupError
from keras_imp.training.checkpoint.lock import FolderInUseError

# The start of a warning of `fit`.
UNLIKE_BATCHES = "Task .*: the losses of training and validation do not compare"


def understand(
    recipe: DataRecipe, rows_of: RowsOfTasks
) -> tuple[DataRecipe, dict[str, Manifest]]:
    """Read the rows of all tasks, and choose what a recipe leaves open.

    Args:
        recipe: The recipe.
        rows_of: Reads the data.

    Returns:
        The recipe with all choices, and the rows by task.

    Raises:
        RecipeError: If a task cannot be learned from its columns.
        ReadError: If data cannot be read.
    """
    if not recipe.tasks:
        raise RecipeError(
            "A recipe must have a task. Add [tasks.NAME] with data = PATH, or "
            "give --data."
        )
    manifests = {name: rows_of(task) for name, task in recipe.tasks.items()}
    recipe = infer(recipe, manifests)
    return choose_sizes(recipe, manifests), manifests


class OwnDataRun:
    """A run on own data; one that was stopped continues in its folder.

    When it is made, the files are scanned and the rows fixed. Call `fit`,
    `save` and `evaluate` after that, in this order. Each may be repeated.

    Args:
        folder: Folder of the run. It exists.
        recipe: All choices, from `understand`.
        manifests: Rows by task.
        limits: What the scan may find.
        backup_steps: Steps from one backup to the next. Defaults to one each
            minute.
        cache: Folder for what files are decoded to.
        watch: Whether to measure conflict and recall at each epoch, and to
            write vectors for TensorBoard's projector.

    Attributes:
        model: The model.
        tasks: Rows of all tasks.
        told: Sentences for a person to read before training.
        written: What each file in the folder is for, by its name.

    Raises:
        RunError: If the data cannot be trained on, or a file in the folder
            cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        recipe: DataRecipe,
        manifests: Mapping[str, Manifest],
        limits: Limits = Limits(),  # noqa: B008
        backup_steps: int | None = None,
        cache: Path | None = None,
        watch: bool = False,
    ):
        keras.utils.set_random_seed(recipe.seed)
        self.folder = folder
        self.recipe = recipe
        self._backup_steps = backup_steps
        self._watch = watch
        self._stopwatch = Stopwatch(folder / "time.json")
        self.tasks = fix_rows(recipe, manifests, folder, limits, cache)
        self.tokenizer = tokenizer_of(recipe, self.tasks, folder)
        self.told = [
            x for rows in self.tasks.values() for x in show.told_of(rows)
        ]
        if self.tokenizer is not None:
            self.told += check_words(self.tokenizer, self.tasks)
        self.model, self.preprocessor = build_model(
            recipe, self.tasks, self.tokenizer
        )
        self.written: dict[str, str] = {RECIPE: "all choices of this run"}
        if (folder / "quarantine.jsonl").exists():
            self.written["quarantine.jsonl"] = "files that cannot be used"

    @property
    def seconds(self) -> float:
        """Seconds of training, in all processes that the run has had."""
        return self._stopwatch.seconds

    @property
    def steps_per_epoch(self) -> int:
        """Steps of each of the epochs."""
        return steps_of_epoch(self.recipe.steps)

    def fit(self) -> None:
        """Train, from the last backup on if there is one.

        Raises:
            RunError: If the backups cannot be used, another process has them,
                or there are too many bad files.
            StoppedBySignal: If SIGTERM or SIGINT came, after the state was
                saved.
        """
        recipe = self.recipe
        with _run_errors(), self._stopwatch, warnings.catch_warnings():
            # The rows say so, and the plot of the losses has both.
            warnings.filterwarnings("ignore", message=UNLIKE_BATCHES)
            self.model.fit(
                training_mixture(
                    self.tasks, self.preprocessor, recipe.weights, recipe.seed
                ),
                validation_data=validation_mixture(
                    self.tasks, self.preprocessor
                ),
                epochs=-(-recipe.steps // self.steps_per_epoch),
                steps_per_epoch=self.steps_per_epoch,
                callbacks=run_callbacks(
                    self.folder,
                    self._stopwatch,
                    bool(self.model.encoder.num_experts),
                    self._backup_steps,
                    self._watching(),
                ),
            )

    def _watching(self) -> list[keras.callbacks.Callback]:
        if not self._watch:
            return []
        return watching(
            self.model.tasks,
            watched_rows(self.tasks, self.preprocessor),
            self.folder / LOGS,
            self.steps_per_epoch,
        )

    def save(self) -> None:
        """Save the model, and the encoder as a preset with what it needs."""
        self.model.save(self.folder / "model.keras")
        encoder = self.folder / "encoder"
        self.model.encoder.save_to_preset(
            encoder, preprocessor=self.preprocessor
        )
        classes = {
            n: list(t.classes) for n, t in self.tasks.items() if t.classes
        }
        numbers = {
            n: {"mean": t.mean, "std": t.std}
            for n, t in self.tasks.items()
            if t.kind == "regression"
        }
        self.written |= {
            "model.keras": "the model, for keras.models.load_model",
            "encoder/": "the encoder and its preprocessor, for from_preset",
        }
        if classes:
            write_json(self.folder / CLASSES, classes)
            self.written[CLASSES] = "names of the classes, by task"
        if numbers:
            write_json(self.folder / NUMBERS, numbers)
            self.written[NUMBERS] = "mean and spread of the numbers"

    def evaluate(self) -> list[dict[str, Any]]:
        """Measure the model on the rows held out, and write the page.

        Returns:
            The lines of `results.json`.

        Raises:
            RunError: If there are too many bad files.
        """
        with _run_errors():
            measured = {
                name: measure(self.model, rows, self.preprocessor)
                for name, rows in self.tasks.items()
            }
        lines = [line for each in measured.values() for line in each.lines]
        results = {
            "seconds": round(self.seconds, 1),
            "rows": lines,
            "data": {name: self._facts(name) for name in self.tasks},
            "linear": {
                name: features.ABOUT[name]
                for rows in self.tasks.values()
                for name in rows.inputs
            },
        }
        write_json(self.folder / "results.json", results)
        self.written["results.json"] = "the table above"
        write_stores()
        self._report(lines, measured)
        return lines

    def _report(
        self, lines: list[dict[str, Any]], measured: Mapping[str, Measured]
    ) -> None:
        drawn = plots.draw_plots(
            self.model, self.tasks, measured, self.folder, self.steps_per_epoch
        )
        self.written |= {plot.file: plot.summary for plot in drawn}
        settings = settings_of(
            self.model,
            self.recipe.weights,
            {name: rows.batch_size for name, rows in self.tasks.items()},
            self.recipe.encoder,
            self.recipe.steps,
            self.recipe.seed,
            round(self.seconds, 1),
        )
        write_run_page(
            self.folder, settings, self.recipe, self.tasks, lines, drawn
        )
        self.written["report.html"] = "all of this on one page"

    def _facts(self, name: str) -> dict[str, Any]:
        """What became of the rows of a task."""
        rows = self.tasks[name]
        return {
            "data": rows.recipe.data,
            "rows": rows.scan.rows,
            "train": len(rows.train),
            "validation": len(rows.validation),
            "left_out": {**rows.scan.incomplete, **rows.scan.reasons},
            "bad_later": len(rows.quarantine) - len(rows.scan.bad),
            "warnings": rows.scan.notes,
            "alike": {n: count for n, (count, _) in rows.scan.alike.items()},
        }


@contextmanager
def _run_errors() -> Iterator[None]:
    """Errors that a person can do something about, as one class."""
    try:
        yield
    except (BackupError, FolderInUseError, TooManyBadFilesError) as error:
        raise RunError(str(error)) from error
