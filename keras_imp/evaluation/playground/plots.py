"""Plots of a run: how it learned, and what its model does with test data."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_imp.data import Tokenizer
from keras_imp.evaluation import (
    chance_losses,
    inspect_routing,
    plot_confusion,
    plot_learning_curves,
    plot_retrieval,
    same_text,
)
from keras_imp.evaluation.playground.measures import Subject, classified
from keras_imp.evaluation.playground.recipe import Recipe
from keras_imp.evaluation.playground.splits import Split
from keras_imp.evaluation.playground.tasks import (
    evaluated_captions,
    test_inputs,
)
from keras_imp.evaluation.run_folder import read_history
from keras_imp.training.alternating_model import AlternatingModel

GALLERY_QUERIES = 8


class About(NamedTuple):
    """What to say of a plot.

    Attributes:
        summary: A few words.
        section: Heading of its section on the page.
        caption: What is to be seen.
    """

    summary: str
    section: str
    caption: str


# By file, in the order of the page.
PLOTS = {
    "learning_curves.png": About(
        "losses by step, and chance",
        "Learning",
        "Loss of each task in training and validation. The dashed line is the "
        "loss of guessing: ln(classes), or ln(examples of a batch) for a "
        "contrastive task, whose batches have one size in training and "
        "validation. Captions that match several examples of a batch make it "
        "lower.",
    ),
    "retrieval.png": About(
        "captions and the images found for them",
        "Retrieval",
        "Captions of the test split, and the test images nearest to each. A "
        "right answer has a frame and a check mark.",
    ),
    "objects_confusion.png": About(
        "which images are taken for which",
        "Classes",
        "Fashion-MNIST classes of the test split (rows), and what they are "
        "taken for (columns). The one found best is first.",
    ),
    "sounds_confusion.png": About(
        "which instruments are taken for which",
        "Classes",
        "Instrument families of the test split (rows), and what they are taken "
        "for (columns). The one found best is first.",
    ),
    "routing_heatmap.png": About(
        "which expert takes which modality",
        "Experts",
        "Fraction of each modality's gates that an expert has, times the "
        "number of experts: 1 is an equal load.",
    ),
    "routing_overlay.png": About(
        "which expert takes which token",
        "Experts",
        "The expert with the highest gate of each patch; dark: no expert.",
    ),
}


def draw_plots(
    model: AlternatingModel,
    test: Split,
    tokenizer: Tokenizer,
    folder: Path,
    steps_per_epoch: int,
    recipe: Recipe,
) -> list[str]:
    """Draw all plots of a run into its folder.

    Args:
        model: The trained model.
        test: The test split.
        tokenizer: The one it was trained with.
        folder: Folder of the run, with its `history.csv`.
        steps_per_epoch: Steps of a row of the history.
        recipe: How the model was trained.

    Returns:
        The names of the files that were drawn, of `PLOTS`.
    """
    plot_learning_curves(
        read_history(folder / "history.csv"),
        folder / "learning_curves.png",
        steps_per_epoch,
        chance_losses(model, recipe.batch_sizes),
    )
    subject = Subject(model, test, tokenizer)
    draw_gallery(subject, folder / "retrieval.png")
    draw_confusion(subject, "objects", folder / "objects_confusion.png")
    draw_confusion(subject, "sounds/families", folder / "sounds_confusion.png")
    is_sparse = bool(model.encoder.num_experts)
    if is_sparse:
        inspect_routing(model, test_inputs(test, tokenizer), folder)
    return [
        name
        for name, about in PLOTS.items()
        if is_sparse or about.section != "Experts"
    ]


def draw_gallery(subject: Subject, path: Path) -> None:
    """Draw some test captions with the nearest test images under each.

    Args:
        subject: The trained model, and the test split.
        path: PNG to write.
    """
    emoji = subject.split.source.emoji
    captions = evaluated_captions("emoji", emoji.captions)
    # Evenly over the test split, which is ordered by category.
    chosen = np.linspace(0, len(captions) - 1, GALLERY_QUERIES).astype(int)
    queries = [captions[i] for i in chosen]
    images, texts = subject.emoji_vectors()
    plot_retrieval(
        queries,
        emoji.images,
        texts[chosen] @ images.T,
        same_text(queries, captions),
        path,
    )


def draw_confusion(subject: Subject, objective: str, path: Path) -> None:
    """Draw which classes a model takes for which.

    Args:
        subject: The trained model, and the test split.
        objective: `"objects"` or `"sounds/families"`.
        path: PNG to write.
    """
    labels, predicted, names = classified(subject, objective)
    plot_confusion(labels, predicted, names, path)
