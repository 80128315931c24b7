"""The report of a classification, from the scores of the classes."""

from typing import Any

import numpy as np

from keras_imp._errors import message
from keras_imp.evaluation.intervals import (
    fraction,
    mean_of_classes,
    mean_of_groups,
)
from keras_imp.evaluation.report import Report

# How far down the second accuracy looks.
DEPTH = 5


def report_of_classes(
    title: str,
    scores: np.ndarray,
    labels: np.ndarray,
    class_names: list[str],
    groups: np.ndarray | None = None,
    **settings: Any,
) -> Report:
    """Accuracy, accuracy among the first 5, and the recall of each class.

    Args:
        title: What was evaluated.
        scores: Shape `(examples, classes)`; the largest is the prediction. A
            class as high as the right one counts as higher.
        labels: Right classes, integers, shape `(examples,)`.
        class_names: Names of the classes.
        groups: As in `intervals.fraction`.
        **settings: What the figures depend on.

    Returns:
        The report.

    Raises:
        ValueError: If `labels` are no positions of classes, one per example.

    Example:
        >>> import numpy as np
        >>> from keras_imp.evaluation.classified import report_of_classes
        >>> scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
        >>> report = report_of_classes(
        ...     "pets", scores, np.array([0, 1, 1]), ["cat", "dog"])
        >>> round(report["accuracy"], 3), report.per_class["dog"].value
        (0.667, 0.5)
    """
    labels = _checked(labels, scores)
    count = len(class_names)
    right = scores[np.arange(len(labels)), labels]
    # What is no number counts as higher.
    higher = (~(scores < right[:, None])).sum(axis=1) - 1
    hits, counts = higher == 0, np.bincount(labels, minlength=count)
    values = {"accuracy": fraction(hits, groups)}
    chance = {"accuracy": float(counts.max() / len(labels))}
    if count > DEPTH:
        name = f"accuracy among {DEPTH}"
        values[name] = fraction(higher < DEPTH, groups)
        most = np.sort(counts)[-DEPTH:].sum()
        chance[name] = float(most / len(labels))
    name = "mean recall of classes"
    values[name] = (
        mean_of_classes(np.bincount(labels, hits, minlength=count), counts)
        if groups is None
        else mean_of_groups(hits, labels, groups)
    )
    chance[name] = 1 / int((counts > 0).sum())
    per_class = {
        class_names[k]: fraction(
            hits[labels == k],
            None if groups is None else np.asarray(groups)[labels == k],
        )
        for k in np.flatnonzero(counts)
    }
    return Report(title, values, len(labels), chance, per_class, settings)


def _checked(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.shape != scores.shape[:1] or labels.dtype.kind not in "iu":
        raise ValueError(
            message(
                "`labels` must be integers, one per example.",
                labels=f"{labels.dtype} {labels.shape}",
                examples=len(scores),
            )
        )
    if not len(labels):
        raise ValueError(message("There must be an example.", labels=0))
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise ValueError(
            message(
                "`labels` must be positions of classes.",
                least=int(labels.min()),
                greatest=int(labels.max()),
                classes=scores.shape[1],
            )
        )
    return labels
