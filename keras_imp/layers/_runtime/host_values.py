"""The values of a tensor, where there are any, and the name of its dtype."""

import functools
import sys
from typing import Any

import keras
import numpy as np


def has_values(x: Any) -> bool:
    """Whether what a call was given has values to be looked at.

    Args:
        x: A NumPy array or a tensor of the backend.

    Returns:
        False while a function is compiled, traced or exported.

    Example:
        >>> import keras
        >>> from keras_imp.layers._runtime.host_values import has_values
        >>> has_values(keras.ops.array([1, 2])), has_values(keras.Input((2,)))
        (True, False)
    """
    if isinstance(x, np.ndarray):
        return True
    if not keras.ops.is_tensor(x) or isinstance(x, keras.KerasTensor):
        return False
    backend = keras.config.backend()
    if backend == "jax":
        from keras_imp.layers._runtime.jax_tracing import is_traced

        return not is_traced([x])
    if backend == "tensorflow":
        # A tensor of a graph has no `numpy`.
        return hasattr(x, "numpy")
    torch = sys.modules["torch"]
    return not (x.is_meta or torch.compiler.is_compiling())


def host_values(x: Any) -> np.ndarray:
    """The values of an array or a tensor that has some.

    Args:
        x: A NumPy array or a tensor of the backend.

    Returns:
        The array, without a copy where the tensor is in the host's memory.

    Example:
        >>> import keras
        >>> from keras_imp.layers._runtime.host_values import host_values
        >>> host_values(keras.ops.array([1, 2])).tolist()
        [1, 2]
    """
    return x if isinstance(x, np.ndarray) else keras.ops.convert_to_numpy(x)


def dtype_of(values: Any) -> str:
    """Name of the dtype of an array, also of what Keras does not know.

    Args:
        values: An array or a tensor.

    Returns:
        Such as `"float32"`, `"bfloat16"`, `"<U5"`, `"object"`.

    Example:
        >>> import numpy as np
        >>> from keras_imp.layers._runtime.host_values import dtype_of
        >>> dtype_of(np.array(["a cat"]))
        '<U5'
    """
    return _name_of(values.dtype)


@functools.lru_cache
def _name_of(dtype: Any) -> str:
    # NumPy and Keras take longer for a name than for the check of a batch.
    if isinstance(dtype, np.dtype) and dtype.kind in "OSUMmcT":
        return str(dtype)
    return keras.backend.standardize_dtype(dtype)
