"""Masked modeling: mask some tokens or patches, and predict them."""

from keras_imp.tasks.masked.task import MaskedModeling

__all__ = ["MaskedModeling"]
