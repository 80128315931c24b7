"""Batches of files: rows of a manifest, decoded when they are asked for."""

from keras_imp._lazy import lazy

# Loaded when used: a reader of rows needs no batches.
_HOMES = {
    "Quarantine": "keras_imp.data.records.quarantine",
    "Records": "keras_imp.data.records.records",
    "RowReader": "keras_imp.data.records.row_reader",
    "TooManyBadFilesError": "keras_imp.data.records.quarantine",
}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = lazy(globals(), _HOMES)
