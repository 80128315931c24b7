"""Steps whose loss or gradient is not finite: stop, or warn and continue."""

import math
import warnings
from typing import Any

import keras
import numpy as np

from keras_imp._values import value_of
from keras_imp.training.input.reader import MixtureReader
from keras_imp.training.monitoring.diagnosis import first_non_finite


class NonFiniteLossError(RuntimeError):
    """Raised when a step is NaN or infinite; the weights are still good.

    Attributes:
        task: Name of the task.
        step: Step of the run whose update was refused, from 0.
        last_finite_step: The step before it, or None.
        cause: A sentence on what is not finite first, or "".

    Example:
        >>> from keras_imp import NonFiniteLossError
        >>> NonFiniteLossError("captions", step=7).last_finite_step
        6
    """

    def __init__(self, task: str, step: int, cause: str = ""):
        self.task = task
        self.step = step
        self.last_finite_step = step - 1 if step else None
        self.cause = cause
        last = self.last_finite_step
        super().__init__(
            f"The loss or the gradient of task {task!r} is not finite at step "
            f"{step}; the last finite step is "
            f"{'none' if last is None else last}. {cause}{' ' * bool(cause)}"
            "The update was not applied: the weights are those before this "
            "step. Check this task's data, lower the learning rate, or leave "
            'such steps out: compile(on_non_finite="skip").'
        )


class StopAtNonFiniteLoss(keras.callbacks.Callback):
    """Raise `NonFiniteLossError` once a step was not finite.

    The compiled step refuses the update by itself and all that follow, so the
    weights are safe however late this looks. It only notices, and looks for
    the cause in the step's batch if that can be read again.

    Args:
        reader: What reads the mixture of `fit`.
    """

    # Batch hooks run in Keras' callback thread and do not slow the steps.
    async_safe = True

    def __init__(self, reader: MixtureReader):
        super().__init__()
        self.reader = reader

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        # `self.model` writes JAX's state back, which no other thread may do
        # while a step runs.
        self._trained = model

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.model.failed_step.assign(-1)
        self.model.failed_tasks.assign([0] * len(self.model.task_list))

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            self._trained.stop_training = True

    def on_test_begin(self, logs: dict | None = None) -> None:
        self._raise_if_failed()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._raise_if_failed()

    def _raise_if_failed(self) -> None:
        model = self.model
        step = int(value_of(model.failed_step))
        if step < 0:
            return
        step -= model.run_state.run_start
        flags = value_of(model.failed_tasks)
        failed = [model.task_list[i] for i in np.flatnonzero(flags)]
        # Of several tasks in one step, the first will do to find a cause.
        batch = self.reader.batch_of_step(step, failed[0].name)
        cause = (
            "" if batch is None else first_non_finite(model, failed[0], batch)
        )
        names = " + ".join(task.name for task in failed)
        raise NonFiniteLossError(names, step, cause)


class WarnOfSkippedSteps(keras.callbacks.Callback):
    """Say at the end of an epoch which tasks had steps that were skipped."""

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._before = self._skipped()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        skipped = self._skipped() - self._before
        counts = {
            name: int(count)
            for name, count in zip(self.model.tasks, skipped)
            if count
        }
        if counts:
            warnings.warn(
                f"Epoch {epoch + 1} skipped steps whose loss or gradient was "
                f"not finite, by task: {counts}.",
                stacklevel=2,
            )

    def _skipped(self) -> np.ndarray:
        # A copy: the next step may write where the value lies.
        return value_of(self.model.skipped_steps)
