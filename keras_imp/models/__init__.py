"""Layers put together: the encoder and its sizes.

`IMPEncoder` needs keras-hub, which loads TensorFlow on any backend: what only
uses another module of this package should not wait for it.
"""

from keras_imp._lazy import lazy

_HOMES = {
    "IMPEncoder": "keras_imp.models.imp_encoder",
    "PRESETS": "keras_imp.models.presets",
    "upcycle": "keras_imp.models.sparse.upcycling",
}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = lazy(globals(), _HOMES)
