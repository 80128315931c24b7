"""What a model of the playground is measured by.

What is predicted for an example is the mean over its test-time views.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import numpy as np

from keras_imp.data import Tokenizer, playground
from keras_imp.evaluation.parts import predict_part
from keras_imp.evaluation.playground.captions import category_words
from keras_imp.evaluation.playground.recipe import OBJECTIVES
from keras_imp.evaluation.playground.splits import Split, source_of
from keras_imp.evaluation.playground.tasks import evaluated_captions
from keras_imp.evaluation.playground.views import VIEWS, Views
from keras_imp.evaluation.retrieval import recall_at, same_text
from keras_imp.evaluation.views import mean_probabilities, mean_vectors
from keras_imp.evaluation.zero_shot import ZeroShotClassifier
from keras_imp.tasks.combined import tasks_and_parts
from keras_imp.training.alternating_model import AlternatingModel

# One size for all predictions, so that what one has compiled serves the others.
BATCH_SIZE = 100
# Objectives in the order of the table, and those with an unseen source.
MEASURES = (
    "objects",
    "captions/texts",
    "sounds/families",
    "sounds/texts",
    "clips",
)
SHIFTED = ("captions/texts", "sounds/families", "sounds/texts")


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        objective: What was trained for it, of `OBJECTIVES`.
        what: What is measured.
        baseline: Name in `baselines.json`, or empty where there is none.
        value: The model's figure.
        chance: Figure of guessing: the fraction of the most frequent class,
            or of the answers that are looked at.
    """

    objective: str
    what: str
    baseline: str
    value: float
    chance: float


def measure(
    model: AlternatingModel,
    split: Split,
    tokenizer: Tokenizer,
    views: Views = VIEWS,
) -> list[Row]:
    """Measure what a model has learned, on a split that it has not seen.

    Args:
        model: The trained model.
        split: The validation or test split.
        tokenizer: The one it was trained with.
        views: Versions of an example whose predictions are averaged.

    Returns:
        The lines of the table.
    """
    return _rows(Subject(model, split, tokenizer, views), MEASURES)


def measure_shift(
    model: AlternatingModel, split: Split, tokenizer: Tokenizer
) -> list[Row]:
    """Measure a model on a style and on recordings that are unlike its own.

    Args:
        model: The trained model.
        split: The test split, for the concepts' captions.
        tokenizer: The one it was trained with.

    Returns:
        Lines of the table, on unseen concepts in an unseen style and unseen
        instruments of an unseen source.
    """
    source = playground.PlaygroundSplit(
        split.source.fashion,
        playground.load_unseen_style(),
        playground.load_unseen_sounds(),
    )
    subject = Subject(model, Split(split.name, source), tokenizer)
    return [
        row._replace(
            what=f"unseen source: {row.what}",
            baseline=f"unseen source: {row.baseline}",
        )
        for row in _rows(subject, SHIFTED)
        if "without flags" not in row.what
    ]


def learned(model: AlternatingModel) -> tuple[str, ...]:
    """The objectives of a model, of `OBJECTIVES`."""
    names = tasks_and_parts(model.tasks)
    return tuple(name for name in OBJECTIVES if name in names)


@dataclasses.dataclass(frozen=True)
class Subject:
    """A model and what it is measured on.

    Attributes:
        model: The trained model.
        split: The split.
        tokenizer: The one it was trained with.
        views: Versions of an example whose predictions are averaged.
    """

    model: AlternatingModel
    split: Split
    tokenizer: Tokenizer
    views: Views = VIEWS

    @functools.cached_property
    def recordings(self) -> np.ndarray:
        """The views of the recordings, made once: some seconds."""
        return self.views.of_waveforms(self.split.source.sounds.waveforms)

    def texts(self, objective: str, texts: list[str], of: str) -> np.ndarray:
        """Vectors of texts in the space that they share with a modality."""
        ids = self.tokenizer(texts)
        return predict(self.model, objective, {"text": ids})[f"text_to_{of}"]

    def classifier(
        self, objective: str, names: list[str], prompts: Any = ("{}",)
    ) -> ZeroShotClassifier:
        """Classes by their names."""
        return ZeroShotClassifier(
            self.model,
            objective,
            names,
            prompts,
            tokenizer=self.tokenizer,
            batch_size=BATCH_SIZE,
        )

    def emoji_vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """Unit vectors of the emoji and of their captions."""
        emoji = self.split.source.emoji
        captions = evaluated_captions("emoji", emoji.captions)
        x = {"image": self.views.of_images(emoji.images)}
        return (
            self.vectors("captions/texts", x),
            self.texts("captions/texts", captions, of="image"),
        )

    def vectors(self, objective: str, x: dict[str, np.ndarray]) -> np.ndarray:
        """Vectors of examples in the space that they share with texts.

        Args:
            objective: Of `OBJECTIVES`.
            x: The views of the examples, of one modality.
        """
        (modality,) = x
        found = predict(self.model, objective, x)
        vectors = found[f"{modality}_to_text"]
        return mean_vectors(vectors, self.views.count(modality))


def predict(
    model: AlternatingModel, objective: str, x: dict[str, np.ndarray]
) -> Any:
    """What a model predicts for an objective.

    Args:
        model: The model.
        objective: Of `OBJECTIVES`.
        x: Inputs by modality.

    Returns:
        Logits, or vectors by direction.
    """
    return predict_part(model, objective, x, BATCH_SIZE)


def classified(
    subject: Subject, objective: str
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """What a model takes the examples of a classification for.

    Args:
        subject: The trained model, and a split.
        objective: `"objects"` or `"sounds/families"`.

    Returns:
        The right classes, those predicted, and the names of all classes.
    """
    fashion, sounds = subject.split.source.fashion, subject.split.source.sounds
    if objective == "objects":
        modality, views = "image", subject.views.of_images(fashion.images)
        labels, names = fashion.labels, [*playground.FASHION_CLASSES]
    else:
        modality, views = "audio", subject.recordings
        labels, names = sounds.family_labels, [*playground.FAMILIES]
    logits = predict(subject.model, objective, {modality: views})
    found = mean_probabilities(logits, subject.views.count(modality))
    return labels, found.argmax(axis=1), names


def emoji_categories(emoji: playground.Emoji) -> tuple[list[str], np.ndarray]:
    """The categories of emoji as classes.

    Args:
        emoji: The emoji.

    Returns:
        Their names as captions have them, and the position of each emoji's.
    """
    names = sorted(set(emoji.categories))
    labels = np.array([names.index(name) for name in emoji.categories])
    return list(map(category_words, names)), labels


def family_words() -> list[str]:
    """The families of instruments as captions have them."""
    return [playground.FAMILY_WORDS[name] for name in playground.FAMILIES]


def _rows(subject: Subject, names: tuple[str, ...]) -> list[Row]:
    """The lines of what a model has learned, of these objectives."""
    known = learned(subject.model)
    return [
        row for name in names if name in known for row in _OF[name](subject)
    ]


def _objects(subject: Subject) -> list[Row]:
    what, baseline = "Fashion-MNIST class, accuracy", "fashion class"
    return [_accuracy(subject, "objects", what, baseline)]


def _families(subject: Subject) -> list[Row]:
    what, baseline = "instrument family, accuracy", "instrument family"
    return [_accuracy(subject, "sounds/families", what, baseline)]


def _captions(subject: Subject) -> list[Row]:
    emoji = subject.split.source.emoji
    captions = np.array(evaluated_captions("emoji", emoji.captions))
    images, texts = subject.emoji_vectors()
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
            chance = 10 / len(relevant)
            rows.append(Row("captions/texts", what, baseline, recall, chance))
    names, labels = emoji_categories(emoji)
    classify = subject.classifier("captions/texts", names)
    category = Row(
        "captions/texts",
        "emoji category, zero-shot accuracy",
        "emoji category",
        _nearest_is_right(images, classify.class_vectors("image"), labels),
        _chance(labels),
    )
    return [*rows, category]


def _sound_captions(subject: Subject) -> list[Row]:
    sounds = subject.split.source.sounds
    classify = subject.classifier("sounds/texts", family_words())
    of_sounds = evaluated_captions("sounds", sounds.captions)
    captions = sorted(set(of_sounds))
    vectors = subject.vectors("sounds/texts", {"audio": subject.recordings})
    texts = subject.texts("sounds/texts", captions, of="audio")
    recall = recall_at(vectors @ texts.T, same_text(of_sounds, captions))
    return [
        Row(
            "sounds/texts",
            "instrument family, zero-shot accuracy",
            "instrument family, zero-shot from captions",
            _nearest_is_right(
                vectors, classify.class_vectors("audio"), sounds.family_labels
            ),
            _chance(sounds.family_labels),
        ),
        Row(
            "sounds/texts",
            "sound to caption, R@1",
            "sound to caption, R@1",
            recall["recall@1"],
            1 / len(captions),
        ),
    ]


def _clips(subject: Subject) -> list[Row]:
    names = subject.split.source.emoji.names
    video, motions = subject.split.clips
    # Some of the names that the model has seen move.
    prompts = [f"{name} {{}}" for name in source_of("train").emoji.names[::40]]
    classify = subject.classifier("clips", list(playground.MOTIONS), prompts)
    captions = playground.clip_captions(names, motions)
    views = subject.views.of_images(video)
    vectors = subject.vectors("clips", {"video": views})
    texts = subject.texts("clips", captions, of="video")
    recall = recall_at(vectors @ texts.T, same_text(captions, captions))
    return [
        Row(
            "clips",
            "rendered clip's motion, zero-shot accuracy",
            "rendered clip motion",
            _nearest_is_right(
                vectors, classify.class_vectors("video"), motions
            ),
            _chance(motions),
        ),
        Row(
            "clips",
            "rendered clip to caption, R@10",
            "rendered clip to caption, R@10",
            recall["recall@10"],
            10 / len(captions),
        ),
    ]


def _nearest_is_right(
    vectors: np.ndarray, classes: np.ndarray, labels: np.ndarray
) -> float:
    """How often the class whose vector is nearest is the right one."""
    return float(np.mean((vectors @ classes.T).argmax(axis=1) == labels))


def _accuracy(
    subject: Subject, objective: str, what: str, baseline: str
) -> Row:
    labels, predicted, _ = classified(subject, objective)
    accuracy = float((predicted == labels).mean())
    return Row(objective, what, baseline, accuracy, _chance(labels))


def _chance(labels: np.ndarray) -> float:
    """Accuracy of always answering the most frequent class."""
    return float(np.bincount(labels).max() / len(labels))


_OF = {
    "objects": _objects,
    "captions/texts": _captions,
    "sounds/families": _families,
    "sounds/texts": _sound_captions,
    "clips": _clips,
}
