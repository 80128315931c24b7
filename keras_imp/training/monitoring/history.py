"""The history of a run, in which not every epoch has every value."""

import math

import keras


class TaskHistory(keras.callbacks.History):
    """What `AlternatingModel.fit` returns: Keras' history, and a table.

    `history` is as in Keras: for each name a list of the values that were
    measured. An epoch that did not draw a task, or did not validate, adds
    nothing to its lists, so the place in a list is not the epoch. For curves
    and data frames there is `table`.

    Attributes:
        history: Values by name, in the order of the epochs that have one.
        epoch: Epochs, from 0.

    Example:
        >>> import keras_imp
        >>> history = keras_imp.callbacks.TaskHistory()
        >>> history.set_model(type("Model", (), {})())
        >>> history.on_train_begin()
        >>> history.on_epoch_end(0, {"loss": 2.0, "objects/loss": 2.0})
        >>> history.on_epoch_end(1, {"loss": 1.0})
        >>> history.history
        {'loss': [2.0, 1.0], 'objects/loss': [2.0]}
        >>> history.table()
        {'epoch': [0, 1], 'loss': [2.0, 1.0], 'objects/loss': [2.0, nan]}
    """

    def on_train_begin(self, logs: dict | None = None) -> None:
        super().on_train_begin(logs)
        self._rows: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        self._rows.append(dict(logs or {}))

    def table(self) -> dict[str, list]:
        """All values by epoch, such as for `pandas.DataFrame`.

        Returns:
            Lists of equal length by name: `epoch`, then each value, NaN where
            an epoch has none.
        """
        names = dict.fromkeys(name for row in self._rows for name in row)
        columns = {
            name: [row.get(name, math.nan) for row in self._rows]
            for name in names
        }
        return {"epoch": list(self.epoch), **columns}
