"""The progress bar, and which logs are shown."""

import math

import keras


class TaskProgress(keras.callbacks.ProgbarLogger):
    """Keras' progress bar, without the metrics of tasks not drawn yet.

    The routing figures of each layer go to the logs, not to the bar.
    """

    async_safe = True

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, _shown(logs))

    def on_test_batch_end(self, batch, logs=None):
        super().on_test_batch_end(batch, _shown(logs))

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, _shown(logs))

    def on_test_end(self, logs=None):
        super().on_test_end(_shown(logs))


def _shown(logs: dict[str, float] | None) -> dict[str, float]:
    return {
        name: value
        for name, value in seen(logs).items()
        if not name.removeprefix("val_").startswith("routing/")
    }


def seen(logs: dict[str, float] | None) -> dict[str, float]:
    """Logs without the tasks that were not drawn.

    Args:
        logs: Metric values by name.

    Returns:
        Those that are no NaN, or belong to no single task.

    Example:
        >>> from keras_imp.training.monitoring.progress import seen
        >>> seen({"loss": 1.0, "a/loss": float("nan"), "b/loss": 2.0})
        {'loss': 1.0, 'b/loss': 2.0}
    """
    return {
        name: value
        for name, value in (logs or {}).items()
        if "/" not in name or not math.isnan(value)
    }
