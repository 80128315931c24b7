"""Values of variables as NumPy arrays."""

import keras
import numpy as np
from keras import ops


def value_of(variable: keras.Variable) -> np.ndarray:
    """A copy of the value of a variable.

    `Variable.numpy()` and `ops.convert_to_numpy(variable)` make NumPy 2 warn:
    up to Keras 3.15, `Variable.__array__` has no argument `copy`.

    Args:
        variable: The variable.

    Returns:
        The array; nothing that happens to the variable changes it.

    Example:
        >>> import keras
        >>> from keras_imp._values import value_of
        >>> float(value_of(keras.Variable(3.0)))
        3.0
    """
    # The copy is a tensor: variables of several replicas on TensorFlow are no
    # arrays to NumPy. Nor is a scalar in bfloat16 there, but a vector is.
    flat = ops.reshape(ops.copy(variable.value), (-1,))
    return np.array(ops.convert_to_numpy(flat)).reshape(variable.shape)
