"""Plots of a run on own data: how it learned, what it finds and confuses."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_imp.evaluation import (
    chance_losses,
    inspect_routing,
    plot_confusion,
    plot_learning_curves,
    plot_retrieval,
)
from keras_imp.evaluation.own_data.measures import Measured, matching
from keras_imp.evaluation.own_data.rows import TaskRows
from keras_imp.evaluation.run_folder import read_history
from keras_imp.training.alternating_model import AlternatingModel

QUERIES = 8
# Images that a gallery is searched in, and classes of a confusion matrix.
ITEMS, CLASSES = 1000, 30
OTHERS = "other classes"
# Examples of each modality that the routing is looked at with.
ROUTED = 64


class Plot(NamedTuple):
    """A plot in the folder of a run.

    Attributes:
        file: Its name.
        summary: A few words.
        section: Heading of its section on the page.
        caption: What is to be seen.
    """

    file: str
    summary: str
    section: str
    caption: str


def draw_plots(
    model: AlternatingModel,
    tasks: Mapping[str, TaskRows],
    measured: Mapping[str, Measured],
    folder: Path,
    steps_per_epoch: int,
) -> list[Plot]:
    """Draw all plots of a run into its folder.

    Args:
        model: The trained model.
        tasks: Rows of all tasks.
        measured: What it does with those that are held out, by task.
        folder: Folder of the run, with its `history.csv`.
        steps_per_epoch: Steps of a row of the history.

    Returns:
        The plots that were drawn.
    """
    plots = [_draw_curves(model, tasks, folder, steps_per_epoch)]
    for name, rows in tasks.items():
        if rows.kind == "classification":
            plots.append(_draw_confusion(rows, measured[name], folder))
        image = next((n for n in ("image", "video") if n in rows.inputs), None)
        if rows.kind == "contrastive" and image and "text" in rows.inputs:
            plots.append(_draw_gallery(rows, image, measured[name], folder))
    if model.encoder.num_experts:
        plots += _draw_routing(model, measured.values(), folder)
    return plots


def _draw_curves(
    model: AlternatingModel,
    tasks: Mapping[str, TaskRows],
    folder: Path,
    steps_per_epoch: int,
) -> Plot:
    plot = Plot(
        "learning_curves.png",
        "losses by step, and chance",
        "Learning",
        "Loss of each task in training and validation. The dashed line is the "
        "loss of guessing: ln(classes), or ln(rows of a batch) for a "
        "contrastive task.",
    )
    chance = chance_losses(
        model,
        {name: rows.batch_size for name, rows in tasks.items()},
        {name: rows.validation_batch_size for name, rows in tasks.items()},
    )
    history = read_history(folder / "history.csv")
    plot_learning_curves(history, folder / plot.file, steps_per_epoch, chance)
    return plot


def _draw_gallery(
    rows: TaskRows, image: str, measured: Measured, folder: Path
) -> Plot:
    plot = Plot(
        f"retrieval_{rows.name}.png",
        f"texts and the {image}s found for them",
        "Retrieval",
        f"Task {rows.name!r}: some texts that are held out, and the nearest "
        f"{image}s that are held out. A right answer has a frame and a check "
        "mark.",
    )
    texts = measured.examples.texts()[:ITEMS]
    images = measured.examples.x[image][:ITEMS]
    if image == "video":
        images = images[:, images.shape[1] // 2]
    found = measured.predicted
    chosen = np.linspace(0, len(texts) - 1, min(len(texts), QUERIES))
    chosen = np.unique(chosen.astype(int))
    similarities = (
        found[f"text_to_{image}"][chosen] @ found[f"{image}_to_text"][:ITEMS].T
    )
    plot_retrieval(
        [texts[row] for row in chosen],
        images,
        similarities,
        matching(measured.targets[:ITEMS], texts)[chosen],
        folder / plot.file,
    )
    return plot


def _draw_confusion(rows: TaskRows, measured: Measured, folder: Path) -> Plot:
    plot = Plot(
        f"confusion_{rows.name}.png",
        "which classes are taken for which",
        "Classes",
        f"Task {rows.name!r}: classes of the rows that are held out, and what "
        "they are taken for (columns). The one found best is first.",
    )
    names = [*rows.classes]
    labels, predicted = measured.targets, measured.predicted.argmax(axis=1)
    if len(names) > CLASSES:
        labels, predicted, names = _most_frequent(labels, predicted, names)
        plot = plot._replace(
            caption=f"{plot.caption} The {CLASSES} most frequent classes."
        )
    plot_confusion(labels, predicted, names, folder / plot.file)
    return plot


def _most_frequent(
    labels: np.ndarray, predicted: np.ndarray, names: list[str]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The rows of the most frequent classes; all others are one class."""
    counts = np.bincount(labels, minlength=len(names))
    kept = np.argsort(-counts, kind="stable")[:CLASSES]
    place = np.full(len(names), CLASSES)
    place[kept] = np.arange(CLASSES)
    shown = np.isin(labels, kept)
    return (
        place[labels[shown]],
        place[predicted[shown]],
        [*(names[index] for index in kept), OTHERS],
    )


def _draw_routing(
    model: AlternatingModel, measured: Iterable[Measured], folder: Path
) -> list[Plot]:
    inputs: dict[str, np.ndarray] = {}
    for each in measured:
        for name, values in each.examples.x.items():
            inputs.setdefault(name, values[:ROUTED])
    inspect_routing(model, inputs, folder)
    plots = [
        Plot(
            "routing_heatmap.png",
            "which expert takes which modality",
            "Experts",
            "Fraction of each modality's gates that an expert has, times the "
            "number of experts: 1 is an equal load.",
        ),
        Plot(
            "routing_overlay.png",
            "which expert takes which token",
            "Experts",
            "The expert with the highest gate of each patch; dark: no expert.",
        ),
    ]
    return [plot for plot in plots if (folder / plot.file).exists()]
