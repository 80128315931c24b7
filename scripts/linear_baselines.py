"""Linear baselines on the playground: what a small encoder must beat.

    python scripts/linear_baselines.py

Fits on the train split, chooses the regularization on the validation split,
and reports on the test split. Needs scikit-learn; all data come from
`keras_imp.data.playground`. Writes `baselines.json` beside the data.
"""

import json
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from keras_imp.data import playground
from keras_imp.data.audio import LogMel

TARGET = playground.FILES
Row = dict[str, str | float | int]
Results = dict[str, Row]


class Table(NamedTuple):
    """Features `(items, features)` of one split, with labels or captions."""

    features: np.ndarray
    answers: list[str]


def classify(splits: dict[str, Table], strengths: tuple[float, ...]) -> Row:
    """Multinomial logistic regression; the best strength on validation."""
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
    test = splits["test"].answers
    majority = Counter(splits["train"].answers).most_common(1)[0][0]
    return {
        "metric": "accuracy",
        "chance": round(test.count(majority) / len(test), 3),
        "linear": round(best.score(*ready["test"]), 3),
        "n_test": len(test),
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

    def scores(self, features: np.ndarray, texts: list[str]) -> np.ndarray:
        """Return how well each item fits each text `(items, texts)`."""
        found = self.model.predict(features)
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


def ranks(scores: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the rank, from 0, of the best right answer in each row."""
    best = np.where(right, scores, -np.inf).max(axis=1, keepdims=True)
    return (scores > best).sum(axis=1)


def retrieval_ranks(
    fit: TextRidge, table: Table
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ranks of item-to-text and of text-to-item retrieval.

    Equal captions are one candidate, and each of its items is right.
    """
    texts = sorted(set(table.answers))
    scores = fit.scores(table.features, texts)
    right = np.array(table.answers)[:, None] == np.array(texts)[None]
    return ranks(scores, right), ranks(scores.T, right.T)


def reciprocal_rank(fit: TextRidge, table: Table) -> float:
    forward, backward = retrieval_ranks(fit, table)
    return float(np.mean(1 / (1 + forward)) + np.mean(1 / (1 + backward)))


def recall_rows(title: str, found: np.ndarray, chances: np.ndarray) -> Results:
    """Return one row per depth; `chances` is `(depths,)`."""
    return {
        f"{title}, R@{depth}": {
            "metric": f"recall@{depth}",
            "chance": round(float(chance), 3),
            "linear": round(float(np.mean(found < depth)), 3),
            "n_test": len(found),
        }
        for depth, chance in zip((1, 5, 10), chances, strict=True)
    }


def retrieve(title: str, to: str, fit: TextRidge, table: Table) -> Results:
    """Return rows for both directions between items and texts."""
    forward, backward = retrieval_ranks(fit, table)
    items, texts = len(forward), len(backward)
    depths = np.array((1, 5, 10))
    counts = np.array(list(Counter(table.answers).values()))
    # Chance that none of the items of a text is among the first ones drawn.
    missed = [
        np.mean([miss(items, int(count), int(depth)) for count in counts])
        for depth in depths
    ]
    return {
        **recall_rows(
            f"{title} to {to}", forward, np.minimum(1, depths / texts)
        ),
        **recall_rows(f"{to} to {title}", backward, 1 - np.array(missed)),
    }


def miss(items: int, right: int, depth: int) -> float:
    """Return the chance that `depth` random items hold no right one."""
    left = np.arange(items, items - depth, -1)
    return float(np.prod(np.clip(left - right, 0, None) / left))


def pixels(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype("float32") / 255


def log_mel(waveforms: np.ndarray) -> np.ndarray:
    layer = LogMel(frame_length=1024, frame_step=256, num_mel_bins=64)
    spectra = keras.ops.convert_to_numpy(layer(waveforms))
    return spectra.reshape(len(spectra), -1)


def small_clips(images: np.ndarray, seed: int) -> Table:
    """Return clips in grey at half the size, with their motions."""
    clips, motions = playground.render_clips(images, seed=seed)
    grey = clips.mean(axis=-1, dtype="float32") / 255
    half = grey.reshape(*grey.shape[:2], 16, 2, 16, 2).mean(axis=(3, 5))
    return Table(
        half.reshape(len(half), -1),
        [playground.MOTIONS[motion] for motion in motions],
    )


def without_flags(split: playground.PlaygroundSplit) -> Table:
    keep = np.flatnonzero(~split.emoji.is_flag)
    return Table(
        pixels(split.emoji.images[keep]),
        [split.emoji.captions[position][1] for position in keep],
    )


def picture_rows(data: dict[str, playground.PlaygroundSplit]) -> Results:
    """Return the baselines on Fashion-MNIST, emoji and rendered clips."""
    fashion = {
        name: Table(
            pixels(split.fashion.images[..., :1]),
            [str(label) for label in split.fashion.labels],
        )
        for name, split in data.items()
    }
    category = {
        name: Table(pixels(split.emoji.images), split.emoji.categories)
        for name, split in data.items()
    }
    named = {
        name: Table(
            pixels(split.emoji.images),
            [captions[1] for captions in split.emoji.captions],
        )
        for name, split in data.items()
    }
    clips = {
        name: small_clips(split.emoji.images, seed)
        for seed, (name, split) in enumerate(data.items())
    }
    fit = fit_text(named, (1e2, 1e3, 1e4, 1e5), reciprocal_rank)
    plain = {name: without_flags(split) for name, split in data.items()}
    return {
        "fashion class": classify(fashion, (1e-3, 1e-2, 1e-1)),
        "emoji category": classify(category, (1e-5, 1e-4, 1e-3)),
        **retrieve("emoji image", "caption", fit, named["test"]),
        **retrieve("emoji image without flags", "caption", fit, plain["test"]),
        "rendered clip motion": classify(clips, (1e-4, 1e-3, 1e-2)),
    }


def sound_rows(data: dict[str, playground.PlaygroundSplit]) -> Results:
    """Return the baselines on instrument recordings."""
    features = {
        name: log_mel(split.sounds.waveforms) for name, split in data.items()
    }
    family = {
        name: Table(features[name], split.sounds.families)
        for name, split in data.items()
    }
    named = {
        name: Table(
            features[name],
            [captions[0] for captions in split.sounds.captions],
        )
        for name, split in data.items()
    }
    alphas = (1e2, 1e3, 1e4, 1e5)
    rows: Results = {
        "instrument family": classify(family, (1e-4, 1e-3, 1e-2, 1e-1))
    }
    prompts = list(playground.FAMILY_WORDS.values())

    def correct(fit: TextRidge, part: str) -> float:
        found = fit.scores(features[part], prompts).argmax(axis=1)
        return float(np.mean(found == data[part].sounds.family_labels))

    fit = fit_text(named, alphas, lambda fit, _: correct(fit, "validation"))
    rows["instrument family, zero-shot from captions"] = {
        **rows["instrument family"],
        "linear": round(correct(fit, "test"), 3),
    }
    fit = fit_text(named, alphas, reciprocal_rank)
    rows.update(retrieve("sound", "caption", fit, named["test"]))
    return rows


def main() -> None:
    """Fit everything, print a table and write the file."""
    data = {name: playground.load(name) for name in playground.SPLITS}
    results = {**picture_rows(data), **sound_rows(data)}
    for task, row in results.items():
        print(
            f"{task:48} n={row['n_test']:5}  chance {row['chance']:.3f}  "
            f"linear {row['linear']:.3f}"
        )
    text = json.dumps(results, indent=2) + "\n"
    (TARGET / "baselines.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
