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
from collections.abc import Callable

import numpy as np
from linear_models import (
    Results,
    Table,
    TextRidge,
    classify,
    fit_text,
    joined,
    reciprocal_rank,
    retrieve,
    whole,
)

from keras_imp.data import playground
from keras_imp.data.augment.waveforms import shift_pitch
from keras_imp.evaluation.playground.recipe import RECIPE
from keras_imp.evaluation.playground.splits import log_mel
from keras_imp.evaluation.playground.views import VIEWS

TARGET = playground.FILES
# Prefix of the rows about an unseen style and an unseen source.
UNSEEN = "unseen source: "
RENDERINGS = 4
Data = dict[str, playground.PlaygroundSplit]


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
