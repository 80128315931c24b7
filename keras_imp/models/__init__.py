"""Layers put together: the encoder and its sizes."""

from keras_imp.models.imp_encoder import IMPEncoder
from keras_imp.models.presets import PRESETS
from keras_imp.models.upcycle import upcycle

__all__ = ["PRESETS", "IMPEncoder", "upcycle"]
