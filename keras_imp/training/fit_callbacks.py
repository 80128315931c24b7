"""The callbacks of one `fit`: the user's, and those that a mixture needs."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from keras_imp.training.checkpoint.backup import Backup
from keras_imp.training.checkpoint.trained_weights import TrainedWeights
from keras_imp.training.input.checks import check_rounds
from keras_imp.training.input.position import MixturePosition
from keras_imp.training.input.reader import MixtureReader
from keras_imp.training.monitoring.adapted import adapt
from keras_imp.training.monitoring.batch_sizes import CompareBatchSizes
from keras_imp.training.monitoring.history import TaskHistory
from keras_imp.training.monitoring.non_finite import (
    StopAtNonFiniteLoss,
    WarnOfSkippedSteps,
)
from keras_imp.training.monitoring.progress import shown
from keras_imp.training.monitoring.task_logger import TaskLogger
from keras_imp.training.schedules import AdaptiveSchedule
from keras_imp.training.schedules.callback import DecideRounds


@contextlib.contextmanager
def fit_callbacks(
    callbacks: Any,
    reader: MixtureReader,
    validation: MixtureReader | None,
    *,
    names: frozenset[str],
    verbose: Any,
    continues: bool,
    steps_per_execution: int,
) -> Iterator[list[keras.callbacks.Callback]]:
    """The user's callbacks, between those that show and those that steer.

    What they open is closed however the `fit` ends.

    Args:
        callbacks: What `fit` was given.
        reader: What reads the mixture of `fit`.
        validation: What reads the mixture to validate on.
        names: Names of all values that some epoch can have.
        verbose: As in Keras.
        continues: Whether the run of the `fit` before continues.
        steps_per_execution: Steps between two calls of callbacks.

    Yields:
        The callbacks in the order in which they are called.

    Raises:
        ValueError: If an adaptive schedule has too short rounds.
    """
    with contextlib.ExitStack() as stack:
        for each in (reader, validation):
            if each is not None:
                stack.enter_context(contextlib.closing(each))
        given = stack.enter_context(shown(callbacks, verbose))
        weights = TrainedWeights(given)
        backups = [c for c in given if isinstance(c, Backup)]
        for backup in backups:
            stack.enter_context(backup.attached(reader, weights))
        own = any(isinstance(c, keras.callbacks.History) for c in given)
        loggers = [c for c in given if isinstance(c, TaskLogger)]
        for logger in loggers:
            names |= logger.log_names(reader.mixture.names)
        others = [c for c in given if not isinstance(c, TaskLogger)]
        yield [
            *([weights] if backups else []),
            # Before those that read the logs.
            *loggers,
            *(adapt(callback, names) for callback in others),
            # After the user's own: Backup and BackupAndRestore restore first.
            MixturePosition(reader, continues),
            *_deciding(reader, steps_per_execution),
            StopAtNonFiniteLoss(reader),
            WarnOfSkippedSteps(),
            *([CompareBatchSizes(reader, validation)] if validation else []),
            *([] if own else [TaskHistory()]),
        ]


def _deciding(reader: MixtureReader, steps_per_execution: int) -> list:
    """The callback that an adaptive schedule needs."""
    schedule = reader.mixture.schedule
    if not isinstance(schedule, AdaptiveSchedule):
        return []
    check_rounds(schedule.every, reader.mixture.prefetch, steps_per_execution)
    return [DecideRounds(schedule)]
