"""The formats of files, and what each needs."""

import difflib
from typing import NamedTuple

from keras_imp._errors import message
from keras_imp._optional import check_installed

QUANTIZATIONS = ("int8",)


class Format(NamedTuple):
    """One format.

    Attributes:
        backend: Keras backend of the process that writes it.
        packages: What writing and running it imports.
        extra: The extra of keras-imp that brings them.
        plain: Whether the converter takes neither a loop over layers nor a
            scatter with equal indices.
        has_fourier: Whether it has a Fourier transform.
        quantizes: Whether its weights can be int8.
    """

    backend: str
    packages: tuple[str, ...]
    extra: str = "export"
    plain: bool = False
    has_fourier: bool = True
    quantizes: bool = False


FORMATS = {
    "tf_saved_model": Format("tensorflow", ("tensorflow",)),
    "onnx": Format(
        "tensorflow",
        ("tensorflow", "tf2onnx", "onnx", "onnxruntime"),
        plain=True,
        has_fourier=False,
        quantizes=True,
    ),
    "litert": Format(
        "tensorflow",
        ("tensorflow", "ai_edge_litert"),
        plain=True,
        quantizes=True,
    ),
    "stablehlo": Format("jax", ("jax",), extra="jax"),
}


def check_format(name: str, quantize: str | None = None) -> Format:
    """The format of a name, if it can be written here.

    Args:
        name: One of `FORMATS`.
        quantize: `"int8"`, or None.

    Returns:
        The format.

    Raises:
        ValueError: If there is none of the name, or it has no int8.
        ImportError: If a package is missing.

    Example:
        >>> from keras_imp.exporting.formats import check_format
        >>> check_format("stablehlo").backend
        'jax'
    """
    if name not in FORMATS:
        close = difflib.get_close_matches(str(name), FORMATS, 1, cutoff=0.4)
        raise ValueError(
            message(
                f"`format` must be one of {tuple(FORMATS)}.",
                f"Did you mean {close[0]!r}?" if close else "",
                format=name,
            )
        )
    found = FORMATS[name]
    if quantize is not None:
        able = tuple(name for name, each in FORMATS.items() if each.quantizes)
        if quantize not in QUANTIZATIONS or not found.quantizes:
            raise ValueError(
                message(
                    f'`quantize` must be None, or "int8" with one of the '
                    f"formats {able}.",
                    quantize=quantize,
                    format=name,
                )
            )
    check_installed(found.packages, found.extra)
    return found
