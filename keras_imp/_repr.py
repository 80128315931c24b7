"""Reprs that say what an object is, instead of where it lies in memory."""

import functools
import inspect
from collections.abc import Mapping
from typing import Any

# Longest text of one value, and most items of a collection.
LONGEST = 60
MOST = 4
_MISSING = object()


class ShowsArguments:
    """Shows an object as the call of its constructor.

    Of the arguments, those are shown that the object keeps under their name
    and that are not the defaults.

    Example:
        >>> import numpy as np, keras_imp
        >>> keras_imp.schedules.Weighted({"objects": 2.0}, temperature=1.0)
        Weighted(weights={'objects': 2.0})
        >>> keras_imp.data.Arrays(
        ...     {"image": np.zeros((8, 4, 4, 3), "uint8")}, batch_size=2)
        Arrays(x={'image': <uint8 (8, 4, 4, 3)>}, batch_size=2, drop_last=True)
    """

    def __repr__(self) -> str:
        return called(type(self).__name__, **_arguments(self))


def called(name: str, /, **arguments: Any) -> str:
    """A call, as text.

    Args:
        name: Name of the class.
        **arguments: Its arguments.

    Returns:
        The text, with long values shortened.

    Example:
        >>> from keras_imp._repr import called
        >>> called("Range", start=0, steps=list(range(9)))
        'Range(start=0, steps=[0, 1, 2, 3, ...])'
    """
    inside = (f"{key}={shown(value)}" for key, value in arguments.items())
    return f"{name}({', '.join(inside)})"


def shown(value: Any) -> str:
    """A value, as short text.

    Args:
        value: Anything.

    Returns:
        The text: of an array its dtype and shape, of a function its name, of a
        collection the first items.
    """
    if isinstance(value, Mapping):
        items = [f"{k!r}: {shown(v)}" for k, v in _first(value.items())]
        return f"{{{', '.join(items + _more(value))}}}"
    if type(value) in (list, tuple):
        items = [*map(shown, _first(value)), *_more(value)]
        if type(value) is list:
            return f"[{', '.join(items)}]"
        return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"<{value.dtype} {tuple(value.shape)}>"
    if isinstance(value, functools.partial):
        return shown(value.func)
    if callable(value) and hasattr(value, "__name__"):
        return value.__name__
    if type(value).__module__.startswith("keras_imp."):
        return repr(value)
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _arguments(value: Any) -> dict[str, Any]:
    """Arguments of the constructor that are kept and no defaults."""
    found = {}
    for name, parameter in inspect.signature(type(value)).parameters.items():
        kept = getattr(value, name, _MISSING)
        if kept is not _MISSING and not _is_same(kept, parameter.default):
            found[name] = kept
    return found


def _is_same(value: Any, default: Any) -> bool:
    # Arrays would be compared one by one.
    plain = isinstance(value, bool | int | float | str | tuple)
    return value is default or (plain and value == default)


def _first(values: Any) -> list[Any]:
    return [value for _, value in zip(range(MOST), values)]


def _more(values: Any) -> list[str]:
    return ["..."] if len(values) > MOST else []
