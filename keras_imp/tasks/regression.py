"""Predict numbers from one modality's input."""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from keras_imp._errors import check_choice, check_positive, message
from keras_imp.tasks._targets import check_rows, target_array
from keras_imp.tasks.linear_task import LinearTask
from keras_imp.tasks.task import count_examples, weighted_mean
from keras_imp.typing import Tensor

# From targets and predictions to one loss per example, the mean over outputs.
LOSSES: dict[str, Callable[..., Tensor]] = {
    "mse": keras.losses.mean_squared_error,
    "huber": keras.losses.huber,
    "mae": keras.losses.mean_absolute_error,
}


@keras.saving.register_keras_serializable(package="keras_imp")
class Regression(LinearTask):
    """Numbers from the pooled vector of one modality, by a linear layer.

    The loss is the mean over outputs and examples, in float32. Scale targets
    to a standard deviation of about 1: the head starts with outputs of that
    size, and the loss is added to those of other tasks.

    Args:
        name: Name of the task.
        modality: Which input to look at.
        num_outputs: Numbers to predict for an example.
        loss: `"mse"` (squared error), `"huber"` (squared up to an error of 1,
            linear beyond: outliers count less) or `"mae"` (absolute error).
        loss_weight: Factor of the task's loss.
        **kwargs: Arguments of `Task`, such as `drop_tokens`, and of
            `keras.layers.Layer`, such as `dtype`.

    Call arguments:
        inputs: A dict with the modality.
        encoder: The shared encoder (keyword).
        training: Whether the encoder trains.

    Returns:
        Predictions, float32, shape `(batch, num_outputs)`.

    Batches:
        `(x, y)` or `(x, y, sample_weight)`; `y` finite numbers `(batch,
        num_outputs)`, or `(batch,)` if there is one output.

    Metrics:
        `<task>/loss` and `<task>/mae`, the mean absolute error.

    Raises:
        ValueError: If `loss` is unknown, or `num_outputs` is not positive.

    Example:
        >>> import keras_imp
        >>> task = keras_imp.tasks.Regression("pitch", "audio", loss="huber")
        >>> task.modalities
        ('audio',)
    """

    def __init__(
        self,
        name: str,
        modality: str,
        num_outputs: int = 1,
        loss: str = "mse",
        loss_weight: float = 1.0,
        **kwargs,
    ):
        check_positive(num_outputs=num_outputs)
        check_choice(tuple(LOSSES), loss=loss)
        super().__init__(
            name, modality, num_outputs, loss_weight=loss_weight, **kwargs
        )
        self.num_outputs = num_outputs
        self.loss = loss
        self.error_metric = self.track(keras.metrics.Mean(name="mae"))

    def compute_loss(self, x, y, y_pred, sample_weight=None) -> Tensor:
        del x
        losses = LOSSES[self.loss](self._targets(y), y_pred)
        return weighted_mean(losses, sample_weight)

    def update_metrics(self, x, y, y_pred, sample_weight=None) -> None:
        del x
        errors = LOSSES["mae"](self._targets(y), y_pred)
        self.error_metric.update_state(errors, sample_weight=sample_weight)

    def check_batch(self, x, y, sample_weight=None) -> None:
        del sample_weight
        y = target_array(y, "targets")
        batch = count_examples(x[self.modality])
        wide = (batch, self.num_outputs)
        if y.shape != wide and (self.num_outputs > 1 or y.shape != (batch,)):
            narrow = f" or {(batch,)}" if self.num_outputs == 1 else ""
            raise ValueError(
                message(f"`y` must have shape {wide}{narrow}.", shape=y.shape)
            )
        check_rows(
            np.isfinite(y),
            y,
            "Targets must be finite numbers.",
            "target",
            "Leave the example out, or give it a target of 0 and a "
            "`sample_weight` of 0.",
        )

    def _targets(self, y: Tensor) -> Tensor:
        """Targets as float32, (batch, outputs)."""
        return ops.reshape(ops.cast(y, "float32"), (-1, self.num_outputs))
