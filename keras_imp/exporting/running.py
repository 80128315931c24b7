"""Runs exported files in a process that cannot import Keras.

The process is `python -m keras_imp.exporting.running JOB...`, with the folder
of each job.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keras_imp.exporting.jobs import (
    FILE,
    INPUTS,
    JOB,
    OUTPUTS,
    QUANTIZED,
    do_jobs,
)

# What cannot be imported in the process.
KERAS = ("keras", "tf_keras", "keras_hub")
Run = Callable[[Path, list[np.ndarray]], list[dict[str, np.ndarray]]]


def main(folders: list[str]) -> None:
    """Run the files of jobs on their inputs, and write what comes out.

    Args:
        folders: Folders of the jobs.
    """
    for name in KERAS:  # TensorFlow imports it, and does without it too.
        sys.modules[name] = None  # type: ignore[assignment]
    do_jobs(folders, run)


def run(folder: Path) -> None:
    """Run the file of one job, and that with int8 if there is one.

    Args:
        folder: Folder of the job.
    """
    job = json.loads((folder / JOB).read_text("utf-8"))
    with np.load(folder / INPUTS) as saved:
        inputs = [saved[key] for key in saved.files]
    for name in (FILE, QUANTIZED):
        if (folder / name).exists():
            outputs = RUNNERS[job["format"]](folder / name, inputs)
            arrays: dict[str, Any] = {
                f"{key}/{place}": value
                for place, by_name in enumerate(outputs)
                for key, value in by_name.items()
            }
            np.savez(folder / OUTPUTS.format(name), **arrays)


def _run_onnx(path, inputs):
    import onnxruntime

    session = onnxruntime.InferenceSession(
        path, providers=["CPUExecutionProvider"]
    )
    (given,) = session.get_inputs()
    names = [output.name for output in session.get_outputs()]
    return [
        dict(zip(names, session.run(names, {given.name: x}))) for x in inputs
    ]


def _run_litert(path, inputs):
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(str(path)).get_signature_runner()
    (name,) = run.get_input_details()
    # The runner gives views of its memory.
    return [
        {key: np.array(value) for key, value in run(**{name: x}).items()}
        for x in inputs
    ]


def _run_stablehlo(path, inputs):
    from jax import export

    program = export.deserialize(bytearray(path.read_bytes()))
    return [
        {key: np.asarray(value) for key, value in program.call(x).items()}
        for x in inputs
    ]


def _run_saved_model(path, inputs):
    import tensorflow as tf

    run = tf.saved_model.load(path).signatures["serving_default"]
    ((name, _),) = run.structured_input_signature[1].items()
    outputs = [run(**{name: tf.constant(x)}) for x in inputs]
    return [{k: v.numpy() for k, v in y.items()} for y in outputs]


RUNNERS: dict[str, Run] = {
    "tf_saved_model": _run_saved_model,
    "onnx": _run_onnx,
    "litert": _run_litert,
    "stablehlo": _run_stablehlo,
}

if __name__ == "__main__":
    main(sys.argv[1:])
