"""Processes that are killed, and what they leave.

A life is a fork of this process, which has imported all and computed nothing.
"""

import os
import pathlib
import signal
import sys
import time
from collections.abc import Callable

_WAIT = 0.0005


def choose_backend(backend: str, cache: pathlib.Path) -> None:
    """Set what a backend reads when it is imported.

    Args:
        backend: Keras backend.
        cache: Folder for JAX's programs: compiled once, later lives read them.
    """
    os.environ["KERAS_BACKEND"] = backend
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if backend == "jax":
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(cache)
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"


def live(
    work: Callable[[], None], moment: float | None = None
) -> tuple[float, bool]:
    """One life.

    Args:
        work: What it does.
        moment: Seconds after which it is killed. Defaults to never.

    Returns:
        Its seconds, and whether it was killed.
    """
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        seconds = time.perf_counter() - began
        if done:
            if status:
                sys.exit(f"The training failed with status {status}.")
            return seconds, False
        if moment is not None and seconds >= moment:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            return seconds, bool(status)
        time.sleep(_WAIT)


def save_variables(model, path: pathlib.Path) -> None:
    """Write every variable of a model and its optimizer."""
    import keras
    import numpy as np

    variables = [*model.variables, *model.optimizer.variables]
    np.savez(path, *(keras.ops.convert_to_numpy(v) for v in variables))


def saved_variables(path: pathlib.Path) -> dict[str, bytes]:
    """What `save_variables` wrote, to compare."""
    import numpy as np

    with np.load(path) as arrays:
        return {name: arrays[name].tobytes() for name in arrays.files}
