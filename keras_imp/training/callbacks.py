"""What `AlternatingModel.fit` adds to the callbacks of the user."""

import math
import warnings
from typing import Any

import keras
import numpy as np

from keras_imp.training.diagnosis import first_non_finite
from keras_imp.training.run_description import learning_rate
from keras_imp.training.schedules import AdaptiveSchedule


class NonFiniteLossError(RuntimeError):
    """Raised when a step is NaN or infinite; the weights are still good.

    Attributes:
        task: Name of the task.
        step: Global step whose update was refused, from 0.
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


class MixturePosition(keras.callbacks.Callback):
    """Start each epoch of a mixture at the model's own step counter.

    Runs after `Backup` or `BackupAndRestore` has put the counters back, so
    that a resumed run goes on within the epoch, with the batches that come
    next.

    Args:
        mixture: The `TaskMixture` of `fit`.
    """

    def __init__(self, mixture: Any):
        super().__init__()
        self.mixture = mixture
        self._resumed = False
        self._spoiled = False
        self._learning_rate: Any = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        model = self.model
        epoch = int(model.epoch_counter.numpy())
        self._resumed = epoch >= 0
        if self._resumed:
            self._spoiled = int(model.failed_step.numpy()) >= 0
            self._learning_rate = learning_rate(model)
            model.put_back_random_state()
            # BackupAndRestore writes the epoch into a second file, which a
            # kill leaves behind, and forgets it after a resume.
            model._initial_epoch = max(model._initial_epoch or 0, epoch)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        model = self.model
        skip = 0
        if self._resumed and epoch == int(model.epoch_counter.numpy()):
            skip = model.epoch_step
            self._put_back_metrics()
            if isinstance(self._learning_rate, float):
                # Callbacks that set it at an epoch's begin did so before.
                model.optimizer.learning_rate = self._learning_rate
        else:
            model.begin_epoch(epoch)
        self._resumed = False
        self.mixture.start(int(model.step_counter.numpy()), skip)

    def _put_back_metrics(self) -> None:
        if self._spoiled:
            # Weights are safe from such a step, metrics are not.
            warnings.warn(
                "The checkpoint was saved after a step that was not finite: "
                "the logs of this epoch leave out the steps before it.",
                stacklevel=2,
            )
        else:
            self.model.put_back_metrics()


class DecideRounds(keras.callbacks.Callback):
    """Decide the next rounds of an adaptive schedule while a model trains.

    It looks at the model, which makes JAX write its state back, once in a
    round. It hooks the start of a step and not the end: Keras calls that in
    the training thread and may go on sending the ends to a thread of their
    own.

    Args:
        schedule: The schedule of the mixture.
    """

    def __init__(self, schedule: AdaptiveSchedule):
        super().__init__()
        self.schedule = schedule

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        # After `BackupAndRestore` has put the state back.
        model, names = self.model, self.schedule.names
        # Of the epoch, whose batches count from 0 after a resume too.
        self._first_step = int(model.epoch_start.numpy())
        self.schedule.resume(
            model.schedule_state.read(names),
            int(model.step_counter.numpy()),
            model.schedule_state.measured(names),
        )
        self._keep(model)

    def on_train_batch_begin(self, batch: int, logs: dict | None = None):
        if self._first_step + batch < self._next_look:
            return
        model = self.model
        if int(model.failed_step.numpy()) >= 0:
            # No step counts any more: no round will end.
            model.stop_training = True
        self.schedule.catch_up(
            int(model.step_counter.numpy()),
            model.schedule_state.measured(self.schedule.names),
        )
        self._keep(model)

    def _keep(self, model: Any) -> None:
        rounds = self.schedule.rounds
        model.schedule_state.write(self.schedule.names, rounds)
        self._next_look = (rounds.number + 1) * self.schedule.every


class StopAtNonFiniteLoss(keras.callbacks.Callback):
    """Raise `NonFiniteLossError` once a step was not finite.

    The compiled step refuses the update by itself and all that follow, so the
    weights are safe however late this looks. It only notices, and looks for
    the cause in the step's batch if that can be read again.

    Args:
        mixture: The `TaskMixture` of `fit`.
    """

    # Batch hooks run in Keras' callback thread and do not slow the steps.
    async_safe = True

    def __init__(self, mixture: Any):
        super().__init__()
        self.mixture = mixture

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
        step = int(model.failed_step.numpy())
        if step < 0:
            return
        flags = keras.ops.convert_to_numpy(model.failed_tasks)
        failed = [model.task_list[i] for i in np.flatnonzero(flags)]
        # Of several tasks in one step, the first will do to find a cause.
        batch = self.mixture.batch_of_step(step, failed[0].name)
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
        return keras.ops.convert_to_numpy(self.model.skipped_steps).copy()


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
        >>> from keras_imp.training.callbacks import seen
        >>> seen({"loss": 1.0, "a/loss": float("nan"), "b/loss": 2.0})
        {'loss': 1.0, 'b/loss': 2.0}
    """
    return {
        name: value
        for name, value in (logs or {}).items()
        if "/" not in name or not math.isnan(value)
    }
