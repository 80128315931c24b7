"""Rows of another data set, for the tasks that a run has learned."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from keras_imp._errors import message
from keras_imp.data.manifest import Manifest
from keras_imp.data.manifest.numbers import as_number
from keras_imp.data.reading.matching import nearest
from keras_imp.data.records import Quarantine
from keras_imp.data.records.targets import targets_of
from keras_imp.evaluation.own_data.finished_run import NUMBERS, FinishedRun
from keras_imp.evaluation.own_data.inference import RowsOfTasks, infer
from keras_imp.evaluation.own_data.look import Look, look_at
from keras_imp.evaluation.own_data.recipe import (
    DataRecipe,
    RecipeError,
    TaskRecipe,
)
from keras_imp.evaluation.own_data.rows import (
    Limits,
    Part,
    TaskRows,
    scan_rows,
    usable_rows,
)
from keras_imp.evaluation.run_folder import RunError

# Labels that a message names.
NAMED = 5


def rows_of_other_data(
    run: FinishedRun,
    data: Path,
    columns: Mapping[str, str],
    limits: Limits,
) -> tuple[dict[str, TaskRows], list[str]]:
    """The rows of a data set that tasks of a run can be evaluated on.

    Args:
        run: The run.
        data: A table, a folder or an archive.
        columns: Names in it by column, where neither the run's nor the aliases
            say.
        limits: How many files may be bad.

    Returns:
        The rows by task, all of them as `validation`; and sentences on tasks
        that were left out.

    Raises:
        RecipeError: If no task has its columns there.
        ReadError: If the data cannot be read.
        RunError: If there are too many bad files, no row is left, or a label
            was not learned.
    """
    rows_of = RowsOfTasks()
    tasks: dict[str, tuple[TaskRecipe, Manifest]] = {}
    refused: dict[str, ValueError] = {}
    for name, task in run.recipe.tasks.items():
        task = dataclasses.replace(
            task,
            data=str(data.resolve()),
            root=None,
            columns={**task.columns, **columns},
        )
        manifest = rows_of(task)
        try:
            infer(DataRecipe(tasks={name: task}), {name: manifest})
            _check_kind(name, task, manifest, run.classes.get(name, []))
        except (RecipeError, RunError) as error:
            refused[name] = error
        else:
            tasks[name] = task, manifest
    if not tasks:
        raise next(iter(refused.values()))
    looks = {
        id(manifest): look_at(manifest, limits.scanned)
        for manifest in {id(m): m for _, m in tasks.values()}.values()
    }
    found = {
        name: _rows(run, name, task, manifest, looks[id(manifest)], limits)
        for name, (task, manifest) in tasks.items()
    }
    return found, [
        f"Task {name!r} is left out. {error}" for name, error in refused.items()
    ]


def _rows(
    run: FinishedRun,
    name: str,
    task: TaskRecipe,
    manifest: Manifest,
    look: Look,
    limits: Limits,
) -> TaskRows:
    quarantine = Quarantine(
        len(manifest), None, limits.max_bad, limits.strict, task=name
    )
    scan = scan_rows(name, task, manifest, look, quarantine)
    usable = usable_rows(name, task, manifest, scan)
    part = Part(manifest.select(usable), usable)
    classes = tuple(run.classes.get(name, ()))
    check_labels(name, task, part.manifest, classes)
    numbers = {"mean": 0.0, "std": 1.0}
    if task.kind == "regression":
        numbers = numbers_of(run, name)
    return TaskRows(
        name,
        task,
        scan,
        # None is trained on.
        train=part,
        validation=part,
        split="all rows are evaluated.",
        quarantine=quarantine,
        classes=classes,
        mean=numbers["mean"],
        std=numbers["std"],
    )


def _check_kind(
    name: str, task: TaskRecipe, manifest: Manifest, classes: Sequence[str]
) -> None:
    """Raise if the labels are of another kind: of another task, say."""
    if task.kind == "contrastive":
        return
    labels = list(manifest.values("label"))
    if task.kind != "regression":
        if not {*labels} & {*classes}:
            _refuse_labels(name, Counter(labels), classes)
        return
    if all(as_number(label) is None for label in labels):
        raise RunError(
            message(
                f"Task {name!r} predicts numbers, and no label is one.",
                "Name another column: --column label=NAME.",
                labels=list(dict.fromkeys(labels))[:NAMED],
            )
        )


def check_labels(
    name: str, task: TaskRecipe, manifest: Manifest, classes: tuple[str, ...]
) -> None:
    """Raise if a label is none that can be right.

    Args:
        name: Name of the task.
        task: The task.
        manifest: Its rows.
        classes: Names of the classes that it has learned.

    Raises:
        RunError: If a label is no number, or none of the classes.
    """
    if task.kind == "contrastive":
        return
    if task.kind == "regression":
        try:
            targets_of(manifest, "number")
        except ValueError as error:
            raise RunError(f"Task {name!r}: {error}") from error
        return
    known = {*classes}
    unseen = Counter(
        label
        for row in range(len(manifest))
        for label in manifest.texts_of(row, "label")
        if label not in known
    )
    if unseen:
        _refuse_labels(name, unseen, classes)


def _refuse_labels(
    name: str, unseen: Counter[str], classes: Sequence[str]
) -> NoReturn:
    most = dict(unseen.most_common(NAMED))
    raise RunError(
        message(
            f"Task {name!r} can be evaluated on the classes only that it has "
            "learned.",
            nearest(next(iter(most), ""), classes)
            + " Correct the labels, or leave their rows out.",
            labels=most,
            others=len(unseen) - len(most),
            rows=sum(unseen.values()),
        )
    )


def numbers_of(run: FinishedRun, name: str) -> dict[str, float]:
    """Mean and standard deviation of the numbers that a run has learned.

    Args:
        run: The run.
        name: Name of the task.

    Returns:
        `"mean"` and `"std"`.

    Raises:
        RunError: If the run has none.
    """
    if name not in run.numbers:
        raise RunError(
            message(
                f"The run must have {NUMBERS}: the mean and the spread of "
                "the numbers that it learned.",
                f"Write it: keras-imp train --resume {run.folder}",
                task=name,
            )
        )
    return run.numbers[name]
