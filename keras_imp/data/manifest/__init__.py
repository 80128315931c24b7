"""What a data set has in each row, before anything is decoded."""

from keras_imp._lazy import lazy

# Loaded when used: readers need the columns only, and a manifest needs them.
_HOMES = {"Manifest": "keras_imp.data.manifest.manifest"}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = lazy(globals(), _HOMES)
