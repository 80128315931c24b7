"""`keras-imp export`: options, what is loaded, what is printed.

It ends with 0 when the file was kept; with 1 if it failed; with 2 where its
options cannot be followed.
"""

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_imp._errors import message
from keras_imp.cli.run_options import (
    Backend,
    UsageError,
    check_backend,
    default_backend,
    fail,
    load_backend,
)
from keras_imp.models.presets import PRESETS

if TYPE_CHECKING:
    from keras_imp.exporting import ExportReport

# In the folder of a run.
MODEL, ENCODER = "model.keras", "encoder"


class Form(enum.StrEnum):
    """Formats that `keras_imp.export` writes."""

    TF_SAVED_MODEL = "tf_saved_model"
    ONNX = "onnx"
    LITERT = "litert"
    STABLEHLO = "stablehlo"


class Quantize(enum.StrEnum):
    """How weights can be quantized."""

    INT8 = "int8"


def export(
    source: Annotated[
        str,
        typer.Argument(
            help="The folder of a run or a preset, a .keras file, or the name "
            "of a preset."
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="The file; of a SavedModel, a folder.")
    ],
    form: Annotated[
        Form, typer.Option("--format", help="Format of the file.")
    ] = Form.TF_SAVED_MODEL,
    modality: Annotated[
        str | None,
        typer.Option(help="The input. Default: the only one there is."),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="Task whose outputs are wanted. Default: the encoder's "
            "embedding."
        ),
    ] = None,
    quantize: Annotated[
        Quantize | None,
        typer.Option(help="Weights in 8 bits, with onnx and litert."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="N[xN...]",
            help="Size of the input, such as 224x224. Default: that of the "
            "preprocessor beside the model.",
        ),
    ] = None,
    backend: Annotated[
        Backend | None,
        typer.Option(
            help="Keras backend that the file is compared with. Default: "
            "KERAS_BACKEND, or the first that is installed."
        ),
    ] = None,
) -> None:
    """Write a modality of an encoder, or a task, for another runtime."""
    try:
        chosen = backend.value if backend else default_backend()
        check_backend(chosen)
    except UsageError as error:
        fail(str(error), code=2)
    load_backend(chosen)
    options = {
        "modality": modality,
        "task": task,
        "format": form.value,
        "quantize": quantize and quantize.value,
    }
    try:
        report = _export(source, out, size, options)
    except (ValueError, TypeError, FileExistsError) as error:
        fail(str(error), code=2)
    except (RuntimeError, ImportError, OSError) as error:
        fail(str(error), code=1)
    typer.echo(str(report))
    shape = ", ".join(
        "any" if n is None else str(n) for n in report.input_shape
    )
    typer.echo(
        f"Input {report.input_name!r}: {report.input_dtype}, shape ({shape})"
    )


def _export(
    source: str, out: Path, size: str | None, options: dict[str, Any]
) -> "ExportReport":
    import keras_imp

    model = _load(source)
    shape = None
    if size is not None:
        known = tuple(getattr(model, "encoder", model).modalities)
        name = options["modality"] or (known[0] if len(known) == 1 else None)
        shape = _shape(size, name)
    return keras_imp.export(
        model,
        out,
        input_shape=shape,
        preprocessor=_preprocessor(source),
        **options,
    )


def _load(source: str) -> Any:
    """The model that a run, a preset or a file holds."""
    import keras

    import keras_imp

    file = Path(source)
    if file.is_dir() and (file / MODEL).exists():
        file = file / MODEL
    if file.is_file():
        return keras.models.load_model(file)
    if source in PRESETS and not file.exists():
        typer.secho(
            f"The preset {source!r} is an architecture: its weights are "
            "random.",
            err=True,
        )
    return keras_imp.IMPEncoder.from_preset(source)


def _preprocessor(source: str) -> Any:
    """The preprocessor beside a model, if there is one."""
    import keras_imp
    from keras_imp.models.presets.files import PREPROCESSOR_FILE
    from keras_imp.models.presets.finding import find_files

    for folder in (Path(source), Path(source) / ENCODER):
        if (folder / PREPROCESSOR_FILE).is_file():
            return keras_imp.IMPPreprocessor.from_preset(folder)
    if Path(source).exists() or not find_files(source).get(PREPROCESSOR_FILE):
        return None
    return keras_imp.IMPPreprocessor.from_preset(source)


def _shape(size: str, modality: str | None) -> tuple[int | None, ...]:
    """Shape of an input from its size, as in 224x224."""
    from keras_imp.models.modalities import modality_of

    if modality is None:
        raise ValueError(
            message("--size needs --modality: of what is it?", size=size)
        )
    record = modality_of(modality)
    parts = size.lower().split("x")
    numbers = tuple(int(part) for part in parts if part.isdecimal())
    form = record.of_size(numbers)
    if len(numbers) != len(parts) or len(numbers) != len(form.size_axes):
        axes = " or ".join("x".join(f.size_axes) for f in record.forms)
        raise ValueError(
            message(
                f"--size of {modality!r} must be {axes}, as numbers.",
                size=size,
            )
        )
    return form.input_shape(numbers)[1:]
