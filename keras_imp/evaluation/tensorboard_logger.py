"""The logs of all epochs as curves of TensorBoard."""

from pathlib import Path

import keras
from keras import ops

from keras_imp._repr import ShowsArguments
from keras_imp.evaluation.event_file import EventFile

# Runs of TensorBoard that Keras' callback writes too.
TRAIN, VALIDATION = "train", "validation"
LEARNING_RATE = "learning_rate"


class TensorBoardLogger(ShowsArguments, keras.callbacks.Callback):
    """Write the logs of each epoch for TensorBoard, without TensorFlow.

    `keras.callbacks.TensorBoard` writes with TensorFlow on every backend, and
    keeps values for minutes. This one needs the package `tensorboard` only,
    and an epoch can be seen when it ends. Values of training go to the run
    `train`, those of the validation to `validation`, under one name, so that
    TensorBoard draws both into one chart; charts of a task are in one group.
    `learning_rate` is added.

    An epoch that is repeated after a kill writes the same values at the same
    place of the curves.

    Args:
        log_dir: Folder of TensorBoard.

    Raises:
        ImportError: At the end of an epoch, if `tensorboard` is not installed.

    Example:
        >>> import keras, keras_imp, numpy as np, pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> model = keras.Sequential([keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> x = np.ones((2, 1))
        >>> history = model.fit(x, x, verbose=0, callbacks=[
        ...     keras_imp.callbacks.TensorBoardLogger(folder)])
        >>> [path.name for path in folder.iterdir()]
        ['train']
    """

    def __init__(self, log_dir: str | Path):
        super().__init__()
        self.log_dir = Path(log_dir)
        self._files = {
            name: EventFile(self.log_dir / name) for name in (TRAIN, VALIDATION)
        }

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        logs = dict(logs or {})
        validation = {
            name: logs.pop(name)
            for name in list(logs)
            if name.startswith("val_")
        }
        logs |= self._learning_rate()
        self._files[TRAIN].write(epoch, logs)
        if validation:
            self._files[VALIDATION].write(
                epoch,
                {k.removeprefix("val_"): v for k, v in validation.items()},
            )

    def on_train_end(self, logs: dict | None = None) -> None:
        for file in self._files.values():
            file.close()

    def _learning_rate(self) -> dict[str, float]:
        rate = getattr(self.model.optimizer, LEARNING_RATE, None)
        if rate is None:
            return {}
        rate = ops.convert_to_tensor(rate)
        return {LEARNING_RATE: float(ops.convert_to_numpy(rate))}
