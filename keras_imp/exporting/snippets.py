"""Code that runs an exported file, for the README beside it."""

from keras_imp.exporting.report import ExportReport

_IMPORTS = {
    "tf_saved_model": "import numpy as np\nimport tensorflow as tf\n",
    "onnx": "import numpy as np\nimport onnxruntime\n",
    "litert": (
        "import numpy as np\n"
        "from ai_edge_litert.interpreter import Interpreter\n"
    ),
    "stablehlo": (
        "from pathlib import Path\n\n"
        "import numpy as np\n"
        "from jax import export\n"
    ),
}
_RUN = {
    "tf_saved_model": (
        'run = tf.saved_model.load("{file}").signatures["serving_default"]\n'
        "outputs = run({name}=tf.constant(x))\n"
    ),
    "onnx": (
        'session = onnxruntime.InferenceSession("{file}")\n'
        "names = [output.name for output in session.get_outputs()]\n"
        'outputs = dict(zip(names, session.run(names, {{"{name}": x}})))\n'
    ),
    "litert": (
        'run = Interpreter("{file}").get_signature_runner()\n'
        "outputs = run({name}=x)\n"
    ),
    "stablehlo": (
        'program = export.deserialize(bytearray(Path("{file}").read_bytes()))\n'
        "outputs = program.call(x)\n"
    ),
}
_PRINT = (
    "for name, values in outputs.items():\n"
    "    print(name, values.shape, values.dtype)\n"
)


def snippet(report: ExportReport, tokenizer: str | None = None) -> str:
    """A program that runs a file from the folder that it is in.

    Args:
        report: Of the file.
        tokenizer: Name of the tokenizer beside it, or None.

    Returns:
        The program.

    Example:
        >>> from pathlib import Path
        >>> from keras_imp.exporting import ExportReport
        >>> from keras_imp.exporting.snippets import snippet
        >>> code = snippet(ExportReport(Path("a.onnx"), "onnx", "image",
        ...     (None, 8, 8, 3), "uint8", {"embedding": (None, 4)}, 0.0, 1))
        >>> print(code.splitlines()[3])
        x = np.zeros((2, 8, 8, 3), "uint8")  # Your inputs.
    """
    imports = _IMPORTS[report.format]
    shape = tuple(
        size if size is not None else (2, 6)[min(axis, 1)]
        for axis, size in enumerate(report.input_shape)
    )
    kind = "ones" if report.input_dtype == "int32" else "zeros"
    given = f'x = np.{kind}({shape}, "{report.input_dtype}")  # Your inputs.\n'
    if tokenizer is not None:
        imports += "from tokenizers import Tokenizer\n"
        given = (
            f'tokenizer = Tokenizer.from_file("{tokenizer}")\n'
            'texts = ["a red heart", "a leaf"]  # Your texts.\n'
            "x = np.array([e.ids for e in tokenizer.encode_batch(texts)], "
            f'"{report.input_dtype}")\n'
        )
    run = _RUN[report.format].format(
        file=report.path.name, name=report.input_name
    )
    return f"{imports}\n{given}{run}{_PRINT}"
