"""What `tf.data.Dataset.map` calls: tensors come without their values."""

import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_imp._errors import message
from keras_imp.data.examples import RANKS


def is_symbolic(x: Any) -> bool:
    """Whether any part is a TensorFlow tensor whose values come later.

    Args:
        x: Examples by modality.

    Returns:
        True within `tf.data.Dataset.map` and other graphs of TensorFlow.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data.tensorflow_map import is_symbolic
        >>> is_symbolic({"image": np.zeros((8, 8, 3))})
        False
    """
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and any(
        map(tensorflow.is_symbolic_tensor, keras.tree.flatten(x))
    )


def call_in_graph(
    function: Callable[[dict[str, Any]], dict[str, np.ndarray]],
    x: dict[str, Any],
    specs: dict[str, keras.InputSpec],
) -> dict[str, Any]:
    """Call a function of arrays and strings once tensors have their values.

    Args:
        function: From one example, or a batch, by modality to arrays.
        x: Symbolic tensors by modality; texts are strings.
        specs: Shape and dtype of a batch of each modality.

    Returns:
        Symbolic tensors, of known shape but for the batch.

    Raises:
        ValueError: If the rank of a tensor is unknown.

    Example:
        >>> import keras_imp
        >>> preprocessor = keras_imp.IMPPreprocessor(image=(32, 32))
        >>> import tensorflow as tf
        >>> x = tf.data.Dataset.from_tensors({"image": tf.zeros((9, 9, 3))})
        >>> x.map(preprocessor).element_spec["image"].shape
        TensorShape([32, 32, 3])
    """
    import tensorflow as tf

    is_batch = [_is_batch(name, part) for name, part in x.items()]

    def run(*values: Any) -> list[np.ndarray]:
        values = tuple(map(_plain, values))
        made = function(keras.tree.pack_sequence_as(x, values))
        return [made[name] for name in x]

    leaves = keras.tree.flatten(x)
    made = tf.numpy_function(run, leaves, [specs[name].dtype for name in x])
    for name, tensor, several in zip(x, made, is_batch):
        shape = specs[name].shape
        tensor.set_shape(shape if several else shape[1:])
    return dict(zip(x, made))


def _is_batch(name: str, part: Any) -> bool:
    """As `examples.several_of` will see it."""
    if not hasattr(part, "shape"):  # A recording and its rate.
        return False
    if part.shape.rank is None:
        raise ValueError(
            message(
                "A tensor must have a known rank.",
                "Use tf.ensure_shape or set_shape before.",
                modality=name,
                rank=None,
            )
        )
    return part.shape.rank > RANKS.get(name, 0)


def _plain(value: Any) -> Any:
    """Texts as strings; TensorFlow has bytes."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [text.decode() for text in value]
    return value
