"""Callbacks of Keras that expect each value in each epoch, and how they work.

A task that an epoch did not draw is not in its logs. Four of Keras' callbacks
need help with that:

- `ModelCheckpoint(save_best_only=True)` saves where its value is absent, over
  the best model; and it needs all values that its file name shows.
- `CSVLogger` writes the columns of the first epoch, and no others.
- `EarlyStopping` and `ReduceLROnPlateau` do the right thing, with a warning.
"""

import math
import warnings
from typing import Any

import keras


def adapt(
    callback: keras.callbacks.Callback, names: frozenset[str]
) -> keras.callbacks.Callback:
    """Let a callback work where values come and go.

    Args:
        callback: Any callback; it stays as it is.
        names: Names of all values that some epoch can have.

    Returns:
        The callback itself, or one that calls it.
    """
    for kind, adapted in _ADAPTED.items():
        if isinstance(callback, kind):
            return adapted(callback, names)
    return callback


class _Adapted(keras.callbacks.Callback):
    """Stands in for a callback and hands everything on to it.

    Args:
        callback: The callback.
        names: Names of all values that some epoch can have.
    """

    def __init__(self, callback: Any, names: frozenset[str]):
        super().__init__()
        self.callback = callback
        self.names = names
        self.async_safe = getattr(callback, "async_safe", False)
        for name in dir(keras.callbacks.Callback):
            own = getattr(type(self), name) is not getattr(
                keras.callbacks.Callback, name
            )
            if name.startswith(("on_", "set_")) and not own:
                # The method itself: Keras looks which of them do nothing.
                setattr(self, name, getattr(callback, name))

    def _complete(self, logs: dict | None) -> dict[str, float]:
        """The logs, with NaN for what was not measured."""
        return {**dict.fromkeys(sorted(self.names), math.nan), **(logs or {})}

    def _waits(self, logs: dict | None) -> bool:
        """Whether the value that it compares may come in another epoch."""
        monitor = self.callback.monitor
        return monitor in self.names and monitor not in (logs or {})


class _Table(_Adapted):
    """For `CSVLogger`."""

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.callback.on_epoch_end(epoch, self._complete(logs))


class _Checkpoint(_Adapted):
    """For `ModelCheckpoint`."""

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if not (self.callback.save_best_only and self._waits(logs)):
            self.callback.on_epoch_end(epoch, self._complete(logs))

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if self.callback.save_freq == "epoch":
            self.callback.on_train_batch_end(batch, logs)
        # It counts the batches since its last call: a save that is due comes
        # with the next batch of the task.
        elif not (self.callback.save_best_only and self._waits(logs)):
            self.callback.on_train_batch_end(batch, self._complete(logs))


class _Quiet(_Adapted):
    """For those that wait for a value by themselves, and warn of it."""

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        with warnings.catch_warnings():
            if self._waits(logs):
                warnings.filterwarnings("ignore", ".* is not available")
            self.callback.on_epoch_end(epoch, logs)


_ADAPTED = {
    keras.callbacks.CSVLogger: _Table,
    keras.callbacks.ModelCheckpoint: _Checkpoint,
    keras.callbacks.EarlyStopping: _Quiet,
    keras.callbacks.ReduceLROnPlateau: _Quiet,
}
