"""What tasks refuse as targets, on the host."""

from typing import Any

import numpy as np

from keras_imp._errors import message


def target_array(y: Any, kind: str, hint: str = "") -> np.ndarray:
    """Targets as an array of numbers, checked.

    Args:
        y: Targets of a batch, or None if it has none.
        kind: What they are, for the message.
        hint: What to do if they are no numbers.

    Returns:
        The array.

    Raises:
        ValueError: If there are none, or they are no numbers.
    """
    if y is None:
        raise ValueError(
            f"A batch must be (x, y) or (x, y, sample_weight), with {kind} "
            "`y`. Received: y=None."
        )
    y = np.asarray(y)
    if y.dtype.kind not in "biuf":
        raise ValueError(
            message("`y` must be numbers.", hint, dtype=str(y.dtype))
        )
    return y


def check_rows(
    right: np.ndarray, y: np.ndarray, rule: str, name: str, hint: str = ""
) -> None:
    """Raise with the first value that is not right, and its row.

    Args:
        right: Whether each value is right, in the shape of `y`.
        y: Targets.
        rule: What must hold.
        name: What a value is, for the message.
        hint: What to do about it.

    Raises:
        ValueError: If a value is not right.
    """
    wrong = np.argwhere(~right)
    if len(wrong):
        place = tuple(wrong[0])
        found = {name: y[place].item(), "row": int(place[0])}
        raise ValueError(message(rule, hint, **found))
