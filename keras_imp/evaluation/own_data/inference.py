"""What to learn from data, told from its columns: tasks of a recipe."""

import dataclasses
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from keras_imp._errors import message
from keras_imp.data import read
from keras_imp.data.manifest import Manifest
from keras_imp.data.manifest.numbers import are_targets, as_number
from keras_imp.data.reading.aliases import MEDIA
from keras_imp.data.reading.matching import nearest
from keras_imp.evaluation.own_data.recipe import (
    DataRecipe,
    RecipeError,
    TaskRecipe,
)

# Names of tables that say nothing about what is in them.
TABLES = {"annotations", "captions", "data", "index", "labels", "metadata"}
TABLES |= {"rows", "table", "train"}


class RowsOfTasks:
    """Reads the rows of tasks; those of one data set once for all its tasks.

    Call arguments:
        task: Recipe of the task.

    Returns:
        A manifest.

    Raises:
        ReadError: If the data cannot be read.
    """

    def __init__(self) -> None:
        self._read: dict[Any, Manifest] = {}

    def __call__(self, task: TaskRecipe) -> Manifest:
        columns = {to: name or None for to, name in task.columns.items()}
        key = (task.data, task.root, task.label_separator, *columns.items())
        if key not in self._read:
            self._read[key] = read(
                task.data,
                root=task.root,
                columns=columns or None,
                label_separator=task.label_separator,
            )
        return self._read[key]


class Guess(NamedTuple):
    """A task that data can be used for.

    Attributes:
        kind: As in a `TaskRecipe`.
        inputs: Modalities.
    """

    kind: str
    inputs: tuple[str, ...]


def add_paths(
    recipe: DataRecipe,
    paths: Sequence[Path],
    columns: Mapping[str, str],
    rows_of: RowsOfTasks,
) -> DataRecipe:
    """A recipe with all tasks that some data can be used for.

    Args:
        recipe: With other choices, and maybe other tasks.
        paths: A table, a folder or an archive each.
        columns: Names in the tables by column, where the aliases do not say.
        rows_of: Reads the data.

    Returns:
        The recipe, with a task or more for each path.

    Raises:
        RecipeError: If there is nothing to learn from the data.
        ReadError: If it cannot be read.
    """
    tasks = dict(recipe.tasks)
    for path in paths:
        task = TaskRecipe(str(path.resolve()), columns=dict(columns))
        found = guesses(rows_of(task), str(path))
        for guess in found:
            name = _new_name(path, guess if len(found) > 1 else None, tasks)
            tasks[name] = dataclasses.replace(
                task, kind=guess.kind, inputs=guess.inputs
            )
    return dataclasses.replace(recipe, tasks=tasks)


def infer(recipe: DataRecipe, manifests: Mapping[str, Manifest]) -> DataRecipe:
    """A recipe whose tasks all say what they learn, and how often.

    Args:
        recipe: The recipe.
        manifests: Rows by task.

    Returns:
        The recipe, with kind, inputs and weight of each task.

    Raises:
        RecipeError: If a task cannot be learned from its columns.
    """
    tasks = {}
    for name, task in recipe.tasks.items():
        manifest = manifests[name]
        guess = _guess(name, task, manifest)
        tasks[name] = dataclasses.replace(
            task,
            kind=guess.kind,
            inputs=guess.inputs,
            # Between equal fractions and fractions by size.
            weight=task.weight or round(math.sqrt(len(manifest)), 1),
        )
    return dataclasses.replace(recipe, tasks=tasks)


def guesses(manifest: Manifest, data: str) -> list[Guess]:
    """All that data can be used for.

    Args:
        manifest: Its rows.
        data: How messages name it.

    Returns:
        Contrastive first, if there are two of image, video, audio and text;
        then what the label is for.

    Raises:
        RecipeError: If there is nothing to learn.
    """
    media = [name for name in MEDIA if name in manifest.columns]
    contents = [n for n in (*MEDIA, "text") if n in manifest.columns]
    found = []
    if len(contents) > 1:
        found.append(Guess("contrastive", tuple(contents)))
    if "label" in manifest.columns:
        kind = kind_of_label(manifest)
        found.append(Guess(kind, ((*media, "text")[0],)))
    if contents == ["video"] and not found:
        # A video may have audio of its own.
        found.append(Guess("contrastive", ("video", "audio")))
    if not found:
        raise RecipeError(
            message(
                "Data must have two of image, video, audio, text and label: "
                "what goes in, and what is to be learned from it.",
                "Name the column that is not known: --column label=NAME, or "
                "[tasks.NAME.columns] in a recipe.",
                data=data,
                columns=list(manifest.columns),
            )
        )
    return found


def kind_of_label(manifest: Manifest) -> str:
    """What the column `label` is: one class, several classes, a number.

    Args:
        manifest: The rows.

    Returns:
        A kind of a `TaskRecipe`.
    """
    column = manifest.column("label")
    rows = [value for value in column if value is not None]
    if any(not isinstance(value, str) for value in rows):
        several = any(len(value) != 1 for value in rows)
        return "multi-label" if several else "classification"
    distinct = set(rows)
    numbers = [n for n in map(as_number, distinct) if n is not None]
    is_number = len(numbers) == len(distinct) and are_targets(
        numbers, len(rows)
    )
    return "regression" if is_number else "classification"


def _guess(name: str, task: TaskRecipe, manifest: Manifest) -> Guess:
    """What a task learns: what its recipe says, the rest inferred."""
    if task.kind is None:
        found = guesses(manifest, task.data)
        fitting = [g for g in found if task.inputs in (None, g.inputs)]
        guess = (fitting or found)[0]
    elif task.kind == "contrastive":
        contents = [n for n in (*MEDIA, "text") if n in manifest.columns]
        guess = Guess(task.kind, tuple(contents))
    else:
        media = [n for n in (*MEDIA, "text") if n in manifest.columns]
        guess = Guess(task.kind, tuple(media[:1]))
    guess = guess._replace(inputs=task.inputs or guess.inputs)
    _check(name, guess, manifest)
    return guess


def _check(name: str, guess: Guess, manifest: Manifest) -> None:
    """Raise unless the data has the columns that a task needs."""
    there = {*manifest.columns}
    if "video" in there:
        there.add("audio")
    needed = [*guess.inputs]
    is_contrastive = guess.kind == "contrastive"
    if not is_contrastive:
        needed.append("label")
    missing = [column for column in needed if column not in there]
    if missing:
        raise RecipeError(
            message(
                f"Task {name!r} needs columns that its data does not have.",
                nearest(missing[0], manifest.columns)
                + f" Name it in [tasks.{name}.columns].",
                missing=missing,
                kind=guess.kind,
            )
        )
    if is_contrastive != (len(guess.inputs) > 1):
        raise RecipeError(
            message(
                "A contrastive task has two inputs or more, any other has one.",
                task=name,
                kind=guess.kind,
                inputs=list(guess.inputs),
            )
        )


def _new_name(
    path: Path, guess: Guess | None, taken: Mapping[str, object]
) -> str:
    """A name for a task, after its data."""
    path = path.resolve()
    # Such a table says what is in its folder.
    called = path.parent.name if path.stem.lower() in TABLES else path.stem
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", called).strip("_-")
    name = stem or "data"
    if guess is not None:
        name += "_" + ("pairs" if guess.kind == "contrastive" else "labels")
    return next(each for each in _numbered(name) if each not in taken)


def _numbered(name: str) -> Iterator[str]:
    yield name
    for number in itertools.count(2):
        yield f"{name}_{number}"
