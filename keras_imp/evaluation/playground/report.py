"""What the playground's model can do on the test split, beside baselines."""

import json
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table
from rich.text import Text

from keras_imp.data import Tokenizer, playground
from keras_imp.evaluation import ZeroShotClassifier, recall_at, same_text
from keras_imp.evaluation.playground.tasks import Split
from keras_imp.training.alternating_model import AlternatingModel

# One size for all predictions, so that what one has compiled serves the others.
BATCH_SIZE = 100


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        task: Task that trained for it.
        what: What is measured, on the test split.
        baseline: Name in `baselines.json`, or empty where there is none.
        value: The model's figure.
        chance: Figure of guessing, where `baselines.json` has none.
    """

    task: str
    what: str
    baseline: str
    value: float
    chance: float | None = None


def evaluate(
    model: AlternatingModel, test: Split, tokenizer: Tokenizer
) -> list[Row]:
    """Measure the model's tasks on the test split.

    Args:
        model: The trained model.
        test: The test split.
        tokenizer: The one it was trained with.

    Returns:
        The lines of the table.
    """
    measures = {
        "objects": _objects,
        "sounds": _sounds,
        "captions": _emoji_retrieval,
        "sound_captions": _sound_captions,
        "clips": _clips,
    }
    return [
        row
        for name, measure in measures.items()
        if name in model.tasks
        for row in measure(model, test, tokenizer)
    ]


def with_baselines(rows: list[Row]) -> list[dict[str, Any]]:
    """The rows as dicts, with chance and the linear baseline.

    Args:
        rows: From `evaluate`.

    Returns:
        JSON-ready rows; `linear` is None where there is no baseline.
    """
    known = json.loads((playground.FILES / "baselines.json").read_text("utf-8"))
    lines = []
    for row in rows:
        baseline = known.get(row.baseline, {})
        lines.append(
            {
                "task": row.task,
                "what": row.what,
                "chance": baseline.get("chance", row.chance),
                "linear": baseline.get("linear"),
                "keras_imp": round(row.value, 4),
            }
        )
    return lines


def table(lines: list[dict[str, Any]]) -> Table:
    """The lines as a table for the terminal.

    Args:
        lines: From `with_baselines`.

    Returns:
        A rich table; a figure that beats the linear baseline is green, or
        one that beats chance where there is none.
    """
    result = Table(title="Test split, unseen concepts")
    for column in ("task", "what"):
        result.add_column(column)
    for column in ("chance", "linear", "keras-imp"):
        result.add_column(column, justify="right")
    for line in lines:
        linear = line["linear"]
        beaten = line["keras_imp"] > (linear or line["chance"])
        color = "green" if beaten else "yellow"
        result.add_row(
            # As text: in markup, brackets in a name would be lost.
            Text(line["task"]),
            Text(line["what"]),
            f"{line['chance']:.3f}",
            "-" if linear is None else f"{linear:.3f}",
            Text(f"{line['keras_imp']:.3f}", style=color),
        )
    return result


def _objects(model, test, tokenizer) -> list[Row]:
    del tokenizer
    accuracy = _accuracy(model, "objects", "image", test.objects)
    what = "Fashion-MNIST class, accuracy"
    return [Row("objects", what, "fashion class", accuracy)]


def _sounds(model, test, tokenizer) -> list[Row]:
    del tokenizer
    accuracy = _accuracy(model, "sounds", "audio", test.sounds)
    what = "instrument family, accuracy"
    return [Row("sounds", what, "instrument family", accuracy)]


def _accuracy(model, task: str, modality: str, data) -> float:
    logits = model.predict(
        {modality: data[modality]}, task=task, batch_size=BATCH_SIZE, verbose=0
    )
    return float((logits.argmax(axis=1) == data["y"]).mean())


def _emoji_vectors(model, test, tokenizer):
    emoji = test.source.emoji
    texts = tokenizer([several[1] for several in emoji.captions])
    images = _vectors(model, "captions", {"image": emoji.images})
    return images["image_to_text"], _vectors(
        model, "captions", {"text": texts}
    )["text_to_image"]


def _emoji_retrieval(model, test, tokenizer) -> list[Row]:
    emoji = test.source.emoji
    captions = np.array([several[1] for several in emoji.captions])
    images, texts = _emoji_vectors(model, test, tokenizer)
    rows = []
    for words, keep in (
        ("", np.ones(len(captions), bool)),
        (" without flags", ~emoji.is_flag),
    ):
        similarities = images[keep] @ texts[keep].T
        relevant = same_text(list(captions[keep]), list(captions[keep]))
        for what, baseline, values in (
            (
                f"emoji image to caption{words}, R@10",
                f"emoji image{words} to caption, R@10",
                similarities,
            ),
            (
                f"caption to emoji image{words}, R@10",
                f"caption to emoji image{words}, R@10",
                similarities.T,
            ),
        ):
            recall = recall_at(values, relevant)["recall@10"]
            rows.append(Row("captions", what, baseline, recall))
    names = sorted(set(emoji.categories))
    classify = ZeroShotClassifier(
        model,
        "captions",
        [name.lower().replace("&", "and") for name in names],
        tokenizer=tokenizer,
        batch_size=BATCH_SIZE,
    )
    labels = np.array([names.index(name) for name in emoji.categories])
    accuracy = classify.accuracy({"image": emoji.images}, labels)
    what = "emoji category, zero-shot accuracy"
    return [*rows, Row("captions", what, "emoji category", accuracy)]


def _sound_captions(model, test, tokenizer) -> list[Row]:
    sounds = test.source.sounds
    audio = {"audio": test.sounds["audio"]}
    classify = ZeroShotClassifier(
        model,
        "sound_captions",
        [playground.FAMILY_WORDS[name] for name in playground.FAMILIES],
        tokenizer=tokenizer,
        batch_size=BATCH_SIZE,
    )
    of_sounds = [several[0] for several in sounds.captions]
    captions = sorted(set(of_sounds))
    vectors = _vectors(model, "sound_captions", audio)["audio_to_text"]
    texts = _vectors(model, "sound_captions", {"text": tokenizer(captions)})
    similarities = vectors @ texts["text_to_audio"].T
    recall = recall_at(similarities, same_text(of_sounds, captions))
    return [
        Row(
            "sound_captions",
            "instrument family, zero-shot accuracy",
            "instrument family, zero-shot from captions",
            classify.accuracy(audio, test.sounds["y"]),
        ),
        Row(
            "sound_captions",
            "sound to caption, R@1",
            "sound to caption, R@1",
            recall["recall@1"],
        ),
    ]


def _clips(model, test, tokenizer) -> list[Row]:
    video = {"video": test.clips["video"]}
    names = playground.load("train").emoji.names[::40]
    classify = ZeroShotClassifier(
        model,
        "clips",
        list(playground.MOTIONS),
        prompts=[f"{name} {{}}" for name in names],
        tokenizer=tokenizer,
        batch_size=BATCH_SIZE,
    )
    captions = playground.clip_captions(
        test.source.emoji.names, test.clips["motion"]
    )
    vectors = _vectors(model, "clips", video)["video_to_text"]
    texts = _vectors(model, "clips", {"text": tokenizer(captions)})
    relevant = same_text(captions, captions)
    recall = recall_at(vectors @ texts["text_to_video"].T, relevant)
    return [
        Row(
            "clips",
            "rendered clip's motion, zero-shot accuracy",
            "rendered clip motion",
            classify.accuracy(video, test.clips["motion"]),
        ),
        Row(
            "clips",
            "rendered clip to caption, R@10",
            "rendered clip to caption, R@10",
            recall["recall@10"],
            chance=10 / len(captions),
        ),
    ]


def _vectors(model, task: str, x: dict[str, np.ndarray]) -> dict:
    return model.predict(x, task=task, batch_size=BATCH_SIZE, verbose=0)
