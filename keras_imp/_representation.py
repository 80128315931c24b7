"""What an object prints as: how to make it."""

import inspect
from typing import Any

import numpy as np


def representation(obj: Any) -> str:
    """The call that makes an object, from the arguments that it keeps.

    Args:
        obj: An object that keeps arguments of its constructor under their
            names; those that it does not keep are left out.

    Returns:
        Text for `__repr__`; arrays in it are their dtype and shape.

    Example:
        >>> import keras_imp
        >>> keras_imp.schedules.Intervals({"a": 1, "b": 4})
        Intervals(intervals={'a': 1, 'b': 4})
    """
    names = inspect.signature(type(obj)).parameters
    kept = [
        f"{name}={_text(getattr(obj, name))}"
        for name in names
        if hasattr(obj, name)
    ]
    return f"{type(obj).__name__}({', '.join(kept)})"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        parts = (f"{key!r}: {_text(part)}" for key, part in value.items())
        return f"{{{', '.join(parts)}}}"
    if isinstance(value, np.ndarray):
        return f"<{value.dtype} {value.shape}>"
    if inspect.isroutine(value):
        return value.__name__
    return repr(value)
