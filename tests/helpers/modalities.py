"""A registry of modalities that tests leave as they found it."""

import contextlib

from keras_imp.models.modalities import MODALITIES


@contextlib.contextmanager
def restored_registry():
    """What is registered inside is forgotten afterwards."""
    before = dict(MODALITIES)
    try:
        yield
    finally:
        MODALITIES.clear()
        MODALITIES.update(before)
