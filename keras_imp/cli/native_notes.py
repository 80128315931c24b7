"""TensorFlow's notes about the machine, kept out of the terminal.

Its native code writes them to standard error while it is loaded and looks for
devices, whatever its settings are. It is loaded on every backend where it is
installed: `keras.utils.set_random_seed` does so.
"""

import contextlib
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Iterator

# Of the CPU's instructions, and of CUDA where there is no driver.
NOTES = re.compile(
    rb"WARNING: All log messages before absl::|I0000 |\S+ \S+: I "
    rb"|To enable the following instructions: "
    rb"|(E0000 .*|\S+ \S+: E .*)\bcuda_\w+\.cc:\d+\] "
)


@contextlib.contextmanager
def without_notes() -> Iterator[None]:
    """Hold back what is written to standard error; then write all but notes."""
    with tempfile.TemporaryFile() as held:
        error = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(error, 2)
            os.close(error)
            held.seek(0)
            for line in held:
                if not NOTES.match(line):
                    os.write(2, line)


def load_tensorflow(backend: str) -> None:
    """Load TensorFlow, if it is there and new, and let it find its devices.

    Args:
        backend: Keras backend. For others, TensorFlow takes no GPU: it would
            take the memory of all.
    """
    if "tensorflow" in sys.modules:
        return
    if importlib.util.find_spec("tensorflow") is None:
        return
    with without_notes():
        import tensorflow as tf

        if backend == "tensorflow":
            tf.config.list_physical_devices()
        else:
            tf.config.set_visible_devices([], "GPU")
