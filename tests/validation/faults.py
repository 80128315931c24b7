"""What a decoder must not do, for a process that may be lost."""

import os
import signal
import sys
import time
from pathlib import Path

from keras_imp.validation.features import features_of


def misbehave(source: Path, do: str = "", seconds: float = 60.0):
    """Crash, hang, raise, print, or return the process's number."""
    if do == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if do == "hang":
        time.sleep(seconds)
    if do == "raise":
        raise KeyError(str(source))
    if do == "print":
        sys.stdout.write("a library's own words\n")
        os.write(1, b"and those of its C code\n")
        sys.stdout.flush()
    if do == "bytes":
        return len(source)
    return os.getpid()


def decode_or_hang(source: Path, column: str, name: str = ""):
    """Crash on one file, and never end on another."""
    del column, name
    return misbehave(source, {"a": "crash", "b": "hang"}[source.stem])


def crash_on_three(source: Path, column: str, **arguments):
    """Crash on a file that is called 3, decode any other."""
    if source.stem == "3":
        misbehave(source, "crash")
    return features_of(source, column, **arguments)
