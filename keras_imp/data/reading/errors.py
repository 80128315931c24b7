"""The one error of data that cannot be read: a rule, and a reason word."""

import os
from collections.abc import Sequence
from typing import Any

from keras_imp._errors import message
from keras_imp.data import paths

# How many of many faults a message shows.
SHOWN = 5


class ReadError(ValueError):
    """Data that cannot be read, or must not be.

    Args:
        reason: A stable word, the same for every fault of a kind:
            `"columns"`, `"empty"`, `"encoding"`, `"missing"`, `"outside"`,
            `"permission"`, `"pickle"`, `"syntax"`, `"truncated"` or
            `"unsupported"`.
        rule: What must hold, as one sentence.
        hint: What to do about it, as one sentence.
        faults: All places with the fault; the message shows five.
        **received: Values to show.

    Example:
        >>> from keras_imp.data.reading.errors import ReadError
        >>> error = ReadError("empty", "A table needs rows.", path="a.csv")
        >>> error.reason, str(error)
        ('empty', "A table needs rows. Received: path='a.csv'.")
    """

    def __init__(
        self,
        reason: str,
        rule: str,
        hint: str = "",
        *,
        faults: Sequence[str] = (),
        **received: Any,
    ):
        self.reason = reason
        self.faults = list(faults)
        if faults:
            received["faults"] = _Listed(self.faults)
        super().__init__(message(rule, hint, **received))


def unreadable(path: str | os.PathLike, error: OSError) -> ReadError:
    """The error of a file or a folder that the system does not give.

    Args:
        path: The file or folder.
        error: What the system said.

    Returns:
        The error to raise.
    """
    reason = "permission" if isinstance(error, PermissionError) else "missing"
    return ReadError(
        reason,
        "The data must be there, with the permission to read it.",
        f"{error.strerror}.",
        path=paths.shown(path),
    )


class _Listed:
    """Shows some of many faults."""

    def __init__(self, faults: list[str]):
        self._faults = faults

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self._faults[:SHOWN]))
        more = len(self._faults) - SHOWN
        return f"[{shown}]" + (f" and {more} more" if more > 0 else "")
