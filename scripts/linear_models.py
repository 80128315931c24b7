"""Linear models for the baselines of the playground: classes and captions.

A model is fitted on the train split, its strength is chosen on the validation
split, and it is tested on each other split in two ways: on the examples as they
are, and by the mean of what it predicts for their test-time views.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Row = dict[str, Any]
Results = dict[str, Row]


class Table(NamedTuple):
    """Features of one split, with labels or captions.

    Attributes:
        features: Shape `(items, features)`.
        answers: A label or a caption of each item.
        viewed: Features of all test-time views, shape `(items * views,
            features)`; None for what is only fitted on.
    """

    features: np.ndarray
    answers: list[str]
    viewed: np.ndarray | None = None

    @property
    def ways(self) -> tuple[np.ndarray, np.ndarray]:
        """What an item is tested on: itself, or all of its views."""
        if self.viewed is None:
            raise ValueError("A table that is only fitted on has no views.")
        return self.features, self.viewed

    def averaged(self, predicted: np.ndarray) -> np.ndarray:
        """One prediction for each item, from those for its views."""
        return predicted.reshape(
            len(self.answers), -1, predicted.shape[-1]
        ).mean(axis=1)


def joined(*tables: Table) -> Table:
    """All rows of some tables."""
    features = np.concatenate([table.features for table in tables])
    return Table(features, [a for table in tables for a in table.answers])


def whole(prefix: str) -> bool:
    """Whether rows with this prefix are reported on, or fitted on."""
    return prefix not in ("train", "validation")


def classify(
    splits: dict[str, Table], strengths: tuple[float, ...], title: str
) -> Results:
    """Multinomial logistic regression; the best strength on validation.

    Args:
        splits: `"train"`, `"validation"`, and those to report on by the prefix
            of their rows: `""` is the test split.
        strengths: Inverse strengths of the regularization.
        title: Name of the row.
    """
    scaler = StandardScaler().fit(splits["train"].features)
    ready = {
        name: (scaler.transform(table.features), table.answers)
        for name, table in splits.items()
    }
    fitted = [
        LogisticRegression(C=strength, max_iter=200).fit(*ready["train"])
        for strength in strengths
    ]
    best = max(fitted, key=lambda model: model.score(*ready["validation"]))
    majority = Counter(splits["train"].answers).most_common(1)[0][0]
    return {
        f"{prefix}{title}": accuracy_row(
            [
                accuracy(best, scaler, splits[prefix], features)
                for features in splits[prefix].ways
            ],
            answers.count(majority) / len(answers),
            len(answers),
        )
        for prefix in splits
        if whole(prefix)
        for answers in [splits[prefix].answers]
    }


def accuracy(
    model: LogisticRegression,
    scaler: StandardScaler,
    table: Table,
    features: np.ndarray,
) -> float:
    """How often a model is right by the features of one of the ways."""
    found = table.averaged(model.predict_proba(scaler.transform(features)))
    labels = model.classes_[found.argmax(axis=1)]
    return float(np.mean(labels == np.array(table.answers)))


def accuracy_row(accuracies: list[float], chance: float, count: int) -> Row:
    return {
        "metric": "accuracy",
        "chance": round(chance, 3),
        "linear": [round(figure, 3) for figure in accuracies],
        "n_test": count,
    }


class TextRidge:
    """Ridge regression from features to TF-IDF of letter groups.

    Letter groups, since the words of unseen concepts are mostly new.
    """

    def __init__(self, train: Table, alpha: float) -> None:
        self.text = TfidfVectorizer(
            analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True
        )
        goal = self.text.fit_transform(train.answers).toarray()
        self.model = make_pipeline(StandardScaler(), Ridge(alpha=alpha))
        self.model.fit(train.features, goal.astype("float32"))

    def scores(
        self, table: Table, features: np.ndarray, texts: list[str]
    ) -> np.ndarray:
        """Return how well each item fits each text `(items, texts)`."""
        found = table.averaged(self.model.predict(features))
        # Without the mean, common letter groups would rank every text alike.
        mean = self.model[-1].intercept_
        wanted = self.text.transform(texts).toarray() - mean
        return unit(found - mean) @ unit(wanted).T


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9)


def fit_text(
    splits: dict[str, Table],
    alphas: tuple[float, ...],
    quality: Callable[[TextRidge, Table], float],
) -> TextRidge:
    """Return the fit whose quality on validation is best."""
    fitted = [TextRidge(splits["train"], alpha) for alpha in alphas]
    return max(fitted, key=lambda fit: quality(fit, splits["validation"]))


def reciprocal_rank(fit: TextRidge, table: Table) -> float:
    forward, backward = retrieval_ranks(fit, table, table.features)
    return float(np.mean(1 / (1 + forward)) + np.mean(1 / (1 + backward)))


def retrieval_ranks(
    fit: TextRidge, table: Table, features: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ranks of item-to-text and of text-to-item retrieval.

    Equal captions are one candidate, and each of its items is right.
    """
    texts = sorted(set(table.answers))
    scores = fit.scores(table, features, texts)
    right = np.array(table.answers)[:, None] == np.array(texts)[None]
    return ranks(scores, right), ranks(scores.T, right.T)


def ranks(scores: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the rank, from 0, of the best right answer in each row."""
    best = np.where(right, scores, -np.inf).max(axis=1, keepdims=True)
    return (scores > best).sum(axis=1)


def retrieve(
    title: str, to: str, fit: TextRidge, table: Table, prefix: str = ""
) -> Results:
    """Return rows for both directions between items and texts."""
    found = [retrieval_ranks(fit, table, way) for way in table.ways]
    forward, backward = ([pair[side] for pair in found] for side in (0, 1))
    items, texts = len(forward[0]), len(backward[0])
    depths = np.array((1, 5, 10))
    counts = np.array(list(Counter(table.answers).values()))
    # Chance that none of the items of a text is among the first ones drawn.
    missed = [
        np.mean([miss(items, int(count), int(depth)) for count in counts])
        for depth in depths
    ]
    return {
        **recall_rows(
            f"{prefix}{title} to {to}", forward, np.minimum(1, depths / texts)
        ),
        **recall_rows(
            f"{prefix}{to} to {title}", backward, 1 - np.array(missed)
        ),
    }


def recall_rows(
    title: str, found: list[np.ndarray], chances: np.ndarray
) -> Results:
    """Return one row per depth; `chances` is `(depths,)`."""
    return {
        f"{title}, R@{depth}": {
            "metric": f"recall@{depth}",
            "chance": round(float(chance), 3),
            "linear": [round(float(np.mean(f < depth)), 3) for f in found],
            "n_test": len(found[0]),
        }
        for depth, chance in zip((1, 5, 10), chances, strict=True)
    }


def miss(items: int, right: int, depth: int) -> float:
    """Return the chance that `depth` random items hold no right one."""
    left = np.arange(items, items - depth, -1)
    return float(np.prod(np.clip(left - right, 0, None) / left))
