"""What a model that was trained on the playground knows, as reports.

Unlike `measures.py`, which has one figure a line for the table of a run, these
have 95 % intervals and the recall of each class.
"""

from typing import Any

import numpy as np

from keras_imp.data import Tokenizer, playground
from keras_imp.evaluation.classified import report_of_classes
from keras_imp.evaluation.linear_probe import LinearProbe
from keras_imp.evaluation.playground.measures import (
    BATCH_SIZE,
    Subject,
    emoji_categories,
    family_words,
    predict,
)
from keras_imp.evaluation.playground.splits import load_split
from keras_imp.evaluation.playground.tasks import evaluated_captions
from keras_imp.evaluation.report import Report
from keras_imp.evaluation.retrieval_report import evaluate_retrieval


class PresetReports:
    """Evaluates a model on a split of the playground.

    Args:
        model: An `AlternatingModel` with the playground's tasks.
        tokenizer: The one it was trained with.
        split: `"validation"` or `"test"`.
        shuffled: Whether each example gets the answer of another one: what is
            above chance then, the evaluation has made up.
        seed: Seed of that order.

    Example:
        >>> import keras_imp
        >>> from keras_imp.evaluation.playground.preset_reports import (
        ...     PresetReports)
        >>> PresetReports.__name__
        'PresetReports'
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        split: str = "test",
        shuffled: bool = False,
        seed: int = 0,
    ):
        self.split = load_split(split)
        self.shuffled = shuffled
        self._subject = Subject(model, self.split, tokenizer)
        self._generator = np.random.default_rng(seed)

    def all(self) -> list[Report]:
        """Evaluate everything; some minutes on two cores.

        Returns:
            Classification by the trained heads, zero-shot classification,
            retrieval in both directions, and a linear probe.
        """
        return [
            self.objects(),
            *self.zero_shot(),
            *self.retrieval(),
            self.probe(),
        ]

    def objects(self) -> Report:
        """The classes of Fashion-MNIST, by the trained head."""
        fashion = self.split.source.fashion
        model = self._subject.model
        scores = predict(model, "objects", {"image": fashion.images})
        return report_of_classes(
            "Fashion-MNIST classes",
            scores,
            self._answers(fashion.labels),
            [*playground.FASHION_CLASSES],
        )

    def zero_shot(self) -> list[Report]:
        """Categories of emoji, instrument families and motions by their names.

        The emoji and the instruments are none of those it was trained on.
        """
        emoji, sounds = self.split.source.emoji, self.split.source.sounds
        categories, labels = emoji_categories(emoji)
        video, motions = self.split.clips
        return [
            self._zero_shot(
                "captions/texts", categories, {"image": emoji.images}, labels
            ),
            self._zero_shot(
                "sounds/texts",
                family_words(),
                {"audio": self.split.audio},
                sounds.family_labels,
            ),
            self._zero_shot(
                "clips", list(playground.MOTIONS), {"video": video}, motions
            ),
        ]

    def retrieval(self) -> list[Report]:
        """Emoji, recordings and clips by their captions, and back."""
        emoji, sounds = self.split.source.emoji, self.split.source.sounds
        video, motions = self.split.clips
        pairs = {
            "captions/texts": (
                {"image": emoji.images},
                evaluated_captions("emoji", emoji.captions),
            ),
            "sounds/texts": (
                {"audio": self.split.audio},
                evaluated_captions("sounds", sounds.captions),
            ),
            "clips": (
                {"video": video},
                playground.clip_captions(emoji.names, motions),
            ),
        }
        return [
            evaluate_retrieval(
                self._subject.model,
                task,
                {**x, "text": self._answers(self._subject.tokenizer(texts))},
                batch_size=BATCH_SIZE,
            )
            for task, (x, texts) in pairs.items()
        ]

    def probe(self) -> Report:
        """Instrument families, by a regression on the frozen encoder.

        It is fitted on the training data, its strength chosen on the
        validation data.
        """
        train, validation = map(load_split, ("train", "validation"))
        probe = LinearProbe(
            self._subject.model.encoder, "audio", [*playground.FAMILIES]
        )
        probe.fit(
            train.audio,
            train.source.sounds.family_labels,
            validation=(
                validation.audio,
                validation.source.sounds.family_labels,
            ),
        )
        labels = self._answers(self.split.source.sounds.family_labels)
        return probe.evaluate(self.split.audio, labels)

    def _zero_shot(
        self,
        task: str,
        names: list[str],
        x: dict[str, np.ndarray],
        labels: np.ndarray,
    ) -> Report:
        classify = self._subject.classifier(task, names)
        return classify.evaluate(x, self._answers(labels))

    def _answers(self, answers: np.ndarray) -> np.ndarray:
        """The right answers, or those of other examples."""
        return (
            self._generator.permutation(answers) if self.shuffled else answers
        )
