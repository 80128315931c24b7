"""`keras-imp train`: the playground from start to finish, into one folder."""

import csv
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Console

import keras_imp
from keras_imp._errors import message
from keras_imp._files import write_text
from keras_imp._keras_private import log_writers
from keras_imp.callbacks import Backup, ResumableCSVLogger
from keras_imp.data import Tokenizer
from keras_imp.evaluation import (
    RoutingHeatMap,
    inspect_routing,
    plot_learning_curves,
)
from keras_imp.evaluation.playground import report as playground_report
from keras_imp.evaluation.playground import tasks as playground_tasks
from keras_imp.models import PRESETS

EPOCHS = 10
BACKUP_SECONDS = 60.0


class UsageError(ValueError):
    """Raised when a run cannot start with the options that were given."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What decides a run's numbers; written to `config.json`.

    Attributes:
        steps: Training steps over all tasks.
        seed: Seed of weights, order, augmentation and dropout.
        backend: Keras backend.
        encoder: Preset of the encoder.
    """

    steps: int
    seed: int
    backend: str
    encoder: str = "imp_tiny"

    @property
    def steps_per_epoch(self) -> int:
        """Steps of each of the epochs; the last is not longer."""
        return max(1, self.steps // EPOCHS)


def run(
    console: Console,
    steps: int,
    seed: int,
    out: Path | None = None,
    resume: Path | None = None,
    encoder: str = "imp_tiny",
) -> Path:
    """Train, evaluate and write everything into a run folder.

    Args:
        console: Where to tell.
        steps: Training steps over all tasks.
        seed: Seed of everything.
        out: Folder of a new run. Defaults to a new one in `runs/`.
        resume: Folder of a run to go on with, instead of a new one.
        encoder: Preset of the encoder.

    Returns:
        The folder.

    Raises:
        UsageError: If the folder is in use or has no run to go on with, or
            the preset is unknown.
        StoppedBySignal: If SIGTERM or SIGINT came while it trained, after the
            state was saved.
    """
    if encoder not in PRESETS:
        raise UsageError(
            message(
                f"`encoder` must be one of {tuple(PRESETS)}.", encoder=encoder
            )
        )
    settings = Settings(steps, seed, keras.config.backend(), encoder)
    if resume is not None:
        folder, settings = resume, _read_settings(resume)
    else:
        folder = _new_folder(out)
    _write_json(folder / "config.json", dataclasses.asdict(settings))
    keras.utils.set_random_seed(settings.seed)
    console.print(
        f"keras-imp {keras_imp.__version__}, {settings.encoder} on "
        f"{settings.backend}, "
        f"{settings.steps} steps, seed {settings.seed}, into {folder}"
    )

    tokenizer = _tokenizer(folder / "tokenizer.json")
    splits = {
        name: playground_tasks.load_split(name, tokenizer)
        for name in ("train", "validation", "test")
    }
    model = playground_tasks.build_model(
        tokenizer, settings.steps, preset=settings.encoder
    )
    started = time.perf_counter()
    _fit(model, splits, settings, folder)
    seconds = time.perf_counter() - started

    lines = playground_report.with_baselines(
        playground_report.evaluate(model, splits["test"], tokenizer)
    )
    _write_json(
        folder / "results.json", {"seconds": round(seconds, 1), "rows": lines}
    )
    plot_learning_curves(
        _read_history(folder / "history.csv"),
        folder / "learning_curves.png",
        settings.steps_per_epoch,
    )
    playground_report.draw_gallery(
        model, splits["test"], tokenizer, folder / "retrieval.png"
    )
    pictures = ["learning_curves.png", "retrieval.png"]
    if model.encoder.num_experts:
        inspect_routing(
            model, playground_tasks.test_inputs(splits["test"]), folder
        )
        pictures += ["routing_heatmap.png", "routing_overlay.png"]
    model.save(folder / "model.keras")
    model.encoder.save_to_preset(str(folder / "encoder"))
    console.print(playground_report.table(lines))
    console.print(
        f"Trained {seconds:.0f} s. In {folder}: {', '.join(pictures)}, "
        "results.json, model.keras, encoder/, and logs/ for "
        f"`tensorboard --logdir {folder / 'logs'}`."
    )
    return folder


class _TensorBoard(keras.callbacks.TensorBoard):
    """Keras', which keeps events for minutes before it writes them.

    An epoch that is repeated after a kill writes the same values at the same
    place of the curves.
    """

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        for writer in log_writers(self):
            writer.flush()


def _tokenizer(path: Path) -> Tokenizer:
    """The run's tokenizer; one that goes on reads what it began with."""
    if path.exists():
        return Tokenizer.load(path, playground_tasks.TEXT_LENGTH)
    tokenizer = playground_tasks.train_tokenizer()
    tokenizer.save(path)
    return tokenizer


def _fit(model, splits, settings: Settings, folder: Path) -> None:
    callbacks = [
        ResumableCSVLogger(folder / "history.csv"),
        _TensorBoard(str(folder / "logs")),
        Backup(
            folder / "backup",
            seconds=BACKUP_SECONDS,
            signals=("SIGTERM", "SIGINT"),
        ),
    ]
    if model.encoder.num_experts:
        callbacks.append(RoutingHeatMap(folder / "logs"))
    model.fit(
        playground_tasks.training_mixture(splits["train"], settings.seed),
        validation_data=playground_tasks.evaluation_mixture(
            splits["validation"]
        ),
        epochs=-(-settings.steps // settings.steps_per_epoch),
        steps_per_epoch=settings.steps_per_epoch,
        callbacks=callbacks,
    )


def _new_folder(out: Path | None) -> Path:
    if out is None:
        parent = Path("runs")
        taken = {path.name for path in parent.glob("playground*")}
        names = (f"playground-{i}" for i in range(1, len(taken) + 2))
        out = parent / next(name for name in names if name not in taken)
    elif out.exists() and any(out.iterdir()):
        raise UsageError(
            message(
                "The folder of a new run must be empty.",
                f"Choose another --out, or go on with it: --resume {out}.",
                out=str(out),
            )
        )
    out.mkdir(parents=True, exist_ok=True)
    return out


def _read_settings(folder: Path) -> Settings:
    try:
        saved = json.loads((folder / "config.json").read_text("utf-8"))
        settings = Settings(**saved)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(
            message(
                "The folder must hold a run that was started before, with its "
                "config.json.",
                "Start a new run without --resume.",
                resume=str(folder),
            )
        ) from error
    if settings.backend != keras.config.backend():
        raise UsageError(
            message(
                "A run must go on with the backend that it started with.",
                f"Add --backend {settings.backend}.",
                backend=keras.config.backend(),
            )
        )
    return settings


def _read_history(path: Path) -> dict[str, list[float]]:
    """Columns of the CSV log; an empty cell is NaN."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {
        name: [_number(row[name]) for row in rows]
        for name in (rows[0] if rows else {})
    }


def _number(cell: str) -> float:
    return float(cell) if cell else np.nan


def _write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2) + "\n")
