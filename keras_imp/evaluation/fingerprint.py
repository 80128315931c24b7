"""Whether a model's weights have changed."""

import zlib
from typing import Any

import keras
import numpy as np


def fingerprint(model: Any) -> int:
    """A number that changes with any of a model's weights.

    Args:
        model: A Keras model.

    Returns:
        A checksum of the bytes of all weights.

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
    found = 0
    for weight in model.weights:
        values = np.asarray(keras.ops.convert_to_numpy(weight))
        found = zlib.crc32(values.tobytes(), found)
    return found
