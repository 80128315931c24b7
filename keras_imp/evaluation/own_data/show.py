"""What was understood of own data, and what is wrong with it, as tables."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from keras_imp.data.decoding.errors import NOTES
from keras_imp.data.manifest import Manifest
from keras_imp.evaluation.own_data.recipe import DataRecipe
from keras_imp.evaluation.own_data.rows import TaskRows
from keras_imp.validation.flags import FLAGS


def recipe_table(
    recipe: DataRecipe, manifests: Mapping[str, Manifest]
) -> Table:
    """The tasks of a recipe: what is learned from what.

    Args:
        recipe: Its tasks have kind and inputs.
        manifests: Rows by task.

    Returns:
        A rich table.
    """
    table = _table("Tasks of one encoder, in turn")
    for name in ("task", "learned", "from"):
        table.add_column(name)
    for name in ("rows", "batch", "of the steps"):
        table.add_column(name, justify="right")
    total = sum(recipe.weights.values())
    for name, task in recipe.tasks.items():
        inputs = [*(task.inputs or ())]
        learned = f"{task.kind}"
        if task.kind == "contrastive":
            learned += ": which ones match"
        _add_row(
            table,
            name,
            learned,
            ", ".join(inputs),
            f"{len(manifests[name]):,}",
            task.batch_size,
            f"{recipe.weights[name] / total:.0%}",
        )
    return table


def sizes_of(recipe: DataRecipe) -> str:
    """The sizes of a recipe, as a sentence."""
    sizes = recipe.sizes
    parts = []
    if sizes.image:
        parts.append(f"images of {_times(sizes.image)} pixels")
    if sizes.video:
        frames, *size = sizes.video
        parts.append(f"videos of {frames} frames of {_times(size)} pixels")
    if sizes.audio_seconds:
        parts.append(f"audio of {sizes.audio_seconds:g} s")
    if sizes.text:
        parts.append(f"texts of {sizes.text} token ids")
    return f"Sizes: {', '.join(parts)}."


def rows_table(tasks: Mapping[str, TaskRows]) -> Table:
    """What became of the rows of all tasks.

    Args:
        tasks: Rows of all tasks.

    Returns:
        A rich table.
    """
    table = _table("Rows")
    table.add_column("task")
    for name in ("rows", "used", "train", "validation", "classes"):
        table.add_column(name, justify="right")
    table.add_column("left out")
    for name, rows in tasks.items():
        _add_row(
            table,
            name,
            f"{rows.scan.rows:,}",
            f"{len(rows.train) + len(rows.validation):,}",
            f"{len(rows.train):,}",
            f"{len(rows.validation):,}",
            len(rows.classes) or "",
            reasons_of(rows),
        )
    return table


def reasons_of(rows: TaskRows) -> str:
    """Why rows of a task were left out, with numbers."""
    found = {**rows.scan.incomplete, **rows.scan.reasons}
    return ", ".join(f"{number:,} {why}" for why, number in found.items())


def told_of(rows: TaskRows) -> list[str]:
    """Sentences on the rows of a task: splits, warnings, the first bad rows.

    Args:
        rows: The task.

    Returns:
        The sentences.
    """
    name, scan = rows.name, rows.scan
    told = [f"Task {name!r}: {rows.split}"]
    told += [f"Task {name!r}, left out: {line}" for line in scan.first]
    told += [
        f"Task {name!r}: {number:,} of {scan.decoded:,} decoded rows are "
        f"{word!r}: {NOTES[word]}"
        for word, number in scan.notes.items()
    ]
    for flag, (number, lines) in scan.alike.items():
        told.append(
            f"Task {name!r}: {number:,} of {scan.decoded:,} decoded rows are "
            f"{flag!r}: {FLAGS[flag][1]} {'; '.join(lines)}."
        )
    told += [f"Task {name!r}: {line}" for line in scan.elsewhere]
    if rows.batch_size < rows.recipe.batch_size:
        told.append(
            f"Task {name!r}: fewer rows to train on than a batch of "
            f"{rows.recipe.batch_size}, so batches have {rows.batch_size}."
        )
    if rows.cache is not None and rows.is_cut_at_random:
        told.append(
            f"Task {name!r}: a random part of each image is another one in "
            "each pass, so only validation is cached. crop = 'center' in the "
            "recipe caches all."
        )
    smaller = rows.validation_batch_size < rows.batch_size
    if rows.kind == "contrastive" and smaller:
        told.append(
            f"Task {name!r}: its validation loss is of batches of "
            f"{rows.validation_batch_size}, so it is lower than that of "
            f"training, of batches of {rows.batch_size}."
        )
    return told


def _times(size: Any) -> str:
    return " x ".join(map(str, size))


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left")


def _add_row(table: Table, *cells: Any) -> None:
    # As text: in markup, brackets in a name would be lost.
    table.add_row(*(Text(str(cell)) for cell in cells))
