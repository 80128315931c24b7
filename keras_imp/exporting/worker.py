"""Writes files in a process with the backend of their formats.

The process is `python -m keras_imp.exporting.worker JOB...`. Each job is a
folder with a description and a `job.json`. What went wrong is written there
too: another job may still succeed.
"""

import json
import sys
from pathlib import Path

from keras_imp.exporting.description import read_description
from keras_imp.exporting.formats import FORMATS
from keras_imp.exporting.jobs import FILE, JOB, QUANTIZED, do_jobs
from keras_imp.exporting.subject import Subject


def main(folders: list[str]) -> None:
    """Do jobs, one after the other.

    Args:
        folders: Their folders.
    """
    do_jobs(folders, write)


def write(folder: Path) -> None:
    """Write the file of one job, and one with int8 if that is asked for.

    Args:
        folder: Folder of the job.
    """
    job = json.loads((folder / JOB).read_text("utf-8"))
    name = job["format"]
    subject = read_description(folder, FORMATS[name])
    _write(subject, name, folder / FILE)
    if job["quantize"] is None:
        return
    if name == "litert":
        _write(subject, name, folder / QUANTIZED, quantized=True)
        return
    from keras_imp.exporting import onnx_int8

    onnx_int8.quantize(folder / FILE, folder / QUANTIZED)


def _write(
    subject: Subject, name: str, path: Path, quantized: bool = False
) -> None:
    run, given = subject.outputs(), subject.input
    if name == "stablehlo":
        from keras_imp.exporting.jax_files import write_stablehlo

        write_stablehlo(run, given, path)
        return
    from keras_imp.exporting import tensorflow_files

    if name == "onnx":
        tensorflow_files.write_onnx(run, given, path)
    elif name == "litert":
        layers = subject.layers
        tensorflow_files.write_litert(run, given, path, layers, quantized)
    else:
        tensorflow_files.write_saved_model(run, given, path, subject.layers)


if __name__ == "__main__":
    main(sys.argv[1:])
