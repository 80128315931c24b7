"""Data in: files and arrays to batches, and the bundled playground.

Names load when they are first used, so that `from keras_imp.data import
playground` costs no more than the module it names.
"""

import importlib
from typing import Any

_HOMES = {
    "Arrays": "keras_imp.data.arrays",
    "LogMel": "keras_imp.data.audio",
    "ResizedArrays": "keras_imp.data.resized_arrays",
    "Shape": "keras_imp.data.shapes",
    "Tokenizer": "keras_imp.data.text",
    "drop_tokens": "keras_imp.data.dropping",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
