"""Layers put together: the encoder and its sizes.

`IMPEncoder` needs keras-hub, which loads TensorFlow on any backend: what only
uses another module of this package should not wait for it.
"""

from keras_imp._lazy import loader

_HOMES = {
    "IMPEncoder": "keras_imp.models.imp_encoder",
    "PRESETS": "keras_imp.models.presets",
    "upcycle": "keras_imp.models.upcycling",
}

__all__ = sorted(_HOMES)

__getattr__ = loader(globals(), _HOMES)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
