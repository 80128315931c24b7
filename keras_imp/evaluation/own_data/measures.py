"""What a model is measured by on the rows that are held out, by task."""

import hashlib
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
    # What both have, by modality and number: equal ones answer each other.
    contents: dict[str, np.ndarray]
    test_contents: dict[str, np.ndarray]


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
    return _Features(
        x,
        _targets(rows, fitted),
        test_x,
        _targets(rows, tested),
        _choosing(fitted),
        contents_of(fitted),
        contents_of(tested),
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
            known = features.test_contents
            items, matches = answers(targets, known[source], known[target])
            similarities = (
                predicted[f"{source}_to_{target}"]
                @ predicted[f"{target}_to_{source}"][items].T
            )
            k = scores.depth(len(items))
            lines.append(
                (
                    f"{source} to {target}, R@{k}",
                    chance_recall(matches.sum(axis=1), len(items), k),
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

    def of_model(model: Ridge, chosen: np.ndarray) -> float:
        known = [features.contents[name][chosen] for name in (source, target)]
        items, matches = answers(features.targets[chosen], *known)
        found = scores.cosines(model(x[chosen]), y[chosen][items])
        return scores.recall(found, matches, scores.depth(len(items)))

    linear = fit_best(x, y, features.held_out, of_model)
    known = features.test_contents
    items, matches = answers(
        features.test_targets, known[source], known[target]
    )
    found = scores.cosines(linear(features.test_x[source]), test_y[items])
    return scores.recall(found, matches, k)


def contents_of(examples: Examples) -> dict[str, np.ndarray]:
    """What rows have, as numbers: equal ones for equal contents.

    Args:
        examples: The rows.

    Returns:
        int64 by modality, shape `(rows,)`.
    """
    found = {}
    for name, values in examples.x.items():
        keys = (
            [text.encode("utf-8", "surrogatepass") for text in examples.texts()]
            if name == "text"
            else [hashlib.sha256(each.tobytes()).digest() for each in values]
        )
        numbers: dict[bytes, int] = {}
        found[name] = np.array(
            [numbers.setdefault(key, len(numbers)) for key in keys], "int64"
        )
    return found


def answers(
    targets: np.ndarray, sources: np.ndarray, contents: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What is searched, each content once, and what answers each query.

    Copies of one wrong answer would fill the first places of a search.

    Args:
        targets: Group of each row.
        sources: What each row has, of what is searched by.
        contents: The same of what is searched for.

    Returns:
        The first row of each content, int64; and booleans, shape
        `(rows, contents)`.

    Example:
        >>> import numpy as np
        >>> from keras_imp.evaluation.own_data.measures import answers
        >>> items, right = answers(
        ...     np.arange(3), np.arange(3), np.array([7, 7, 8]))
        >>> items.tolist(), right.tolist()
        ([0, 2], [[True, False], [True, False], [False, True]])
    """
    _, items, numbers = np.unique(
        contents, return_index=True, return_inverse=True
    )
    matches = matching(targets, sources, contents).astype("float32")
    return items, matches @ np.eye(len(items), dtype="float32")[numbers] > 0


def matching(
    targets: np.ndarray, *contents: np.ndarray | list[str]
) -> np.ndarray:
    """Which rows answer each other: of one group, or with equal contents.

    Two videos with equal audio cannot be told apart by it, as two images with
    one caption cannot by that.

    Args:
        targets: Group of each row.
        *contents: What each row has, of what is searched by or for.

    Returns:
        Booleans, shape `(rows, rows)`.

    Example:
        >>> import numpy as np
        >>> from keras_imp.evaluation.own_data.measures import matching
        >>> sounds = np.array([7, 7, 8])
        >>> matching(np.arange(3), sounds)[0].tolist()
        [True, True, False]
    """
    matches = targets[:, None] == targets[None, :]
    for values in map(np.asarray, contents):
        matches |= values[:, None] == values[None, :]
    return matches
