"""A CSV file of the epochs that a kill and a resume leave as it should be."""

import csv
import io
from pathlib import Path
from typing import Any

import keras

from keras_imp import _files
from keras_imp._repr import ShowsArguments


class ResumableCSVLogger(ShowsArguments, keras.callbacks.Callback):
    """Write one row for each epoch, and for each epoch one row only.

    `keras.callbacks.CSVLogger(append=True)` writes an epoch twice if a run was
    killed between that row and the backup. Here a resumed run drops the rows
    from its first epoch on, and each write replaces the file as a whole.

    Args:
        path: The file. The rows of epochs before the first one are kept.

    Example:
        >>> import keras_imp
        >>> log = keras_imp.callbacks.ResumableCSVLogger("history.csv")
        >>> log.on_epoch_begin(0)
        >>> log.on_epoch_end(0, {"loss": 0.5})
        >>> log.path.read_text().split()
        ['epoch,loss', '0,0.5']
    """

    def __init__(self, path: str | Path):
        super().__init__()
        self.path = Path(path)
        self._rows: list[dict[str, Any]] | None = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._rows = None

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if self._rows is None:
            self._rows = [r for r in self._read() if int(r["epoch"]) < epoch]

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        rows = self._rows or []
        self._rows = [*rows, {"epoch": epoch, **(logs or {})}]
        self._write()

    def _read(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def _write(self) -> None:
        names = {name for row in self._rows or [] for name in row} - {"epoch"}
        text = io.StringIO()
        # An epoch without validation has no figure of it: an empty cell.
        writer = csv.DictWriter(text, ["epoch", *sorted(names)])
        writer.writeheader()
        writer.writerows(self._rows or [])
        self.path.parent.mkdir(parents=True, exist_ok=True)
        _files.write_text(self.path, text.getvalue())
