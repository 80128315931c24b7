"""Reports of a finished run: on its rows held out, or on other data."""

import dataclasses
from collections.abc import Callable, Mapping
from itertools import permutations
from typing import Any

import numpy as np

from keras_imp.data.preprocessor import IMPPreprocessor
from keras_imp.data.records import TooManyBadFilesError
from keras_imp.data.records.targets import targets_of
from keras_imp.evaluation.classified import report_of_classes
from keras_imp.evaluation.intervals import Estimate, bootstrap, fraction
from keras_imp.evaluation.own_data import scores, show
from keras_imp.evaluation.own_data.examples import read_examples
from keras_imp.evaluation.own_data.finished_run import FinishedRun
from keras_imp.evaluation.own_data.inference import RowsOfTasks
from keras_imp.evaluation.own_data.measures import (
    MEASURED,
    answers,
    contents_of,
    predict,
)
from keras_imp.evaluation.own_data.other_data import check_labels, numbers_of
from keras_imp.evaluation.own_data.rows import Limits, TaskRows, fix_rows
from keras_imp.evaluation.own_data.run import understand
from keras_imp.evaluation.report import Report
from keras_imp.evaluation.retrieval import chance_recall, ranks_of
from keras_imp.evaluation.retrieval_report import KS
from keras_imp.evaluation.run_folder import RunError
from keras_imp.training.alternating_model import AlternatingModel

# Draws of a figure that is costly to compute.
DRAWS = 200


def rows_held_out(run: FinishedRun, limits: Limits) -> dict[str, TaskRows]:
    """The rows that a run was validated on.

    Args:
        run: The run.
        limits: How many files may be bad.

    Returns:
        The rows by task.

    Raises:
        RecipeError: If the data has changed so that a task lacks columns.
        ReadError: If the data cannot be read.
        RunError: If there are too many bad files, or if rows or labels are not
            those of the run.
    """
    recipe, manifests = understand(run.recipe, RowsOfTasks())
    fixed = fix_rows(recipe, manifests, run.folder, limits)
    return {name: _as_learned(run, rows) for name, rows in fixed.items()}


def _as_learned(run: FinishedRun, rows: TaskRows) -> TaskRows:
    """The same with the classes or the numbers that the model has learned.

    The data may have been edited since.
    """
    if rows.kind == "regression":
        numbers = numbers_of(run, rows.name)
        return dataclasses.replace(
            rows, mean=numbers["mean"], std=numbers["std"]
        )
    if rows.kind == "contrastive":
        return rows
    classes = tuple(run.classes.get(rows.name, rows.classes))
    check_labels(rows.name, rows.recipe, rows.validation.manifest, classes)
    return dataclasses.replace(rows, classes=classes)


def evaluate_rows(
    model: AlternatingModel,
    rows: TaskRows,
    preprocessor: IMPPreprocessor,
    most: int = MEASURED,
) -> tuple[Report, list[str]]:
    """Measure a task on its rows of `validation`.

    Args:
        model: The model.
        rows: The task.
        preprocessor: Makes the inputs.
        most: How many rows to measure with, evenly over all.

    Returns:
        The report, and sentences on what was left out.

    Raises:
        RunError: If there are too many bad files.
    """
    try:
        examples = read_examples(rows, rows.validation, preprocessor, most)
    except TooManyBadFilesError as error:
        raise RunError(f"Task {rows.name!r}: {error}") from error
    targets = targets_of(
        examples.part.manifest, rows.target, rows.classes or None
    )
    predicted = predict(model, rows.name, examples.x)
    if rows.kind == "contrastive":
        report = _search(rows, contents_of(examples), predicted, targets)
    else:
        report = REPORTS[rows.kind](rows, predicted, targets)
    return report, _told(rows, len(examples), targets)


def _classes(rows: TaskRows, predicted: Any, targets: np.ndarray) -> Report:
    return report_of_classes(rows.name, predicted, targets, list(rows.classes))


def _labels(rows: TaskRows, predicted: Any, targets: np.ndarray) -> Report:
    # Rows that are drawn twice raise precision: only the spread is used.
    found = _drawn(scores.mean_precision, predicted, targets, centered=True)
    value = Estimate(found.value, max(0.0, found.low), min(1.0, found.high))
    name = "mean average precision"
    chance = float(targets[:, targets.any(axis=0)].mean())
    return Report(rows.name, {name: value}, len(targets), {name: chance})


def _numbers(rows: TaskRows, predicted: Any, targets: np.ndarray) -> Report:
    # The head predicts standardized numbers.
    predicted = predicted * rows.std + rows.mean
    values = {
        "R2": _drawn(scores.explained, predicted, targets),
        "mean absolute error": _drawn(_absolute_error, predicted, targets),
    }
    chance = {
        "R2": 0.0,
        "mean absolute error": _absolute_error(
            np.full_like(targets, rows.mean), targets
        ),
    }
    return Report(rows.name, values, len(targets), chance)


REPORTS: Mapping[str, Callable[[TaskRows, Any, np.ndarray], Report]] = {
    "classification": _classes,
    "multi-label": _labels,
    "regression": _numbers,
}


def _search(
    rows: TaskRows,
    contents: dict[str, np.ndarray],
    predicted: dict[str, np.ndarray],
    targets: np.ndarray,
) -> Report:
    """The recall of a search in each direction."""
    values: dict[str, Estimate] = {}
    chance: dict[str, float] = {}
    for source, target in permutations(rows.inputs, 2):
        items, matches = answers(targets, contents[source], contents[target])
        similarities = (
            predicted[f"{source}_to_{target}"]
            @ predicted[f"{target}_to_{source}"][items].T
        )
        ranks = ranks_of(similarities, matches)
        # Rows that have one content, or match, are drawn together: those of the
        # larger groups, since all that are linked by both may be one group.
        groups = min(
            (contents[source], targets), key=lambda ids: len(np.unique(ids))
        )
        for k in KS:
            name = f"{source} to {target}, R@{k}"
            values[name] = fraction(ranks <= k, groups)
            chance[name] = chance_recall(matches.sum(axis=1), len(items), k)
    return Report(rows.name, values, len(targets), chance)


def _drawn(
    score: Callable[[np.ndarray, np.ndarray], float],
    predicted: np.ndarray,
    targets: np.ndarray,
    centered: bool = False,
) -> Estimate:
    """A score of all rows, with an interval from drawing them anew."""
    numbers = np.arange(len(targets))

    def of(weights: np.ndarray) -> np.ndarray:
        chosen = (np.repeat(numbers, each) for each in weights)
        return np.array([score(predicted[c], targets[c]) for c in chosen])

    return bootstrap(of, len(targets), DRAWS, centered=centered)


def _absolute_error(predicted: np.ndarray, targets: np.ndarray) -> float:
    return float(np.abs(predicted - targets).mean())


def _told(rows: TaskRows, measured: int, targets: np.ndarray) -> list[str]:
    """What a person should know of the rows behind the figures."""
    name = rows.name
    told = [f"Task {name!r}, left out: {line}" for line in rows.scan.first]
    later = [x for x in rows.quarantine.first(3) if x not in rows.scan.first]
    told += [f"Task {name!r}, left out: {line}" for line in later]
    reasons = show.reasons_of(rows)
    if reasons:
        told.append(
            f"Task {name!r}: of {rows.scan.rows:,} rows were left out: "
            f"{reasons}."
        )
    if measured < len(rows.validation):
        told.append(
            f"Task {name!r}: measured on {measured:,} of "
            f"{len(rows.validation):,} rows, evenly over all."
        )
    if rows.kind in ("classification", "multi-label"):
        there = np.unique(targets)
        if rows.kind == "multi-label":
            there = np.flatnonzero(targets.any(axis=0))
        missing = [c for i, c in enumerate(rows.classes) if i not in there]
        if missing:
            shown = ", ".join(map(repr, missing[:5]))
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            told.append(
                f"Task {name!r}: no row has the class {shown}{more}: its "
                "recall is not known."
            )
    return told
