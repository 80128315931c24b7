"""What lies beside an exported file: how to use it, and with which inputs."""

import json
from pathlib import Path
from typing import Any

from keras_imp._files import write_text
from keras_imp.exporting.report import ExportReport
from keras_imp.exporting.snippets import snippet
from keras_imp.exporting.subject import EMBEDDING, Subject
from keras_imp.models.imp_encoder import IMPEncoder

README, TOKENIZER, LOG_MEL = "README.md", "tokenizer.json", "log_mel.json"
FORMAT_NAMES = {
    "tf_saved_model": "A TensorFlow SavedModel",
    "onnx": "An ONNX file",
    "litert": "A LiteRT file",
    "stablehlo": "A StableHLO program of `jax.export`",
}
MEANINGS = {
    EMBEDDING: "The encoder's pooled output, not scaled to a length.",
    "logits": "Logits of the classes: softmax for one class of each example, "
    "sigmoid for several.",
    "values": "The predicted numbers.",
}
DIRECTION = "A vector of length 1, to be compared with `{}` of its other side."


def beside(path: Path) -> tuple[Path, ...]:
    """The files that may be written beside an exported one.

    Args:
        path: The exported file.

    Returns:
        Their paths.

    Example:
        >>> from pathlib import Path
        >>> from keras_imp.exporting.beside import beside
        >>> [file.name for file in beside(Path("text.onnx"))]
        ['text.README.md', 'text.tokenizer.json', 'text.log_mel.json']
    """
    names = (README, TOKENIZER, LOG_MEL)
    return tuple(path.with_name(f"{path.stem}.{name}") for name in names)


def write_beside(
    report: ExportReport, subject: Subject, preprocessor: Any
) -> None:
    """Write them.

    Args:
        report: Of the exported file.
        subject: What is in it.
        preprocessor: The `IMPPreprocessor` of the model, or None.
    """
    readme, tokenizer, log_mel = beside(report.path)
    given = subject.input
    has_tokenizer = given.limit and getattr(preprocessor, "tokenizer", None)
    if has_tokenizer:
        preprocessor.tokenizer.save(tokenizer)
    text = _heading(report, subject)
    settings = _log_mel(subject)
    if settings:
        write_text(log_mel, json.dumps(settings, indent=2) + "\n")
    text += _input(report, subject, bool(has_tokenizer))
    text += _outputs(report)
    code = snippet(report, tokenizer.name if has_tokenizer else None)
    text += f"\n## Run it\n\n```python\n{code}```\n"
    write_text(readme, text)


def _heading(report: ExportReport, subject: Subject) -> str:
    what = "the encoder's embedding"
    if subject.task is not None:
        kind = type(subject.task).__name__
        what = f"the task `{subject.task.name}` ({kind})"
    compared = f"by at most {report.max_difference:.1e}"
    if report.least_cosine is not None:
        compared += f", with a cosine of at least {report.least_cosine:.5f}"
    return (
        f"# {report.path.name}\n\n"
        f"{FORMAT_NAMES[report.format]} with {what} of "
        f"`{subject.input.name}`, exported by keras-imp. When it was written, "
        f"its outputs differed {compared} from those of the model on random "
        "inputs.\n\n"
    )


def _input(report: ExportReport, subject: Subject, has_tokenizer: bool) -> str:
    lines = [
        "| | name | shape | dtype |",
        "|---|---|---|---|",
        _row(
            "input", report.input_name, report.input_shape, report.input_dtype
        ),
        *(
            _row("output", name, shape, "float32")
            for name, shape in report.outputs.items()
        ),
        "",
        "`None` may be any size; every other size is fixed.",
    ]
    lines.append(_meaning(subject, has_tokenizer))
    return "\n".join(lines) + "\n"


def _meaning(subject: Subject, has_tokenizer: bool) -> str:
    """What the numbers of the input are."""
    given = subject.input
    if given.dtype == "uint8":
        return "Pixels are RGB values from 0 to 255; they are scaled inside."
    if given.limit:
        source = "the tokenizer of the model"
        if has_tokenizer:
            source = "the `tokenizer.json` beside this file"
        return (
            f"Token ids of {source}, below {given.limit}; 0 is padding, at "
            "the end of a row."
        )
    settings = _log_mel(subject)
    if settings and len(given.shape) == 2:
        rate = settings["sampling_rate"]
        return (
            f"Samples at {rate} Hz, one channel, in [-1, 1] if they are float. "
            "The spectrogram is made inside."
        )
    if settings:
        return (
            "A log-mel spectrogram, made with the settings in "
            "`log_mel.json` beside this file: magnitudes of a Fourier "
            "transform of Hann windows, summed into triangles of height 1 on "
            "the HTK mel scale, then `(ln(mel + 1e-6) - mean) / std`; silence "
            "is appended so that each started step gives a frame. "
            "`keras_imp.data.LogMel(**settings)` makes it."
        )
    return "Values as the model was trained on."


def _log_mel(subject: Subject) -> dict[str, Any]:
    """Arguments of the spectrogram that the input is, or is turned into."""
    encoder, name = subject.encoder, subject.input.name
    if not isinstance(encoder, IMPEncoder):
        return {}
    has = encoder.embedder_of(name).log_mel is not None
    return dict(encoder.log_mel) if has else {}


def _outputs(report: ExportReport) -> str:
    lines = []
    for name in report.outputs:
        meaning = MEANINGS.get(name, "")
        source, found, target = name.partition("_to_")
        if found:
            meaning = DIRECTION.format(f"{target}_to_{source}")
        if meaning:
            lines.append(f"- `{name}`: {meaning}")
    return "\n" + "\n".join(lines) + "\n" if lines else ""


def _row(kind: str, name: str, shape: tuple[Any, ...], dtype: str) -> str:
    return f"| {kind} | `{name}` | `{shape}` | {dtype} |"
