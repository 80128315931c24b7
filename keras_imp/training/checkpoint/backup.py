"""Save a training run so that a kill at any moment loses nothing but time."""

import contextlib
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import keras

import keras_imp
from keras_imp._errors import check_choice, check_positive, message
from keras_imp._keras_private import set_initial_epoch
from keras_imp._repr import ShowsArguments
from keras_imp._values import value_of
from keras_imp.training.checkpoint.files import (
    BackupFiles,
    BrokenBackupError,
    size_of,
)
from keras_imp.training.checkpoint.lock import FolderLock
from keras_imp.training.checkpoint.run_description import (
    describe,
    first_difference,
    learning_rate,
    with_learning_rate,
)
from keras_imp.training.checkpoint.trained_weights import TrainedWeights
from keras_imp.training.input.prefetch import (
    interrupt_read,
    interruptible_reads,
)
from keras_imp.training.input.reader import MixtureReader

SIGNALS = tuple(number.name for number in signal.Signals)
# What a resume needs of a backup.
FACTS = (
    "epoch",
    "step",
    "finished",
    "epochs",
    "learning_rate",
    "backend",
    "run",
)


class BackupError(ValueError):
    """Raised when a folder's backups cannot be resumed from."""


class StoppedBySignal(SystemExit):
    """Raised out of `fit` once a signal came and the state was saved.

    A script that does not catch it exits with the usual code, 128 plus the
    number of the signal, and without a traceback.

    Attributes:
        signal: Name of the signal, such as `"SIGTERM"`.
        step: Steps taken so far.
        folder: Folder of the backups.

    Example:
        >>> import pathlib
        >>> from keras_imp.callbacks import StoppedBySignal
        >>> stop = StoppedBySignal("SIGTERM", 120, pathlib.Path("backup"))
        >>> stop.code
        143
        >>> print(stop)
        Stopped by SIGTERM after step 120. Run the same training again to \
continue from there: its state is in 'backup'.
    """

    code: int

    def __init__(self, name: str, step: int, folder: Path):
        self.signal = name
        self.step = step
        self.folder = folder
        super().__init__(
            f"Stopped by {name} after step {step}. Run the same training again "
            f"to continue from there: its state is in {str(folder)!r}."
        )
        # What the interpreter exits with, instead of printing the message.
        self.code = 128 + signal.Signals[name]


class Backup(ShowsArguments, keras.callbacks.Callback):
    """Save the whole training state, and resume from it in the next `fit`.

    A run that was killed at any moment, in the middle of a save too, resumes
    at the step of its last backup, within the epoch. It ends with the numbers
    of a run that was never killed, bit for bit on one CPU and backend: weights,
    optimizer, schedule, data position, random states, metrics, epoch logs.

    A backup is one file, written beside the others and renamed when it is on
    the disk, which must have room for `keep` and one more. A damaged one is
    passed over with a warning, in favor of the one before; another run's is
    refused, one with other data too. Its path also works in `load_weights`, and
    a learning rate that callbacks changed is restored with it.

    What callbacks keep for themselves (the patience of `EarlyStopping`) is not
    in it. With Keras' `SwapEMAWeights(swap_on_epoch=True)` on TensorFlow, which
    exchanges weights and averages by additions, and without a validation, a
    resumed run differs by how they round. A source that is a stream must give
    the same batches each time: its number of batches is all that can be
    compared.

    Args:
        folder: Folder of this run's backups alone, locked while it trains. It
            stays after training: a run that is complete is then not trained
            again, and one that a callback stopped within an epoch continues.
        every: Save after this many steps.
        seconds: Save after this many seconds, at the next step. With neither,
            after each epoch.
        keep: How many backups to keep.
        signals: Signals that save at the next step and stop with
            `StoppedBySignal`, in the main thread, also while a source blocks;
            a second one acts as usual.

    Raises:
        ValueError: If an argument is out of its range, or a signal is unknown.
        BackupError: From `fit`, a ValueError: if no backup can be used, or it
            is of another run.
        FolderInUseError: From `fit`, if another run has the folder.
        OSError: From `fit`, if the folder cannot be written to, or the disk has
            no room.

    Example:
        >>> import keras_imp
        >>> callback = keras_imp.callbacks.Backup("backup", seconds=600)
        >>> callback.keep
        2
    """

    def __init__(
        self,
        folder: str | Path,
        every: int | None = None,
        seconds: float | None = None,
        keep: int = 2,
        signals: tuple[str, ...] = ("SIGTERM",),
    ):
        super().__init__()
        check_positive(keep=keep)
        for name, value in (("every", every), ("seconds", seconds)):
            if value is not None:
                check_positive(**{name: value})
        for name in signals:
            check_choice(SIGNALS, signals=name)
        self.folder = Path(folder)
        self.every = every
        self.seconds = seconds
        self.keep = keep
        self.signals = signals
        self.files = BackupFiles(self.folder, keep, FACTS)
        self._lock = FolderLock(self.folder)
        self._reader: MixtureReader | None = None
        self._previous_handlers: dict[str, Any] = {}
        self._forget()

    @contextlib.contextmanager
    def attached(
        self, reader: MixtureReader, weights: TrainedWeights
    ) -> Iterator[None]:
        """Know the data of one `fit`; leave no signal handler behind.

        `AlternatingModel.fit` runs in it, since `on_train_end` is not called
        after an error.

        Args:
            reader: What reads the training data.
            weights: Puts the weights to save into the model.
        """
        self._reader, self._weights = reader, weights
        try:
            with interruptible_reads():
                yield
        finally:
            self._unwatch_all()
            self._lock.release()
            self._reader = None
            self._forget()

    def _forget(self) -> None:
        self._weights = TrainedWeights([])
        self._signal: str | None = None
        self._epoch: int | None = None
        self._epoch_is_over = False
        self._steps_since = 0

    # No hook on the end of a batch: it would end Keras' asynchronous calls of
    # callbacks, and each step would wait for its logs. The begin of the next
    # batch is the same moment.

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        # On JAX, `self.model` puts the state back into the variables. Only a
        # save needs that.
        self._trained = model

    def on_train_begin(self, logs: dict | None = None) -> None:
        if self._reader is None:
            raise ValueError(
                message(
                    "Backup works in `AlternatingModel.fit`.",
                    "Use keras.callbacks.BackupAndRestore for other models.",
                    model=type(self._trained).__name__,
                )
            )
        self._lock.acquire()
        self._run = describe(self.model, self._reader.mixture)
        self._restore()
        self._saved_at = time.monotonic()
        for name in self.signals:
            self._watch(name)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: dict | None = None):
        self._save_if_due()
        if self._reader is not None and batch >= self._reader.skip:
            self._steps_since += self._trained.steps_per_execution

    def on_test_begin(self, logs: dict | None = None) -> None:
        if self._epoch is not None:
            self._save_if_due()

    def on_test_batch_begin(self, batch: int, logs: dict | None = None):
        if self._epoch is not None and self._signal:
            self._stop()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        # Saved at the next batch: the other callbacks write their logs first.
        self._epoch_is_over = True
        if self._is_cut_short() and self._steps_since:
            self._save()  # Else the validation began with it.

    def on_train_end(self, logs: dict | None = None) -> None:
        # Else nothing was left to train.
        if self._epoch is not None and not self._is_cut_short():
            self._save(finished=True)
        # From here on signals act as usual; one that came before is not lost.
        self._unwatch_all()
        if self._signal:
            self._stop(save=False)

    # Save -------------------------------------------------------------------

    def _save_if_due(self) -> None:
        if self._signal:
            self._stop()
        by_epoch = self.every is None and self.seconds is None
        since = time.monotonic() - self._saved_at
        if (
            (by_epoch and self._epoch_is_over)
            or (self.every is not None and self._steps_since >= self.every)
            or (self.seconds is not None and since >= self.seconds)
            or self._is_cut_short()
        ):
            self._save()

    def _is_cut_short(self) -> bool:
        """Whether a callback stops the run within an epoch."""
        length = self._reader.mixture.steps_per_epoch if self._reader else 0
        stops = bool(self._trained.stop_training)
        return stops and self.model.run_state.epoch_step < (length or 0)

    def _save(self, finished: bool = False) -> None:
        model = self.model
        # Else the last good state stays.
        if int(value_of(model.failed_step)) < 0:
            facts = {
                "epoch": int(value_of(model.epoch_counter)),
                "epoch_step": model.run_state.epoch_step,
                "step": int(value_of(model.step_counter)),
                "finished": finished,
                "epochs": self.params["epochs"],
                "learning_rate": learning_rate(model),
                "backend": keras.config.backend(),
                "keras": keras.__version__,
                "keras_imp": keras_imp.__version__,
                "run": self._run,
            }
            with self._weights.in_model():
                self.files.write(model.save_weights, facts, size_of(model))
        self._epoch_is_over = False
        self._steps_since = 0
        self._saved_at = time.monotonic()

    # Restore ----------------------------------------------------------------

    def _restore(self) -> None:
        """Resume from the newest backup that is whole, if there is any."""
        self.files.remove_unfinished()
        path, facts = self._newest_good()
        if path is None:
            return
        self._check_same_run(path, facts)
        if facts["backend"] != keras.config.backend():
            warnings.warn(
                message(
                    "The backup was written on another backend: the run goes "
                    "on, but not bit for bit.",
                    backup=facts["backend"],
                    now=keras.config.backend(),
                ),
                stacklevel=2,
            )
        self.model.load_weights(path)
        epochs = self.params["epochs"]
        done = facts["finished"] and epochs <= facts["epochs"]
        # Where `fit` starts: Keras' own BackupAndRestore sets it the same way.
        following = facts["epoch"] + facts["finished"]
        set_initial_epoch(self.model, epochs if done else following)

    def _newest_good(self) -> tuple[Path | None, dict[str, Any]]:
        broken = {}
        for path in self.files.newest_first():
            try:
                facts = self.files.read(path)
            except BrokenBackupError as error:
                broken[path.name] = str(error)
                continue
            for name, why in broken.items():
                warnings.warn(
                    message(
                        f"A backup cannot be used: {why}.",
                        f"Resuming from {path.name!r}, step {facts['step']}.",
                        file=name,
                    ),
                    stacklevel=2,
                )
            return path, facts
        if broken:
            raise BackupError(
                message(
                    "None of the backups can be used.",
                    "To train from the start, remove them or give another "
                    "folder.",
                    folder=str(self.folder),
                    broken=broken,
                )
            )
        return None, {}

    def _check_same_run(self, path: Path, facts: dict[str, Any]) -> None:
        backup = facts["run"]
        now = self._run["optimizer"]["learning_rate"]
        # A callback may have changed it, and the process continued from there.
        # Version 0.1.0 could not tell that of mixed float16.
        if facts["learning_rate"] in (now, None):
            backup = with_learning_rate(backup, now)
        version = facts.get("keras_imp")
        found = first_difference(
            backup, self._run, same_version=version == keras_imp.__version__
        )
        if found is not None:
            raise BackupError(
                message(
                    f"The backup is of another run: `{found.where}` differs.",
                    "Continue with what that run was given, or choose another "
                    "folder. `model.load_weights(file)` takes its weights "
                    "alone.",
                    file=str(path),
                    backup=found.backup,
                    now=found.now,
                )
            )

    # Signals ----------------------------------------------------------------

    def _watch(self, name: str) -> None:
        if threading.current_thread() is threading.main_thread():
            number = signal.Signals[name]
            self._previous_handlers[name] = signal.getsignal(number)
            signal.signal(number, self._note)

    def _unwatch(self, name: str) -> None:
        previous = self._previous_handlers.pop(name)
        # None: it was not installed from Python, and cannot be put back.
        signal.signal(signal.Signals[name], previous or signal.SIG_DFL)

    def _unwatch_all(self) -> None:
        for name in list(self._previous_handlers):
            self._unwatch(name)

    def _note(self, number: int, frame: FrameType | None) -> None:
        """Remember a signal; the next step boundary or read acts on it."""
        self._signal = signal.Signals(number).name
        self._unwatch(self._signal)
        interrupt_read(self._stop)

    def _stop(self, save: bool = True) -> None:
        if save:
            self._save()
        step = int(value_of(self.model.step_counter))
        raise StoppedBySignal(str(self._signal), step, self.folder)
