"""One wording for every error: rule. Received: name=value. What to do."""

import numbers
from collections.abc import Iterable
from typing import Any


def message(rule: str, hint: str = "", /, **received: Any) -> str:
    """Compose an error message in the package's one shape.

    Args:
        rule: What must hold, as one sentence.
        hint: What to do about it, as one sentence.
        **received: The offending arguments by the name the user typed.

    Returns:
        The message.

    Example:
        >>> from keras_imp._errors import message
        >>> message("`rate` must be below 1.", "Use 0.5.", rate=2)
        '`rate` must be below 1. Received: rate=2. Use 0.5.'
    """
    values = ", ".join(f"{name}={value!r}" for name, value in received.items())
    parts = [rule, f"Received: {values}." if values else "", hint]
    return " ".join(part for part in parts if part)


def outline(value: Any) -> Any:
    """What to show of a value in a message: no array with all its numbers.

    Args:
        value: Anything.

    Returns:
        Numbers and strings as they are, the shape of an array, the name of a
        class or a function, else the name of the type; these also in dicts,
        lists and tuples.

    Example:
        >>> import numpy as np
        >>> from keras_imp._errors import outline
        >>> outline({"image": np.zeros((2, 3)), "text": None})
        {'image': (2, 3), 'text': 'NoneType'}
    """
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        return {key: outline(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [outline(part) for part in value]
    shape = getattr(value, "shape", None)
    if isinstance(shape, Iterable):
        return tuple(shape)
    return getattr(value, "__name__", type(value).__name__)


def check_positive(**values: float) -> None:
    """Raise unless every value is greater than 0.

    Args:
        **values: Numbers by the name the user typed.

    Raises:
        ValueError: If a value is 0 or negative.

    Example:
        >>> from keras_imp._errors import check_positive
        >>> check_positive(num_layers=2)
    """
    for name, value in values.items():
        if value is None or not value > 0:
            raise ValueError(
                message(f"`{name}` must be greater than 0.", **{name: value})
            )


def check_integer(least: int = 1, /, **values: Any) -> None:
    """Raise unless every value is an integer of at least some number.

    Args:
        least: The number.
        **values: Values by the name the user typed.

    Raises:
        ValueError: If a value is smaller, or no integer.

    Example:
        >>> from keras_imp._errors import check_integer
        >>> check_integer(batch_size=32)
    """
    for name, value in values.items():
        is_integer = isinstance(value, numbers.Integral)
        if not is_integer or isinstance(value, bool) or value < least:
            raise ValueError(
                message(
                    f"`{name}` must be an integer of at least {least}.",
                    **{name: value},
                )
            )


def check_choice(choices: tuple[Any, ...], **values: Any) -> None:
    """Raise unless every value is one of the choices.

    Args:
        choices: The allowed values.
        **values: The values by the name the user typed.

    Raises:
        ValueError: If a value is not among the choices.

    Example:
        >>> from keras_imp._errors import check_choice
        >>> check_choice(("mean", "token"), pooling="mean")
    """
    for name, value in values.items():
        if value not in choices:
            raise ValueError(
                message(f"`{name}` must be one of {choices}.", **{name: value})
            )


def check_rate(**values: float) -> None:
    """Raise unless every value is in [0, 1).

    Args:
        **values: Rates by the name the user typed.

    Raises:
        ValueError: If a rate is negative, 1 or more.

    Example:
        >>> from keras_imp._errors import check_rate
        >>> check_rate(dropout=0.1)
    """
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ValueError(
                message(f"`{name}` must be in [0, 1).", **{name: value})
            )
