"""Whether JAX compiles what is called, or runs it at once.

Imported only when JAX is the backend.
"""

from collections.abc import Iterable

import jax

from keras_imp.typing import Tensor


def is_traced(tensors: Iterable[Tensor]) -> bool:
    """Whether any of these stands for a value that is not there yet.

    Args:
        tensors: Inputs of a function.

    Returns:
        True in a compiled function or a gradient of one, False in a plain call.
    """
    return any(isinstance(tensor, jax.core.Tracer) for tensor in tensors)
