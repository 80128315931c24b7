"""ONNX files with weights in 8 bits."""

from pathlib import Path


def quantize(source: Path, target: Path) -> None:
    """Write a file with int8 weights, one scale for each column of a matrix.

    Experts are stacks of matrices. ONNX Runtime multiplies a stack in 8 bits
    only if one scale is that of all of it.

    Weights have 7 of the 8 bits. A processor without VNNI adds two products of
    an input of 8 bits and a weight in 16 bits, where those of 8 bits overflow:
    the file would be right where it was checked and wrong where it is run.

    Args:
        source: An ONNX file.
        target: The file to write.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    weights = {"weight_type": QuantType.QInt8, "reduce_range": True}
    stacks = _products_of_stacks(source)
    quantize_dynamic(
        source, target, per_channel=True, nodes_to_exclude=stacks, **weights
    )
    if stacks:
        quantize_dynamic(target, target, nodes_to_quantize=stacks, **weights)


def _products_of_stacks(path: Path) -> list[str]:
    """Names of the products whose weights have more than two axes."""
    import onnx

    graph = onnx.load(path).graph
    stacks = {array.name for array in graph.initializer if len(array.dims) > 2}
    return [
        node.name
        for node in graph.node
        if node.op_type == "MatMul" and node.input[1] in stacks
    ]
