"""StableHLO files, which JAX writes; and compiled calls of layers.

Imported only where JAX is the backend.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np

from keras_imp.exporting.inputs import Input

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


def write_stablehlo(run: Any, given: Input, path: Path) -> None:
    """Write a program with its weights, for any of `PLATFORMS`.

    Args:
        run: From the input to outputs by name.
        given: The input.
        path: File to write.
    """
    names = ("batch", "length")
    free = [name for name, n in zip(names, given.shape) if n is None]
    symbols = iter(jax.export.symbolic_shape(", ".join(free)))
    shape = [next(symbols) if n is None else n for n in given.shape]

    def stateless(x):
        with keras.StatelessScope():
            return run(x)

    program = jax.export.export(jax.jit(stateless), platforms=PLATFORMS)(
        jax.ShapeDtypeStruct(shape, given.dtype)
    )
    path.write_bytes(program.serialize())


def compiled(run: Any, layers: list[Any]) -> Callable[[np.ndarray], Any]:
    """A function of Keras layers, compiled once for each shape.

    Args:
        run: Function of one tensor.
        layers: The layers whose weights it uses.

    Returns:
        The same function of an array.
    """
    variables = [v for layer in layers for v in layer.variables]

    @jax.jit
    def stateless(values, x):
        with keras.StatelessScope(list(zip(variables, values))):
            return run(x)

    return lambda x: stateless([v.value for v in variables], x)
