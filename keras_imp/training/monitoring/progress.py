"""What a run shows: a line that fits the terminal, or one line an epoch."""

import contextlib
import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import keras

from keras_imp.training.monitoring import progress_text as text

# Seconds between two drawings of the line.
INTERVAL = 0.1


class TaskProgress(keras.callbacks.ProgbarLogger):
    """The progress of `fit`, `evaluate` and `predict`, task by task.

    In a terminal or a notebook, `verbose=1` and `"auto"` draw one line again
    and again, with the losses so far, and after each epoch a short table of
    all values. It is never wider than the terminal. Anywhere else, such as in
    a file, and with `verbose=2`, each epoch is one line with every value. The
    figures of routed layers go to the logs only.

    Example:
        >>> from keras_imp.training.monitoring.progress import TaskProgress
        >>> bar = TaskProgress()
        >>> bar.set_params({"verbose": 2, "epochs": 3, "steps": 20})
        >>> bar.on_epoch_begin(0)
        >>> bar.on_epoch_end(
        ...     0, {"loss": 2.0, "objects/loss": 2.0, "val_objects/loss": 2.5}
        ... )  # doctest: +ELLIPSIS
        Epoch 1/3 - 20/20 - 0s - ... - loss 2.0000 - objects: loss 2.0000, \
val_loss 2.5000
    """

    # Keras calls it in a thread beside the training.
    async_safe = True

    def __init__(self):
        super().__init__()
        self._lock = threading.Lock()
        self._tasks: list[str] = []
        self._in_fit = False
        self._open = False  # Whether the cursor stands behind a line.
        self._width = 0
        self._begin("")

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        self._tasks = list(getattr(model, "tasks", ()))

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._in_fit = True  # Evaluations in it have no line of their own.

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        many = self.epochs > 1
        self._begin(f"Epoch {epoch + 1}/{self.epochs}" if many else "")

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._step(batch, logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._finish(logs)

    def on_test_begin(self, logs: dict | None = None) -> None:
        if not self._in_fit:
            self._begin("")

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if not self._in_fit:
            self._step(batch, logs)
        elif self.verbose == 1 and self._is_live():
            self._draw(f"validation, batch {batch + 1}")

    def on_test_end(self, logs: dict | None = None) -> None:
        if not self._in_fit:
            self._finish(logs)

    def on_predict_begin(self, logs: dict | None = None) -> None:
        self._begin("")

    def on_predict_batch_end(self, batch: int, logs: dict | None = None):
        self._step(batch, None)

    def on_predict_end(self, logs: dict | None = None) -> None:
        self._finish(None)

    def close(self) -> None:
        """Leave the line, however the run ended."""
        if self._open:
            self._write("\n")
            self._open = False

    # Helpers ----------------------------------------------------------------

    def _begin(self, title: str) -> None:
        self.seen = 0
        self._title = title
        self._values: dict[str, float] = {}
        self._clock = text.Clock(time.monotonic())
        self._drawn_at = 0.0

    def _step(self, batch: int, logs: dict | None) -> None:
        with self._lock:  # Steps may come in several threads.
            self.seen = max(self.seen, batch + 1)
            self._clock.step(self.seen, time.monotonic())
            self._values |= text.losses(logs or {})
        if self.verbose == 1 and self._is_live():
            self._draw()

    def _draw(self, what: str = "") -> None:
        """Draw the line again, unless it was drawn just now."""
        now = time.monotonic()
        if now - self._drawn_at < INTERVAL:
            return
        self._drawn_at = now
        with self._lock:
            line = text.live_line(
                self._title,
                self.seen,
                self.target,
                self._clock.left(self.target),
                [what] if what else text.items(self._values),
                _columns(),
                _takes_unicode(),
            )
            self._over(line)

    def _finish(self, logs: dict | None) -> None:
        if not self.verbose:
            return
        steps = self.seen or self.target or 0
        head = [text.count(steps, self.target)]
        head += self._clock.spent(time.monotonic())
        if self._title:
            head.insert(0, self._title)
        groups = text.groups(logs or {}, self._tasks)
        if self.verbose == 1 and self._is_live():
            first, *rows = text.table(head, groups, _columns())
            self._over(first)
            self._write("".join(f"\n{row}" for row in rows))
            self.close()
        else:
            self._write(text.log_line(head, groups) + "\n")

    def _over(self, line: str) -> None:
        """Write a line over the one that is there."""
        self._write("\r" + line.ljust(self._width))
        self._open, self._width = True, len(line)

    def _is_live(self) -> bool:
        """Whether a line can be drawn again where the output goes."""
        if not keras.config.is_interactive_logging_enabled():
            return False
        if "ipykernel" in sys.modules or "PYCHARM_HOSTED" in os.environ:
            return True
        return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"

    def _write(self, output: str) -> None:
        if keras.config.is_interactive_logging_enabled():
            sys.stdout.write(output)
            sys.stdout.flush()
        else:
            logging.getLogger("keras_imp").info(output.rstrip("\n"))


@contextlib.contextmanager
def shown(callbacks: Any, verbose: Any) -> Iterator[list[Any]]:
    """Callbacks with a bar before them, if one is wanted and none is there.

    Args:
        callbacks: What a method of a model was given.
        verbose: As in Keras.

    Yields:
        The callbacks as a list.
    """
    given = as_list(callbacks)
    if not verbose or any(
        isinstance(c, keras.callbacks.ProgbarLogger) for c in given
    ):
        yield given
        return
    with contextlib.closing(TaskProgress()) as bar:
        yield [bar, *given]


def as_list(callbacks: Any) -> list[Any]:
    """Callbacks as a list, whatever Keras takes.

    Args:
        callbacks: One, nested ones, a `CallbackList`, or None.

    Returns:
        The callbacks.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        # Keras makes another list, with a history of its own.
        return [
            callback
            for callback in callbacks.callbacks
            if not isinstance(callback, keras.callbacks.History)
        ]
    return [] if callbacks is None else keras.tree.flatten(callbacks)


def _columns() -> int:
    # A character in the last column makes some terminals go to the next line.
    return shutil.get_terminal_size().columns - 1


def _takes_unicode() -> bool:
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    return encoding.lower().replace("-", "").startswith("utf")
