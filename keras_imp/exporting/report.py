"""What came of an export: a report of the file, or why there is none."""

import dataclasses
from pathlib import Path


class ExportError(RuntimeError):
    """Raised when there is no file that gives the model's numbers.

    Example:
        >>> from keras_imp.exporting import ExportError
        >>> issubclass(ExportError, RuntimeError)
        True
    """


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """A file that was written, run and compared with its model.

    Attributes:
        path: The file; of a SavedModel, its folder.
        format: Its format.
        input_name: Name of its input, the modality.
        input_shape: Shape of the input; None for a size that may differ.
        input_dtype: Dtype of the input.
        outputs: Shape of each output by name.
        max_difference: Largest absolute difference of an output from that of
            the model, over all inputs that were compared.
        bytes: Size of the file, or of all files in the folder.
        least_cosine: Least cosine of an output vector with that of the model;
            None without quantization.

    Example:
        >>> from pathlib import Path
        >>> from keras_imp.exporting import ExportReport
        >>> report = ExportReport(Path("image.onnx"), "onnx", "image",
        ...     (None, 32, 32, 3), "uint8", {"embedding": (None, 8)},
        ...     max_difference=1e-6, bytes=1234)
        >>> print(report)
        image.onnx: onnx, 1,234 bytes, largest difference 1.0e-06
    """

    path: Path
    format: str
    input_name: str
    input_shape: tuple[int | None, ...]
    input_dtype: str
    outputs: dict[str, tuple[int | None, ...]]
    max_difference: float
    bytes: int
    least_cosine: float | None = None

    def __str__(self) -> str:
        text = (
            f"{self.path}: {self.format}, {self.bytes:,} bytes, "
            f"largest difference {self.max_difference:.1e}"
        )
        if self.least_cosine is None:
            return text
        return f"{text}, int8, least cosine {self.least_cosine:.5f}"
