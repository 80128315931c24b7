"""What every run of the command line keeps in its folder: logs, time, state."""

import csv
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_imp._errors import message
from keras_imp._files import write_text
from keras_imp.callbacks import (
    Backup,
    GradientNormLogger,
    ResumableCSVLogger,
    TensorBoardLogger,
)
from keras_imp.data import Tokenizer
from keras_imp.evaluation.routing_plots import RoutingHeatMap

BACKUP_SECONDS = 60.0
# What TensorBoard shows, in the folder of a run.
LOGS = "logs"


class RunError(ValueError):
    """Raised when a run cannot start, or cannot continue in its folder."""


class Stopwatch:
    """Seconds of training over all processes of a run, kept in a file.

    Args:
        path: The file. A process that is killed loses its time since the last
            epoch.

    Raises:
        RunError: If the file cannot be read.
    """

    def __init__(self, path: Path):
        self._path = path
        self._before = _read_seconds(path)
        self._started: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds until this moment."""
        if self._started is None:
            return self._before
        return self._before + time.perf_counter() - self._started

    def callback(self) -> keras.callbacks.Callback:
        """A callback that writes the file after each epoch."""
        return keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: self._write()
        )

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self._before, self._started = self.seconds, None
        self._write()

    def _write(self) -> None:
        write_json(self._path, {"training_seconds": round(self.seconds, 1)})


def run_callbacks(
    folder: Path,
    stopwatch: Stopwatch,
    is_sparse: bool,
    backup_steps: int | None = None,
    more: Sequence[keras.callbacks.Callback] = (),
) -> list[keras.callbacks.Callback]:
    """The callbacks of a run: logs, time, backups, and plots of the routing.

    Args:
        folder: Folder of the run.
        stopwatch: Its time.
        is_sparse: Whether its encoder has experts.
        backup_steps: Steps from one backup to the next. Defaults to one each
            minute.
        more: Callbacks that measure more.

    Returns:
        The callbacks, for `fit`.
    """
    callbacks = [
        *more,
        ResumableCSVLogger(folder / "history.csv"),
        GradientNormLogger(),
        TensorBoardLogger(folder / LOGS),
        stopwatch.callback(),
        Backup(
            folder / "backup",
            every=backup_steps,
            seconds=None if backup_steps else BACKUP_SECONDS,
            signals=("SIGTERM", "SIGINT"),
        ),
    ]
    if is_sparse:
        callbacks.append(RoutingHeatMap(folder / LOGS))
    return callbacks


def load_tokenizer(path: Path, length: int | None = None) -> Tokenizer:
    """The tokenizer that a run wrote.

    Args:
        path: Its file.
        length: Ids of a row. Defaults to that of the file.

    Returns:
        The tokenizer.

    Raises:
        RunError: If it cannot be read.
    """
    try:
        return Tokenizer.load(path, length)
    except Exception as error:  # The library has no class for it.
        raise RunError(
            message(
                "The tokenizer of a run must be the one that it wrote.",
                "Start a new run.",
                file=str(path),
                error=str(error),
            )
        ) from error


def read_history(path: Path) -> dict[str, list[float]]:
    """Columns of the CSV log of a run; an empty cell is NaN.

    Args:
        path: The file.

    Returns:
        Values of all epochs by column.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {
        name: [_number(row[name]) for row in rows]
        for name in (rows[0] if rows else {})
    }


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, or leave the file that is there.

    Args:
        path: The file.
        value: What JSON can hold.
    """
    write_text(path, json.dumps(value, indent=2) + "\n")


def _number(cell: str) -> float:
    return float(cell) if cell else math.nan


def _read_seconds(path: Path) -> float:
    if not path.exists():
        return 0.0
    try:
        return float(json.loads(path.read_text("utf-8"))["training_seconds"])
    except (ValueError, TypeError, KeyError) as error:
        raise RunError(
            message(
                "The file must have the seconds of training so far.",
                "Remove it, and the time is counted from here.",
                file=str(path),
                error=str(error),
            )
        ) from error
