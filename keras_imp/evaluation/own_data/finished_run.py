"""What a finished run on own data left in its folder, to be evaluated."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import keras

from keras_imp._errors import message
from keras_imp.data.preprocessor import IMPPreprocessor
from keras_imp.evaluation.own_data.recipe import DataRecipe
from keras_imp.evaluation.run_folder import RunError

RECIPE, MODEL, ENCODER = "recipe.toml", "model.keras", "encoder"
CLASSES, NUMBERS = "classes.json", "numbers.json"


class FinishedRun(NamedTuple):
    """A run whose model was saved.

    Attributes:
        folder: Its folder.
        recipe: All choices.
        model: The trained model.
        preprocessor: Makes its inputs.
        classes: Names of the classes, by task.
        numbers: `mean` and `std` of the numbers to predict, by task.
    """

    folder: Path
    recipe: DataRecipe
    model: Any
    preprocessor: IMPPreprocessor
    classes: dict[str, list[str]]
    numbers: dict[str, dict[str, float]]


def check_finished(folder: Path) -> None:
    """Raise unless a folder is that of a finished run on own data.

    Args:
        folder: The folder.

    Raises:
        RunError: If it is not.
    """
    if not (folder / RECIPE).is_file():
        raise RunError(
            message(
                "The folder must be that of a run on own data, with its "
                f"{RECIPE}.",
                "Give the --out of `keras-imp train --data ...`.",
                run=str(folder),
                there_are=sorted(p.name for p in folder.glob("*"))[:8],
            )
        )
    if not (folder / MODEL).is_file():
        raise RunError(
            message(
                f"The run has not finished: it has no {MODEL}.",
                f"Continue it: keras-imp train --resume {folder}",
                run=str(folder),
            )
        )


def load_run(folder: Path) -> FinishedRun:
    """Load what a run left.

    Args:
        folder: Its folder.

    Returns:
        The run.

    Raises:
        RunError: If it is not finished, or a file cannot be read.
    """
    check_finished(folder)
    try:
        return FinishedRun(
            folder,
            DataRecipe.read(folder / RECIPE),
            keras.models.load_model(folder / MODEL),
            IMPPreprocessor.from_preset(folder / ENCODER),
            _json(folder / CLASSES),
            _json(folder / NUMBERS),
        )
    except (OSError, ValueError, TypeError) as error:
        raise RunError(
            message(
                "The files of a run must be those that it wrote.",
                f"Write them again: keras-imp train --resume {folder}",
                run=str(folder),
                error=str(error),
            )
        ) from error


def _json(path: Path) -> dict[str, Any]:
    """Only runs with such tasks have the file."""
    return json.loads(path.read_text("utf-8")) if path.exists() else {}
