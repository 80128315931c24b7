"""What a model is measured by on the rows that are held out, by task."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from keras_imp.data.manifest import groups
from keras_imp.data.preprocessor import IMPPreprocessor
from keras_imp.data.records.targets import targets_of
from keras_imp.evaluation.own_data import scores
from keras_imp.evaluation.own_data.examples import Examples, read_examples
from keras_imp.evaluation.own_data.features import read_features
from keras_imp.evaluation.own_data.linear import Ridge, fit_best
from keras_imp.evaluation.own_data.rows import TaskRows
from keras_imp.evaluation.own_data.sources import some_of
from keras_imp.evaluation.parts import predict_part
from keras_imp.evaluation.retrieval import chance_recall
from keras_imp.training.alternating_model import AlternatingModel

# Rows that a model is measured with, and that linear models are fitted on.
MEASURED, FITTED = 2000, 4000
BATCH_SIZE = 64
# Fraction of the groups that choose the strength of a linear model.
CHOOSING = 0.2


class Measured(NamedTuple):
    """What a model does with the rows of a task that are held out.

    Attributes:
        lines: Of the table of results.
        examples: The rows.
        targets: As `Records` gives them, one entry per row.
        predicted: What the task predicts for them.
    """

    lines: list[dict[str, Any]]
    examples: Examples
    targets: np.ndarray
    predicted: Any


class _Features(NamedTuple):
    """Features and targets of rows to fit on, and of rows to measure with."""

    x: dict[str, np.ndarray]
    targets: np.ndarray
    test_x: dict[str, np.ndarray]
    test_targets: np.ndarray
    held_out: np.ndarray
    # Texts of both, where there are any: equal texts answer each other.
    texts: list[str] | None
    test_texts: list[str] | None


def measure(
    model: AlternatingModel, rows: TaskRows, preprocessor: IMPPreprocessor
) -> Measured:
    """Measure what a model has learned of a task, beside a linear model.

    Args:
        model: The trained model.
        rows: The task.
        preprocessor: Makes the inputs.

    Returns:
        Scores, and what they are of.
    """
    examples = read_examples(rows, rows.validation, preprocessor, MEASURED)
    targets = _targets(rows, examples)
    predicted = predict(model, rows.name, examples.x)
    features = _read(rows, examples, preprocessor)
    score = _contrastive if rows.kind == "contrastive" else _labeled
    lines = [
        {
            "task": rows.name,
            "what": what,
            "chance": round(chance, 4),
            "linear": round(linear, 4),
            "keras_imp": round(value, 4),
            "examples": len(examples),
        }
        for what, chance, linear, value in score(
            rows, features, predicted, targets
        )
    ]
    return Measured(lines, examples, targets, predicted)


def predict(
    model: AlternatingModel, name: str, x: dict[str, np.ndarray]
) -> Any:
    """What a model predicts for a task, in batches of one size.

    Args:
        model: The model.
        name: Name of the task.
        x: Inputs by modality.

    Returns:
        Logits or numbers, or vectors by direction.
    """
    rows = len(next(iter(x.values())))
    # A batch of another size would be compiled for itself.
    missing = -rows % BATCH_SIZE
    padded = {
        modality: np.concatenate([values, np.repeat(values[-1:], missing, 0)])
        for modality, values in x.items()
    }
    found = predict_part(model, name, padded, BATCH_SIZE)
    if isinstance(found, dict):
        return {direction: each[:rows] for direction, each in found.items()}
    return found[:rows]


def _read(
    rows: TaskRows, examples: Examples, preprocessor: IMPPreprocessor
) -> _Features:
    train = some_of(rows.train, FITTED)
    (fitted, x), (tested, test_x) = read_features(
        rows, [train, examples.part], preprocessor, FITTED
    )
    has_text = "text" in rows.inputs
    return _Features(
        x,
        _targets(rows, fitted),
        test_x,
        _targets(rows, tested),
        _choosing(fitted),
        fitted.texts() if has_text else None,
        tested.texts() if has_text else None,
    )


def _targets(rows: TaskRows, examples: Examples) -> np.ndarray:
    return targets_of(examples.part.manifest, rows.target, rows.classes or None)


def _choosing(examples: Examples) -> np.ndarray:
    """Rows of some groups; of few groups, every fifth row."""
    hashes = groups.hashes(examples.part.manifest, salt="linear")
    chosen = hashes < np.uint64(int(CHOOSING * 2**64))
    if 0 < chosen.sum() < len(chosen):
        return chosen
    return np.arange(len(chosen)) % 5 == 0


def _labeled(
    rows: TaskRows, features: _Features, predicted: Any, targets: np.ndarray
) -> list[tuple[str, float, float, float]]:
    """The score of a task with labels or numbers."""
    name = rows.inputs[0]
    x, fitted = features.x[name], features.targets
    score: Callable[[np.ndarray, np.ndarray], float]
    if rows.kind == "classification":
        what, score = "label, accuracy", scores.accuracy
        y = np.eye(len(rows.classes))[fitted]
        chance = float(np.bincount(targets).max() / len(targets))
    elif rows.kind == "multi-label":
        what, score = "labels, mean average precision", scores.mean_precision
        y = fitted.astype("float64")
        chance = float(targets[:, targets.any(axis=0)].mean())
    else:
        # The head predicts standardized numbers.
        predicted = predicted * rows.std + rows.mean
        error = float(np.abs(predicted - targets).mean())
        what = f"number, R2 (mean absolute error {error:.3g})"
        score, chance = scores.explained, 0.0
        y = fitted.astype("float64")

    def of_model(model: Ridge, chosen: np.ndarray) -> float:
        return score(model(x[chosen]), fitted[chosen])

    linear = fit_best(x, y, features.held_out, of_model)
    return [
        (
            what,
            chance,
            score(linear(features.test_x[name]), features.test_targets),
            score(predicted, targets),
        )
    ]


def _contrastive(
    rows: TaskRows, features: _Features, predicted: Any, targets: np.ndarray
) -> list[tuple[str, float, float, float]]:
    """The recall of a search in each direction."""
    lines = []
    for source in rows.inputs:
        for target in rows.inputs:
            if source == target:
                continue
            texts = "text" in (source, target)
            matches = matching(targets, features.test_texts if texts else None)
            similarities = (
                predicted[f"{source}_to_{target}"]
                @ predicted[f"{target}_to_{source}"].T
            )
            k = scores.depth(len(targets))
            lines.append(
                (
                    f"{source} to {target}, R@{k}",
                    chance_recall(matches.sum(axis=1), len(targets), k),
                    _linear_recall(features, source, target, k),
                    scores.recall(similarities, matches, k),
                )
            )
    return lines


def _linear_recall(
    features: _Features, source: str, target: str, k: int
) -> float:
    """Of a search by the features that a linear model expects."""
    x, y = features.x[source], features.x[target]
    mean, std = y.mean(axis=0), y.std(axis=0)
    std = np.where(std > 0, std, np.inf)
    y, test_y = (y - mean) / std, (features.test_x[target] - mean) / std
    texts = "text" in (source, target)

    def of_model(model: Ridge, chosen: np.ndarray) -> float:
        known = None
        if texts and features.texts is not None:
            known = [features.texts[row] for row in chosen]
        matches = matching(features.targets[chosen], known)
        found = scores.cosines(model(x[chosen]), y[chosen])
        return scores.recall(found, matches, scores.depth(len(chosen)))

    linear = fit_best(x, y, features.held_out, of_model)
    matches = matching(
        features.test_targets, features.test_texts if texts else None
    )
    found = scores.cosines(linear(features.test_x[source]), test_y)
    return scores.recall(found, matches, k)


def matching(targets: np.ndarray, texts: list[str] | None) -> np.ndarray:
    """Which rows answer each other: of one group, or with one text.

    Args:
        targets: Group of each row.
        texts: Text of each row, if it is a part of the search.

    Returns:
        Booleans, shape `(rows, rows)`.
    """
    matches = targets[:, None] == targets[None, :]
    if texts is not None:
        values = np.array(texts)
        matches |= values[:, None] == values[None, :]
    return matches
