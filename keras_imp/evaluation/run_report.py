"""What all runs report alike: a table for the terminal, settings, scores."""

import datetime
import platform
import sys
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from rich.table import Table
from rich.text import Text

import keras_imp
from keras_imp.evaluation.page import Score, ScoreTable
from keras_imp.training.alternating_model import AlternatingModel

# Headings of the scores of a line, by its key. `keras` is left out where no
# line has it.
SCORES = {
    "chance": "chance",
    "linear": "linear",
    "keras": "plain Keras",
    "keras_imp": "keras-imp",
}


def table(lines: list[dict[str, Any]], title: str) -> Table:
    """The lines of a run's results as a table for the terminal.

    Args:
        lines: Dicts of `task`, `what` and the keys of `SCORES`; `linear` and
            `keras` may be None or missing.
        title: Above the table.

    Returns:
        A rich table; a score that beats the linear baseline is green, or one
        that beats chance where there is none.
    """
    result = Table(title=title)
    for column in ("task", "what"):
        result.add_column(column)
    shown = [
        name
        for name in SCORES
        if name != "keras" or any(line.get(name) for line in lines)
    ]
    for name in shown:
        result.add_column(SCORES[name], justify="right")
    for line in lines:
        scores = [Text(_shown(line.get(name))) for name in shown]
        beaten = line["keras_imp"] > (line.get("linear") or line["chance"])
        scores[-1].stylize("green" if beaten else "yellow")
        # As text: in markup, brackets in a name would be lost.
        result.add_row(Text(line["task"]), Text(line["what"]), *scores)
    return result


def score_table(lines: list[dict[str, Any]]) -> ScoreTable:
    """The lines of a run's results as a table for its page.

    Args:
        lines: As for `table`.

    Returns:
        The table.
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
    return ScoreTable(("task", "what"), scores, "keras-imp", "linear")


def settings_of(
    model: AlternatingModel,
    weights: Mapping[str, float],
    batch_sizes: Mapping[str, int],
    preset: str,
    steps: int,
    seed: int,
    seconds: float,
) -> dict[str, Any]:
    """What a reader needs to repeat a run, and what it took.

    Args:
        model: The trained model.
        weights: Fractions of the steps, by task, up to a common factor.
        batch_sizes: Examples of a batch, by task.
        preset: Preset of the encoder.
        steps: Training steps over all tasks.
        seed: Seed of everything.
        seconds: Seconds of training.

    Returns:
        By what it is; a part of a page.
    """
    backend = keras.config.backend()
    total = sum(weights.values())
    return {
        "encoder": preset,
        "parameters": (
            f"{model.count_params():,}, of which the encoder has "
            f"{model.encoder.count_params():,}"
        ),
        "training steps": f"{steps:,}",
        "tasks": "; ".join(
            f"{name}: {weight / total:.0%} of the steps, "
            f"batches of {batch_sizes[name]}"
            for name, weight in weights.items()
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


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
