"""What a file of a model holds: a group for each layer, with its variables.

Keras decides the paths, so they are asked of it.
"""

from typing import Any

import keras

from keras_imp._keras_private import saved_groups


def structure(layer: keras.Layer) -> dict[str, dict[str, Any]]:
    """What a layer saves, but for its optimizer.

    Args:
        layer: A layer or a model.

    Returns:
        By path of the group in a file: variables or arrays by name.

    Example:
        >>> import keras
        >>> from keras_imp._saving.structure import structure
        >>> model = keras.Sequential([keras.layers.Dense(2)])
        >>> model.build((None, 3))
        >>> {path: list(found) for path, found in structure(model).items()}
        {'': [], 'layers/dense': ['0', '1']}
    """
    return saved_groups(layer, skipped=getattr(layer, "optimizer", None))
