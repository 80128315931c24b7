"""What the tasks train on, and what they are validated with: `Records`."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from keras_imp.data.augment import Compose, Draws, images, waveforms
from keras_imp.data.preprocessor import IMPPreprocessor
from keras_imp.data.records import Records
from keras_imp.evaluation.own_data.choices import spread
from keras_imp.evaluation.own_data.rows import Part, TaskRows
from keras_imp.training.input.task_mixture import TaskMixture
from keras_imp.training.schedules import Weighted

# Rows that an epoch is validated with.
VALIDATED = 2000


def training_mixture(
    tasks: Mapping[str, TaskRows],
    preprocessor: IMPPreprocessor,
    weights: Mapping[str, float],
    seed: int,
) -> TaskMixture:
    """Shuffled batches of all tasks, cut and varied anew in every pass.

    Args:
        tasks: Rows of all tasks.
        preprocessor: Makes the inputs.
        weights: Fractions of the steps, by task, up to a common factor.
        seed: Seed of the schedule, the order and the augmentation.

    Returns:
        The mixture.
    """
    sources = {
        name: records(
            rows,
            rows.train,
            preprocessor,
            batch_size=rows.batch_size,
            crop=rows.recipe.crop or "inception",
            cache=None if rows.is_cut_at_random else rows.cache,
            augment=augment_of(rows, rows.recipe.augment),
            seed=seed,
        )
        for name, rows in tasks.items()
    }
    return TaskMixture(sources, schedule=Weighted(dict(weights)), seed=seed)


def validation_mixture(
    tasks: Mapping[str, TaskRows], preprocessor: IMPPreprocessor
) -> TaskMixture:
    """Batches of the rows that are held out, once, cut in the middle.

    A contrastive loss depends on the size of the batch, so what does not fill
    one is left out.

    Args:
        tasks: Rows of all tasks.
        preprocessor: Makes the inputs.

    Returns:
        The mixture.
    """
    return TaskMixture.sequential(
        {
            name: records(
                rows,
                some_of(rows.validation, VALIDATED),
                preprocessor,
                batch_size=rows.validation_batch_size,
                cache=rows.cache,
                augment=augment_of(rows, False),
                shuffle=False,
                drop_last=True,
            )
            for name, rows in tasks.items()
        }
    )


def records(
    rows: TaskRows, part: Part, preprocessor: IMPPreprocessor, **options: Any
) -> Records:
    """Batches of some rows of a task.

    Args:
        rows: The task.
        part: The rows.
        preprocessor: Makes the inputs.
        **options: Arguments of `Records`.

    Returns:
        The data.
    """
    return Records(
        part.manifest,
        preprocessor,
        inputs=rows.inputs,
        target=rows.target,
        classes=rows.classes or None,
        quarantine=rows.quarantine.part(part.numbers),
        **options,
    )


def some_of(part: Part, most: int) -> Part:
    """At most some rows of a part, evenly over it.

    Args:
        part: The rows.
        most: How many to take.

    Returns:
        The rows.
    """
    if len(part) <= most:
        return part
    chosen = spread(len(part), most)
    return Part(part.manifest.select(chosen), part.numbers[chosen])


def augment_of(rows: TaskRows, vary: bool) -> Compose | None:
    """What is done to the batches of a task.

    Args:
        rows: The task.
        vary: Whether colors, contrast and loudness vary.

    Returns:
        The functions; None if there is none.
    """
    functions = {
        n: _functions(n, rows.recipe.crop) for n in rows.inputs if n in VARIED
    }
    if not vary:
        functions = {}
    of_batch = []
    if rows.kind == "regression":
        of_batch = [partial(standardize, mean=rows.mean, std=rows.std)]
    return Compose(*of_batch, **functions) if functions or of_batch else None


def _functions(name: str, crop: str | None) -> tuple[Any, ...]:
    """What varies in a modality. Images that no crop moves are moved here."""
    if crop == "center" and name in ("image", "video"):
        return (MOVED, *VARIED[name])
    return VARIED[name]


def standardize(
    batch: tuple, draws: Draws, *, mean: float, std: float
) -> tuple:
    """Bring numbers to predict to a mean of 0 and a standard deviation of 1.

    Args:
        batch: `(x, y)` or `(x, y, sample_weight)`.
        draws: Not used.
        mean: Mean of the numbers in training.
        std: Their standard deviation.

    Returns:
        The batch.
    """
    del draws
    x, y, *rest = batch
    return (x, ((y - mean) / std).astype("float32"), *rest)


def clip_samples(audio: np.ndarray) -> np.ndarray:
    """Samples in [-1, 1], as an encoder takes them.

    Args:
        audio: Float samples.

    Returns:
        The same, clipped.
    """
    return np.clip(audio, -1.0, 1.0)


# A little; what comes in from outside has the color of the edge.
MOVED = partial(images.affine, scale=(0.85, 1.15), shift=0.1, fill="edge")
# Neither mirrored nor turned: a caption may say "left", a label be a digit.
_COLORS = (
    partial(images.mix_colors, strength=0.1),
    partial(images.contrast, strength=0.15),
)
VARIED = {
    "image": _COLORS,
    "video": _COLORS,
    "audio": (partial(waveforms.gain, decibels=6.0), clip_samples),
}
