"""Write a tower or a task into a file, run it, and keep it if it is right."""

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_imp._errors import message
from keras_imp._files import UNFINISHED
from keras_imp.exporting import jobs
from keras_imp.exporting.beside import beside, write_beside
from keras_imp.exporting.comparison import Difference, compare
from keras_imp.exporting.description import write_description
from keras_imp.exporting.formats import FORMATS, check_format
from keras_imp.exporting.reference import Arrays, reference_outputs
from keras_imp.exporting.report import ExportError, ExportReport
from keras_imp.exporting.subject import Subject, subject_of

# Largest difference of a file from its model, without quantization.
TOLERANCE = 1e-4


class Request(NamedTuple):
    """One file that is asked for: the arguments of `export`."""

    model: Any
    path: Path
    modality: str | None = None
    task: str | None = None
    format: str = "tf_saved_model"
    quantize: str | None = None
    input_shape: tuple[int | None, ...] | None = None
    preprocessor: Any = None


def export(
    model: Any,
    path: str | Path,
    modality: str | None = None,
    task: str | None = None,
    format: str = "tf_saved_model",
    quantize: str | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    preprocessor: Any = None,
) -> ExportReport:
    """Write one modality of an encoder, or one task, for another runtime.

    The file is converted in a process of its own, run in another one that has
    no Keras, and compared with the model on batches of several sizes. It is
    kept only if no output differs by more than 1e-4; with int8, that holds for
    the file before it is quantized. It computes in float32 whatever the dtype
    policy of the model.

    Beside it are written `<name>.README.md`, with the form of input and
    outputs and code that runs it, and what the input is made with:
    `<name>.tokenizer.json` or `<name>.log_mel.json`.

    Args:
        model: An encoder, or an `AlternatingModel` or `CombinedModel`.
        path: The file; of a SavedModel, a folder. It must not exist.
        modality: The input. Defaults to the only one there is.
        task: Name of a task, or `"<task>/<part>"` of a combined one, whose
            outputs are wanted: logits, or vectors of a contrastive task.
            Defaults to the pooled output of the encoder.
        format: `"tf_saved_model"`, `"onnx"`, `"litert"` or `"stablehlo"`.
        quantize: `"int8"` for weights in 8 bits, with ONNX and LiteRT.
        input_shape: Shape of one example, such as `(224, 224, 3)`. The batch
            may have any size, and a text any length unless routed layers need
            to know it or a shape is given. Defaults to that of the
            preprocessor.
        preprocessor: The `IMPPreprocessor` of the model.

    Returns:
        The report.

    Raises:
        ExportError: If the conversion fails, or the file does not give the
            model's numbers.
        FileExistsError: If there is such a file.
        ImportError: If a package of the format is missing.
        TypeError: If there is no model.
        ValueError: If an argument does not fit the model.

    Example:
        >>> import keras_imp
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2,
        ...     modalities=("image",))
        >>> report = keras_imp.export(encoder, "image.stablehlo",
        ...     format="stablehlo", input_shape=(32, 32, 3))
        >>> report.input_shape, report.outputs
        ((None, 32, 32, 3), {'embedding': (None, 8)})
        >>> report.max_difference < 1e-4
        True
    """
    request = Request(
        model,
        Path(path),
        modality,
        task,
        format,
        quantize,
        input_shape,
        preprocessor,
    )
    (outcome,) = export_all([request])
    if isinstance(outcome, ExportError):
        raise outcome
    return outcome


def export_all(requests: Sequence[Request]) -> list[ExportReport | ExportError]:
    """Write several files, with one process for each backend that converts.

    Args:
        requests: What is asked for.

    Returns:
        For each a report, or why there is no file.

    Raises:
        FileExistsError: If there is one of the files.
        ImportError: If a package is missing.
        TypeError: If something is no model.
        ValueError: If arguments do not fit.
    """
    subjects = [_subject(request) for request in requests]
    with tempfile.TemporaryDirectory(prefix=UNFINISHED) as folder:
        todo = [
            _Job(request, subject, Path(folder, str(number)))
            for number, (request, subject) in enumerate(zip(requests, subjects))
        ]
        known: dict[Any, list[Arrays]] = {}
        for job in todo:
            job.prepare(known)
        for backend in sorted({job.backend for job in todo}):
            own = [job.folder for job in todo if job.backend == backend]
            jobs.run_jobs("worker", own, jobs.FILE, backend)
        outputs = jobs.OUTPUTS.format(jobs.FILE)
        jobs.run_jobs("running", [job.folder for job in todo], outputs)
        return [job.outcome() for job in todo]


def _subject(request: Request) -> Subject:
    check_format(request.format, request.quantize)
    subject = subject_of(
        request.model,
        request.modality,
        request.task,
        request.input_shape,
        request.preprocessor,
    )
    for file in (request.path, *beside(request.path)):
        if file.exists():
            raise FileExistsError(
                message(
                    "There must be no file of this name, and none beside it "
                    "that an export writes.",
                    "Choose another `path`, or remove it.",
                    path=str(request.path),
                    exists=str(file),
                )
            )
    return subject


class _Job:
    """One file on its way, in a folder of its own."""

    def __init__(self, request: Request, subject: Subject, folder: Path):
        self.request = request
        self.subject = subject
        self.folder = folder
        self.backend = FORMATS[request.format].backend
        self.expected: list[Arrays] = []

    def prepare(self, known: dict[Any, list[Arrays]]) -> None:
        """Write what other processes need, and compute what is right.

        Args:
            known: Right outputs of other files, by what is in them.
        """
        self.folder.mkdir()
        write_description(self.subject, self.folder)
        job = {
            "format": self.request.format,
            "quantize": self.request.quantize,
        }
        (self.folder / jobs.JOB).write_text(json.dumps(job), "utf-8")
        inputs = self.subject.input.samples()
        np.savez(self.folder / jobs.INPUTS, *inputs)
        encoder, task, given = self.subject
        key = (id(encoder), id(task), given)
        if key not in known:
            known[key] = reference_outputs(self.subject, self.folder, inputs)
        self.expected = known[key]

    def outcome(self) -> ExportReport | ExportError:
        """Keep the file if it is right, and tell."""
        error = self.folder / jobs.ERROR
        if error.exists():
            return self._error(
                "The conversion or the first run of a file failed.",
                error.read_text("utf-8"),
            )
        difference = self._difference(jobs.FILE)
        if difference.largest > TOLERANCE:
            return self._error(
                f"An exported file must give the model's numbers to "
                f"{TOLERANCE:g}; this one is not kept.",
                "Choose another format, and report it with the model's config.",
                max_difference=difference.largest,
            )
        name, cosine = jobs.FILE, None
        if self.request.quantize:
            name = jobs.QUANTIZED
            difference = self._difference(name)
            cosine = difference.least_cosine
            if not np.isfinite(difference.largest):
                return self._error(
                    "The quantized file must give finite numbers in the "
                    "model's shapes; this one is not kept."
                )
        return self._keep(name, difference.largest, cosine)

    def _difference(self, name: str) -> Difference:
        found: list[Arrays] = [{} for _ in self.expected]
        with np.load(self.folder / jobs.OUTPUTS.format(name)) as saved:
            for path in saved.files:
                key, _, place = path.rpartition("/")
                found[int(place)][key] = saved[path]
        return compare(found, self.expected)

    def _keep(
        self, name: str, difference: float, cosine: float | None
    ) -> ExportReport:
        source, target = self.folder / name, self.request.path
        files = [source] if source.is_file() else source.rglob("*")
        given = self.subject.input
        report = ExportReport(
            path=target,
            format=self.request.format,
            input_name=given.name,
            input_shape=given.shape,
            input_dtype=given.dtype,
            outputs={
                key: (None, *value.shape[1:])
                for key, value in self.expected[0].items()
            },
            max_difference=difference,
            bytes=sum(f.stat().st_size for f in files if f.is_file()),
            least_cosine=cosine,
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        # Under another name first: maybe on another file system.
        unfinished = target.with_name(UNFINISHED + target.name)
        shutil.move(source, unfinished)
        write_beside(report, self.subject, self.request.preprocessor)
        unfinished.replace(target)
        return report

    def _error(self, rule: str, hint: str = "", **received) -> ExportError:
        request, given = self.request, self.subject.input
        return ExportError(
            message(
                rule,
                hint,
                format=request.format,
                modality=given.name,
                task=request.task,
                **received,
            )
        )
