"""The outputs that a file must have: those of the model itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_imp.exporting.description import read_description
from keras_imp.exporting.full_precision import full_precision
from keras_imp.exporting.subject import Subject

Arrays = dict[str, np.ndarray]


def reference_outputs(
    subject: Subject, folder: Path, inputs: list[np.ndarray]
) -> list[Arrays]:
    """Outputs of a subject in float32, on the backend of this process.

    Args:
        subject: The subject.
        folder: Its description, for a float32 copy of a model that computes
            in another dtype.
        inputs: Batches of its input.

    Returns:
        For each batch, arrays by name.
    """
    dtypes = {layer.compute_dtype for layer in subject.layers}
    if dtypes != {"float32"}:
        subject = read_description(folder)
    run = _compiled(subject)
    with full_precision():
        return [
            {k: ops.convert_to_numpy(v) for k, v in run(x).items()}
            for x in inputs
        ]


def _compiled(subject: Subject) -> Callable[[np.ndarray], Any]:
    """Compiled where calls are slow that are not."""
    run = subject.outputs()
    if keras.config.backend() != "jax":
        return lambda x: run(ops.convert_to_tensor(x))
    from keras_imp.exporting.jax_files import compiled

    return compiled(run, subject.layers)
