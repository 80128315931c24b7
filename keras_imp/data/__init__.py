"""Data in: files and arrays to batches, and the bundled playground.

Names load when they are first used, so that `from keras_imp.data import
playground` costs no more than the module it names.
"""

from keras_imp._lazy import lazy

_HOMES = {
    "Arrays": "keras_imp.data.arrays",
    "LogMel": "keras_imp.data.audio",
    "Manifest": "keras_imp.data.manifest.manifest",
    "Plan": "keras_imp.data.shapes.plan",
    "PlannedShape": "keras_imp.data.shapes.plan",
    "Quarantine": "keras_imp.data.records.quarantine",
    "Records": "keras_imp.data.records.records",
    "ResizedArrays": "keras_imp.data.shapes.resized_arrays",
    "Shape": "keras_imp.data.shapes.shape",
    "Tokenizer": "keras_imp.data.text",
    "augment": "keras_imp.data.augment",
    "decoding": "keras_imp.data.decoding",
    "drop_tokens": "keras_imp.data.shapes.dropping",
    "paths": "keras_imp.data.paths",
    "playground": "keras_imp.data.playground",
    "read": "keras_imp.data.reading.read",
}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = lazy(globals(), _HOMES)
