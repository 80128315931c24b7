"""Files that TensorFlow writes or converts.

Imported only in processes that export.
"""

from pathlib import Path
from typing import Any

import tensorflow as tf

from keras_imp.exporting.inputs import Input

# Of ONNX: the newest that tf2onnx writes.
OPSET = 18
SIGNATURE = "serving_default"


def write_saved_model(run: Any, given: Input, path: Path, layers: list) -> None:
    """Write a SavedModel with one signature.

    Args:
        run: From the input to outputs by name.
        given: The input.
        path: Folder to write.
        layers: Keras layers whose weights `run` uses.
    """
    module = _module(run, given, layers)
    # Each weight once: `keras.Model.export` stores it twice.
    tf.saved_model.save(module, path, signatures={SIGNATURE: module.run})


def write_litert(
    run: Any, given: Input, path: Path, layers: list, quantized: bool = False
) -> None:
    """Write a file for LiteRT, only with operations of its own.

    Args:
        run: From the input to outputs by name.
        given: The input.
        path: File to write.
        layers: Keras layers whose weights `run` uses.
        quantized: Whether weights are int8 ("dynamic range").
    """
    module = _module(run, given, layers)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.run.get_concrete_function()], module
    )
    if quantized:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    path.write_bytes(converter.convert())


def write_onnx(run: Any, given: Input, path: Path) -> None:
    """Write a file for ONNX.

    Args:
        run: From the input to outputs by name.
        given: The input.
        path: File to write.
    """
    import onnx
    import tf2onnx

    signature = [_spec(given)]
    model, _ = tf2onnx.convert.from_function(
        tf.function(run, signature), signature, opset=OPSET
    )
    # Names for what may have any size; the converter numbers them.
    names = {0: "batch", 1: "length"}
    for value in (*model.graph.input, *model.graph.output):
        for axis, size in enumerate(value.type.tensor_type.shape.dim):
            if not size.HasField("dim_value"):
                size.dim_param = names[axis]
    onnx.save(model, path)


def _module(run: Any, given: Input, layers: list) -> tf.Module:
    module = tf.Module()
    module.weights = [v.value for layer in layers for v in layer.variables]
    module.run = tf.function(run, [_spec(given)])
    return module


def _spec(given: Input) -> tf.TensorSpec:
    return tf.TensorSpec(given.shape, given.dtype, name=given.name)
