"""Losses of a contrastive task compare between batches of one size only."""

import math
import warnings

import keras

from keras_imp._errors import message
from keras_imp.training.input.reader import MixtureReader


class CompareBatchSizes(keras.callbacks.Callback):
    """Warn, once for each task, where validation has batches of another size.

    Args:
        training: What reads the mixture of `fit`.
        validation: What reads the mixture to validate on.
    """

    def __init__(self, training: MixtureReader, validation: MixtureReader):
        super().__init__()
        self.training = training
        self.validation = validation
        self._told: set[str] = set()

    def on_test_end(self, logs: dict | None = None) -> None:
        for name, task in self.model.tasks.items():
            if not task.contrasts_examples or name in self._told:
                continue
            parts = task.microbatches if task.accumulate == "mean" else 1
            trained = {n // parts for n in self.training.batch_sizes[name]}
            validated = self.validation.batch_sizes[name]
            if trained and validated and not trained & validated:
                self._told.add(name)
                self._warn(name, max(trained), max(validated))

    def _warn(self, name: str, trained: int, validated: int) -> None:
        starts = [f"ln({n}) = {math.log(n):.2f}" for n in (trained, validated)]
        warnings.warn(
            message(
                f"Task {name!r}: the losses of training and validation do not "
                "compare, for a contrastive loss grows with the examples of a "
                f"batch. Before it learns, that of softmax is {starts[0]} in "
                f"training and {starts[1]} in validation.",
                "Give both the same batch size, and `drop_last=True`.",
                batch_size=trained,
                validation_batch_size=validated,
            ),
            stacklevel=2,
        )
