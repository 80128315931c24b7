"""Weights in half the bytes: rounded to float16 in the file.

Keras casts what it reads to the dtype of the variable, so that a model has
float32 weights again, with the values of float16.
"""

from pathlib import Path

import h5py
import numpy as np

from keras_imp._errors import message
from keras_imp._files import commit, unfinished


def round_to_float16(path: Path) -> None:
    """Round the weights of a file, which is replaced.

    What has 16 bits or less, and integers, stay as they are.

    Args:
        path: A file that `keras.Model.save_weights` wrote.

    Raises:
        ValueError: If a weight is too large for float16.

    Example:
        >>> import h5py
        >>> from pathlib import Path
        >>> from keras_imp.models.presets.rounding import round_to_float16
        >>> with h5py.File("a.weights.h5", "w") as file:
        ...     file["kernel"] = 0.1
        >>> round_to_float16(Path("a.weights.h5"))
        >>> with h5py.File("a.weights.h5") as file:
        ...     print(file["kernel"].dtype)
        float16
    """
    rounded = unfinished(path)
    try:
        with h5py.File(path) as source, h5py.File(rounded, "w") as target:
            _copy(source, target)
        commit(rounded, path)
    finally:
        rounded.unlink(missing_ok=True)


def _copy(source: h5py.Group, target: h5py.Group) -> None:
    """Copy a group with all that is in it."""
    for name, value in source.attrs.items():
        target.attrs[name] = value
    for name, item in source.items():
        if isinstance(item, h5py.Group):
            _copy(item, target.create_group(name))
        elif item.dtype.kind == "f" and item.dtype.itemsize > 2:
            written = target.create_dataset(name, data=_rounded(item))
            for key, value in item.attrs.items():
                written.attrs[key] = value
        else:
            source.copy(item, target, name=name)


def _rounded(values: h5py.Dataset) -> np.ndarray:
    exact = values[()]
    most = np.max(np.abs(exact), initial=0.0)
    limit = np.finfo("float16").max
    if most > limit:
        raise ValueError(
            message(
                f"A weight must be at most {limit:g} to be saved as float16.",
                "Save it with weights_dtype=None.",
                weight=values.name,
                largest=float(most),
            )
        )
    return exact.astype("float16")
