"""The page of a run: its settings, its results and its plots."""

import datetime
import platform
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

import keras_imp
from keras_imp.evaluation import Figure, Score, ScoreTable, write_page
from keras_imp.evaluation.page import Part
from keras_imp.evaluation.playground.plots import PLOTS
from keras_imp.evaluation.playground.recipe import Recipe
from keras_imp.training.alternating_model import AlternatingModel


def write_run_page(
    folder: Path,
    settings: dict[str, Any],
    lines: list[dict[str, Any]],
    plots: list[str],
) -> None:
    """Write `report.html` into the folder of a run.

    Args:
        folder: Folder of the run, with its plots.
        settings: What the run was started with, and what it took.
        lines: The lines of `results.json`.
        plots: Names of the plots to show, of `PLOTS`.
    """
    scores = [
        Score(
            (line["task"], line["what"]),
            line["keras_imp"],
            chance=line["chance"],
            baseline=line["linear"],
        )
        for line in lines
    ]
    sections: dict[str, list[Part]] = {
        "Settings": [settings],
        "Results": [
            "On the test split, whose concepts are in no training data. The "
            "linear models are fitted on one task each.",
            ScoreTable(("task", "what"), scores, "keras-imp", "linear"),
        ],
    }
    for name in plots:
        about = PLOTS[name]
        plot = Figure(folder / name, about.caption)
        sections.setdefault(about.section, []).append(plot)
    write_page(folder / "report.html", "keras-imp: a playground run", sections)


def settings_of(
    model: AlternatingModel,
    recipe: Recipe,
    preset: str,
    steps: int,
    seed: int,
    seconds: float,
) -> dict[str, Any]:
    """What a reader needs to repeat a run, and what it took.

    Args:
        model: The trained model.
        recipe: How it was trained.
        preset: Preset of the encoder.
        steps: Training steps over all tasks.
        seed: Seed of everything.
        seconds: Seconds of training.

    Returns:
        By what it is; for `write_run_page`.
    """
    backend = keras.config.backend()
    total = sum(recipe.weights.values())
    return {
        "encoder": preset,
        "parameters": (
            f"{model.count_params():,}, of which the encoder has "
            f"{model.encoder.count_params():,}"
        ),
        "training steps": f"{steps:,}",
        "tasks": "; ".join(
            f"{name}: {weight / total:.0%} of the steps, "
            f"batches of {recipe.batch_sizes[name]}"
            for name, weight in recipe.weights.items()
        ),
        "seed": seed,
        "seconds of training": seconds,
        "backend": f"{backend} {sys.modules[backend].__version__}",
        "versions": (
            f"keras-imp {keras_imp.__version__}, Keras {keras.__version__}, "
            f"NumPy {np.__version__}, Python {platform.python_version()}"
        ),
        "machine": f"{platform.system()}, {platform.machine()}",
        "written": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC",
    }
