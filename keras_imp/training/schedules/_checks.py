"""Checks that several schedules share."""

import math
import numbers
from collections.abc import Iterable, Mapping

from keras_imp._errors import message


def check_task_values(what: str, values: Mapping[str, float]) -> None:
    """Raise unless the value of every task is finite and greater than 0.

    Args:
        what: What the value is, such as "weight".
        values: Values by name of the task.

    Raises:
        ValueError: If a value is 0, negative, infinite or no number.
    """
    for name, value in values.items():
        if not isinstance(value, numbers.Real) or not 0 < value < math.inf:
            raise ValueError(
                message(
                    f"The {what} of a task must be finite and greater than 0.",
                    "Leave the task out of the mixture to not train it.",
                    **{"task": name, what: value},
                )
            )


def check_names(
    what: str, given: Iterable[str], names: tuple[str, ...]
) -> None:
    """Raise unless exactly the tasks of the mixture are given.

    Args:
        what: Name of the argument.
        given: Names that the user gave.
        names: Names of the tasks.

    Raises:
        ValueError: If one is missing or too many.
    """
    if set(given) != set(names):
        raise ValueError(
            message(
                f"`{what}` of the schedule must name exactly the tasks of the "
                f"mixture, {sorted(names)}.",
                **{what: sorted(given)},
            )
        )
