"""A name of a model's weights."""

import hashlib
from typing import Any

import keras
import numpy as np


def fingerprint(model: Any) -> str:
    """A name that changes with any of a model's weights.

    Args:
        model: A Keras model.

    Returns:
        A checksum of all weights: the same on each backend that loads them.

    Example:
        >>> import keras
        >>> from keras_imp.evaluation.fingerprint import fingerprint
        >>> layer = keras.layers.Dense(2)
        >>> layer.build((None, 3))
        >>> before = fingerprint(layer)
        >>> fingerprint(layer) == before
        True
        >>> layer.set_weights([w + 1 for w in layer.get_weights()])
        >>> fingerprint(layer) == before
        False
    """
    found = hashlib.blake2b(digest_size=16)
    for weight in model.weights:
        values = np.asarray(keras.ops.convert_to_numpy(weight))
        found.update(values.tobytes())
    return found.hexdigest()
