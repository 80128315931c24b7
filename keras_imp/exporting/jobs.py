"""Folders in which processes that export work for each other."""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from keras_imp.validation.programs import run_program

JOB = "job.json"
INPUTS = "inputs.npz"
FILE, QUANTIZED = "exported", "exported_int8"
OUTPUTS = "outputs_of_{}.npz"
ERROR = "error.txt"
# Characters that are kept of what a process or a converter says.
_MOST = 1500


def do_jobs(folders: Sequence[str], do: Callable[[Path], None]) -> None:
    """Do jobs, one after the other; an error is written into its folder.

    Args:
        folders: Their folders.
        do: Does the job of a folder.
    """
    for folder in map(Path, folders):
        try:
            do(folder)
        except Exception as error:
            traceback.print_exc()
            text = f"{type(error).__name__}: {error}"
            (folder / ERROR).write_text(text[:_MOST], encoding="utf-8")


def run_jobs(
    module: str, folders: Sequence[Path], product: str, backend: str = ""
) -> None:
    """Do jobs in one process, on the CPU.

    Args:
        module: What does them, in this package.
        folders: Their folders. Those with an error are left out.
        product: File that each job writes; an error is written into the folder
            of one that did not, since the process ended before.
        backend: Keras backend of the process, if it has Keras.
    """
    waiting = [folder for folder in folders if not (folder / ERROR).exists()]
    if not waiting:
        return
    code, output = run_program(
        [sys.executable, "-m", f"{__package__}.{module}", *map(str, waiting)],
        env=_environment(backend),
    )
    for folder in waiting:
        if not (folder / product).exists() and not (folder / ERROR).exists():
            text = f"The process ended with {code}. {output[-_MOST:]}"
            (folder / ERROR).write_text(text, encoding="utf-8")


def _environment(backend: str) -> dict[str, str]:
    """Of a process that leaves the GPUs to this one and imports the same."""
    environment = {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": "-1",
        "JAX_PLATFORMS": "cpu",
        "KERAS_BACKEND": backend,
        "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    # An XLA ends the process for a flag of another XLA.
    environment.pop("XLA_FLAGS", None)
    return environment
