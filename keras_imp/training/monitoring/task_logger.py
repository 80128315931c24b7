"""A callback that adds values to the logs of `fit`."""

import abc
import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from keras_imp._errors import message
from keras_imp._repr import ShowsArguments


class TaskLogger(ShowsArguments, keras.callbacks.Callback, abc.ABC):
    """Adds values to the logs of an epoch, for all callbacks that read them.

    `fit` of an `AlternatingModel` calls it before the callbacks that do, such
    as `keras.callbacks.TensorBoard` and `CSVLogger`, wherever it stands in the
    list.
    """

    @abc.abstractmethod
    def log_names(self, tasks: tuple[str, ...]) -> set[str]:
        """Names of all values that some epoch of a run can have.

        Args:
            tasks: Names of the tasks of the mixture.

        Returns:
            The names.
        """

    def on_train_begin(self, logs: dict | None = None) -> None:
        check_has_tasks(self.model, type(self).__name__)


def check_has_tasks(model: Any, callback: str) -> None:
    """Raise unless a model has tasks, as `AlternatingModel` has.

    Args:
        model: What a callback was given to.
        callback: Name of the callback, for the message.

    Raises:
        ValueError: If it has none.
    """
    if not hasattr(model, "schedule_state"):
        raise ValueError(
            message(
                f"{callback} needs a model with tasks, such as "
                "keras_imp.AlternatingModel.",
                model=type(model).__name__,
            )
        )


@contextlib.contextmanager
def unchanged_random_state(model: Any) -> Iterator[None]:
    """Draw from the backend's own generator without changing what comes next.

    Args:
        model: An `AlternatingModel`.
    """
    devices = model.program.devices
    state = devices.global_random_state()
    try:
        yield
    finally:
        if state is not None:
            devices.set_global_random_state(state)
