"""Name the class, or the classes, of one modality's input."""

import math

import keras
import numpy as np
from keras import ops

from keras_imp._errors import check_positive, check_rate, message
from keras_imp.tasks._targets import check_rows, target_array
from keras_imp.tasks.linear_task import LinearTask
from keras_imp.tasks.task import count_examples, weighted_mean
from keras_imp.typing import Tensor

# How far from 1 the probabilities of an example may add up: float16.
TOLERANCE = 1e-2


@keras.saving.register_keras_serializable(package="keras_imp")
class Classification(LinearTask):
    """A linear classifier on the pooled vector of one modality.

    Single label: softmax cross-entropy. Multi label: sigmoid cross-entropy,
    mean over classes. Both in float32, mean over examples.

    Args:
        name: Name of the task.
        modality: Which input to classify.
        num_classes: Number of classes.
        multi_label: Whether an example may have several classes or none.
        label_smoothing: Share `a` of the target that is spread: over all
            classes (single label), or `y (1 - a) + a / 2` (multi label).
        loss_weight: Factor of the task's loss.
        **kwargs: Arguments of `Task`, such as `drop_tokens`, and of
            `keras.layers.Layer`, such as `dtype`.

    Call arguments:
        inputs: A dict with the modality.
        encoder: The shared encoder (keyword).
        training: Whether the encoder trains.

    Returns:
        Logits, float32, shape `(batch, num_classes)`.

    Batches:
        `(x, y)` or `(x, y, sample_weight)`; `y` integer class ids `(batch,)`,
        or, with `multi_label`, 0 and 1 `(batch, num_classes)`. Probabilities
        `(batch, num_classes)` that add up to 1 are taken as single-label
        targets too.

    Metrics:
        `<task>/loss` and `<task>/accuracy`, or with `multi_label`
        `<task>/pr_auc`.

    Example:
        >>> import keras_imp
        >>> task = keras_imp.tasks.Classification(
        ...     "sounds", modality="audio", num_classes=50,
        ...     label_smoothing=0.1)
        >>> task.get_config()["num_classes"]
        50

    Reference:
        docs/method.md, Tasks and losses.
    """

    def __init__(
        self,
        name: str,
        modality: str,
        num_classes: int,
        multi_label: bool = False,
        label_smoothing: float = 0.0,
        loss_weight: float = 1.0,
        **kwargs,
    ):
        check_positive(num_classes=num_classes)
        check_rate(label_smoothing=label_smoothing)
        super().__init__(
            name, modality, num_classes, loss_weight=loss_weight, **kwargs
        )
        self.num_classes = num_classes
        self.multi_label = multi_label
        self.label_smoothing = label_smoothing
        if multi_label:
            self.score_metric = self.track(
                keras.metrics.AUC(
                    curve="PR",
                    multi_label=True,
                    num_labels=num_classes,
                    from_logits=True,
                    name="pr_auc",
                )
            )
        else:
            self.score_metric = self.track(keras.metrics.Mean(name="accuracy"))

    def chance_loss(self, examples: int) -> float | None:
        """Of the single label ln(classes), of several labels ln(2)."""
        del examples
        return math.log(2 if self.multi_label else self.num_classes)

    def compute_loss(self, x, y, y_pred, sample_weight=None) -> Tensor:
        del x
        targets = self._smooth(self._targets(y))
        if self.multi_label:
            terms = ops.binary_crossentropy(targets, y_pred, from_logits=True)
            losses = ops.mean(terms, axis=-1)
        else:
            losses = -ops.sum(targets * ops.log_softmax(y_pred), axis=-1)
        return weighted_mean(losses, sample_weight)

    def update_metrics(self, x, y, y_pred, sample_weight=None) -> None:
        del x
        targets = self._targets(y)
        if self.multi_label:
            self.score_metric.update_state(
                targets, y_pred, sample_weight=sample_weight
            )
            return
        hit = ops.equal(ops.argmax(targets, -1), ops.argmax(y_pred, -1))
        self.score_metric.update_state(
            ops.cast(hit, "float32"), sample_weight=sample_weight
        )

    def check_batch(self, x, y, sample_weight=None) -> None:
        del sample_weight
        y = target_array(y, "labels", "Give each class a number, from 0.")
        batch = count_examples(x[self.modality])
        wide = (batch, self.num_classes)
        if y.shape == wide:
            self._check_probabilities(y)
            return
        if self.multi_label or y.shape not in ((batch,), (batch, 1)):
            narrow = "" if self.multi_label else f" or {(batch,)}"
            raise ValueError(
                message(f"`y` must have shape {wide}{narrow}.", shape=y.shape)
            )
        # NaN fails the comparison too.
        right = (y >= 0) & (y < self.num_classes) & (y == np.floor(y))
        check_rows(
            right,
            y,
            f"Labels must be integers in [0, {self.num_classes}), the number "
            "of classes.",
            "label",
        )

    def _check_probabilities(self, y: np.ndarray) -> None:
        check_rows(
            (y >= 0) & (y <= 1),
            y,
            "Targets of shape (batch, num_classes) must be in [0, 1].",
            "target",
        )
        if not self.multi_label:
            total = y.sum(axis=-1, dtype="float64")
            check_rows(
                np.abs(total - 1) < TOLERANCE,
                total,
                "The probabilities of an example must add up to 1.",
                "sum",
                "Divide them by their sum; for several classes at once, set "
                "multi_label=True.",
            )

    def _targets(self, y: Tensor) -> Tensor:
        """Targets as probabilities, float32, (batch, classes)."""
        y = ops.convert_to_tensor(y)
        if len(y.shape) == 2 and y.shape[-1] == self.num_classes:
            return ops.cast(y, "float32")
        y = ops.reshape(ops.cast(y, "int32"), (-1,))
        return ops.one_hot(y, self.num_classes, dtype="float32")

    def _smooth(self, targets: Tensor) -> Tensor:
        spread = 2 if self.multi_label else self.num_classes
        share = self.label_smoothing
        return targets * (1.0 - share) + share / spread
