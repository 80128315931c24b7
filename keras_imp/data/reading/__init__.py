"""Readers: tables, folders and archives to the columns of a manifest."""

from keras_imp._lazy import lazy

_HOMES = {
    "ReadError": "keras_imp.data.reading.errors",
    "read": "keras_imp.data.reading.read",
}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = lazy(globals(), _HOMES)
