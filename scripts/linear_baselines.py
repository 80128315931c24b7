"""Linear baselines on the playground: what a small encoder must beat.

    python scripts/linear_baselines.py

Fits on the train split, chooses the regularization on the validation split,
and reports on the test split, on the unseen style and on the unseen source of
recordings. Twice: on the data as they are evaluated, and on all that the
encoder trains on (mirrored clothes, all styles of an emoji, recordings in other
pitches, several renderings of each clip). Each fit is tested on the examples as
they are, and by the mean of what it predicts for their test-time views, as the
encoder is tested. "linear" is the highest of the four figures.

Needs scikit-learn; all data come from `keras_imp.data.playground`. Writes
`baselines.json` beside the data, and keeps what `keras_baselines.py` wrote.
"""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from keras_imp.data import playground
from keras_imp.data.augment.waveforms import shift_pitch
from keras_imp.evaluation.playground.recipe import RECIPE
from keras_imp.evaluation.playground.splits import log_mel
from keras_imp.evaluation.playground.views import VIEWS

TARGET = playground.FILES
# Prefix of the rows about an unseen style and an unseen source.
UNSEEN = "unseen source: "
RENDERINGS = 4
Row = dict[str, Any]
Results = dict[str, Row]
Data = dict[str, playground.PlaygroundSplit]


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


def ranks(scores: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the rank, from 0, of the best right answer in each row."""
    best = np.where(right, scores, -np.inf).max(axis=1, keepdims=True)
    return (scores > best).sum(axis=1)


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


def reciprocal_rank(fit: TextRidge, table: Table) -> float:
    forward, backward = retrieval_ranks(fit, table, table.features)
    return float(np.mean(1 / (1 + forward)) + np.mean(1 / (1 + backward)))


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


def miss(items: int, right: int, depth: int) -> float:
    """Return the chance that `depth` random items hold no right one."""
    left = np.arange(items, items - depth, -1)
    return float(np.prod(np.clip(left - right, 0, None) / left))


def pixels(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype("float32") / 255


def flat(spectrograms: np.ndarray) -> np.ndarray:
    return spectrograms.reshape(len(spectrograms), -1)


def small_clips(images: np.ndarray, seed: int) -> Table:
    """Return clips in grey at half the size, with their motions."""
    clips, motions = playground.render_clips(images, seed=seed)
    return Table(
        half_in_grey(clips),
        [playground.MOTIONS[motion] for motion in motions],
        half_in_grey(VIEWS.of_images(clips)),
    )


def half_in_grey(clips: np.ndarray) -> np.ndarray:
    grey = clips.mean(axis=-1, dtype="float32") / 255
    half = grey.reshape(*grey.shape[:2], 16, 2, 16, 2).mean(axis=(3, 5))
    return half.reshape(len(half), -1)


def whole(prefix: str) -> bool:
    """Whether rows with this prefix are reported on, or fitted on."""
    return prefix not in ("train", "validation")


def fashion_rows(data: Data, enlarged: bool) -> Results:
    """Classes of Fashion-MNIST from pixels."""
    tables = {
        name: Table(
            pixels(split.fashion.images[..., :1]),
            [str(label) for label in split.fashion.labels],
            pixels(VIEWS.of_images(split.fashion.images[..., :1])),
        )
        for name, split in data.items()
        if name != UNSEEN
    }
    if enlarged:
        images = data["train"].fashion.images[..., :1]
        tables["train"] = joined(
            tables["train"],
            Table(pixels(images[:, :, ::-1]), tables["train"].answers),
        )
    return classify(tables, (1e-3, 1e-2, 1e-1), "fashion class")


def emoji_rows(data: Data, enlarged: bool) -> Results:
    """Categories and captions of emoji from pixels."""
    category = emoji_tables(data, enlarged, lambda emoji: emoji.categories)
    named = emoji_tables(
        data, enlarged, lambda emoji: [texts[1] for texts in emoji.captions]
    )
    fit = fit_text(named, (1e2, 1e3, 1e4, 1e5), reciprocal_rank)
    rows = classify(category, (1e-5, 1e-4, 1e-3), "emoji category")
    for prefix in filter(whole, named):
        rows |= retrieve("emoji image", "caption", fit, named[prefix], prefix)
    is_flag = data[""].emoji.is_flag
    kept = np.flatnonzero(~is_flag)
    viewed = np.array_split(named[""].ways[1], len(is_flag))
    plain = Table(
        named[""].features[kept],
        [named[""].answers[i] for i in kept],
        np.concatenate([viewed[i] for i in kept]),
    )
    return rows | retrieve("emoji image without flags", "caption", fit, plain)


def emoji_tables(
    data: Data, enlarged: bool, answers: Callable[[playground.Emoji], list[str]]
) -> dict[str, Table]:
    tables = {
        name: Table(
            pixels(split.emoji.images),
            answers(split.emoji),
            pixels(VIEWS.of_images(split.emoji.images)),
        )
        for name, split in data.items()
    }
    if enlarged:
        emoji, known = data["train"].emoji, tables["train"].answers
        tables["train"] = joined(
            tables["train"],
            *(
                Table(pixels(style.images), [known[i] for i in style.rows])
                for style in emoji.styles.values()
            ),
        )
    return tables


def clip_rows(data: Data, enlarged: bool) -> Results:
    """Motions of rendered clips from grey pixels."""
    tables = {
        name: small_clips(split.emoji.images, seed)
        for seed, (name, split) in enumerate(data.items())
        if name != UNSEEN
    }
    if enlarged:
        more = [
            small_clips(data["train"].emoji.images, seed)
            for seed in range(100, 100 + RENDERINGS - 1)
        ]
        tables["train"] = joined(tables["train"], *more)
    return classify(tables, (1e-4, 1e-3, 1e-2), "rendered clip motion")


def sound_rows(data: Data, enlarged: bool) -> Results:
    """Families and captions of recordings from log-mel spectrograms."""
    family = sound_tables(data, enlarged)
    named = with_captions(family, data)
    rows = classify(family, (1e-5, 1e-4, 1e-3, 1e-2, 1e-1), "instrument family")
    alphas = (1e2, 1e3, 1e4, 1e5, 1e6)
    prompts = list(playground.FAMILY_WORDS.values())

    def correct(fit: TextRidge, part: str) -> list[float]:
        table, labels = named[part], data[part].sounds.family_labels
        found = [fit.scores(table, way, prompts) for way in table.ways]
        return [float(np.mean(f.argmax(axis=1) == labels)) for f in found]

    by_words = fit_text(named, alphas, lambda f, _: correct(f, "validation")[0])
    by_rank = fit_text(named, alphas, reciprocal_rank)
    for prefix in filter(whole, named):
        row = rows[f"{prefix}instrument family"]
        rows[f"{prefix}instrument family, zero-shot from captions"] = {
            **row,
            "linear": [round(c, 3) for c in correct(by_words, prefix)],
        }
        rows |= retrieve("sound", "caption", by_rank, named[prefix], prefix)
    return rows


def sound_tables(data: Data, enlarged: bool) -> dict[str, Table]:
    """Spectrograms of recordings, with their families."""
    tables = {
        name: Table(
            flat(log_mel(split.sounds.waveforms)),
            split.sounds.families,
            flat(VIEWS.of_waveforms(split.sounds.waveforms)),
        )
        for name, split in data.items()
    }
    if enlarged:
        sounds = data["train"].sounds
        copies = [
            Table(
                flat(log_mel(shift_pitch(sounds.waveforms, semitones))),
                sounds.families,
            )
            for semitones in RECIPE.semitones
        ]
        tables["train"] = joined(tables["train"], *copies)
    return tables


def with_captions(tables: dict[str, Table], data: Data) -> dict[str, Table]:
    """The same spectrograms, maybe of several copies, with their captions."""
    found = {}
    for name, table in tables.items():
        captions = [texts[0] for texts in data[name].sounds.captions]
        copies = len(table.answers) // len(captions)
        found[name] = table._replace(answers=captions * copies)
    return found


def joined(*tables: Table) -> Table:
    """All rows of some tables."""
    features = np.concatenate([table.features for table in tables])
    return Table(features, [a for table in tables for a in table.answers])


def read() -> Data:
    """The splits; the test split and what is unlike it, by their prefix."""
    test = playground.load("test")
    unseen = playground.PlaygroundSplit(
        test.fashion,
        playground.load_unseen_style(),
        playground.load_unseen_sounds(),
    )
    parts = {name: playground.load(name) for name in ("train", "validation")}
    return {**parts, "": test, UNSEEN: unseen}


def main() -> None:
    """Fit everything twice, print a table and write the file."""
    data = read()
    path = TARGET / "baselines.json"
    before = json.loads(path.read_text("utf-8"))
    results: Results = {}
    for make in (fashion_rows, emoji_rows, clip_rows, sound_rows):
        plain, enlarged = make(data, False), make(data, True)
        for name, row in plain.items():
            figures = {
                "plain": row["linear"],
                "enlarged": enlarged[name]["linear"],
            }
            best = max(max(ways) for ways in figures.values())
            results[name] = {**row, "linear": best, "one_view_and_all": figures}
            print(
                f"{name:60} n={row['n_test']:5}  chance {row['chance']:.3f}  "
                f"linear {figures}",
                flush=True,
            )
    for name, row in results.items():
        if "keras" in before.get(name, {}):
            row["keras"] = before[name]["keras"]
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
