"""Decode files, whole and in part, each in a process with a limit of time.

    python -m tests.helpers.isolated_decoding < paths

reads lines of JSON, `[path, modality]`, and writes one `Outcome` for each. It
imports no backend: threads do not survive the fork that gives a file its
process. A decoder that crashes or hangs ends that process only.
"""

import contextlib
import gc
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
LIMIT_SECONDS = 5


# In place of a modality: what a decoder must not do.
_FAULTS = {
    "crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "hang": lambda: time.sleep(10 * LIMIT_SECONDS),
}


class Outcome(NamedTuple):
    """What came of a file.

    `kind` is `"use"`, `"warn"`, `"skip"`, `"hang"` or `"crash"`; `words` are
    notes, the reason, or the signal or exception that ended the process;
    `seconds` is processor time, `megabytes` the peak of resident memory above
    that of the process before, without the pages of libraries: processes share
    them, and how many are read at once is up to the machine.
    """

    path: str
    kind: str
    words: list[str]
    seconds: float
    megabytes: float


def decode_all(files: Iterable[tuple[Path, str]]) -> list[Outcome]:
    """Decode files in a process that no test has touched.

    Args:
        files: Paths and modalities.

    Returns:
        Their outcomes, in order.
    """
    lines = [json.dumps([str(path), modality]) for path, modality in files]
    result = subprocess.run(
        [sys.executable, "-m", "tests.helpers.isolated_decoding"],
        cwd=ROOT,
        # What libraries in C write about damaged files is no error here.
        stderr=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        input="\n".join(lines),
        text=True,
        check=True,
    )
    return [Outcome(*json.loads(line)) for line in result.stdout.splitlines()]


def decode(path: Path, modality: str):
    """Decode as a run would: audio of hours in a part of some seconds."""
    from keras_imp.data.decoding import decode_audio, decode_image, decode_video

    if modality in _FAULTS:
        _FAULTS[modality]()
    if modality == "image":
        return decode_image(path)
    if modality == "audio":
        return decode_audio(path, seconds=8.0 if "hours" in path.name else None)
    return decode_video(path)


def decode_part(path: Path, modality: str) -> None:
    """Decode as a step of training would, which may tell another reason."""
    from keras_imp.data.decoding import (
        BadFile,
        decode_audio,
        decode_image,
        decode_video,
    )

    with contextlib.suppress(BadFile):
        if modality == "image":
            decode_image(path, (32, 32), lambda h, w: (h / 3, 0, h / 3, w / 2))
        elif modality == "audio":
            decode_audio(path, seconds=0.5, place=0.7)
        else:
            decode_video(path, 4, (16, 16), place=0.9)
    if modality == "video":
        with contextlib.suppress(BadFile):
            decode_audio(path, seconds=0.5, place=0.9)


def _isolated(path: str, modality: str) -> Outcome:
    """Fork, decode there, and read what the child writes before it ends."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        # Its default action ends the process, also inside of a decoder.
        signal.setitimer(signal.ITIMER_REAL, LIMIT_SECONDS)
        with contextlib.suppress(BaseException):
            os.write(writing, json.dumps(_decoded(path, modality)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    status = os.waitpid(child, 0)[1]
    if answer:
        return Outcome(path, *json.loads(answer))
    ended_by = signal.Signals(os.WTERMSIG(status)).name if status else "exit"
    kind = "hang" if ended_by == "SIGALRM" else "crash"
    return Outcome(path, kind, [ended_by], float(LIMIT_SECONDS), 0.0)


def _decoded(path: str, modality: str) -> list:
    from keras_imp.data.decoding import BadFile

    before = _usage()
    try:
        notes = decode(Path(path), modality).notes
        kind, words = "warn" if notes else "use", list(notes)
    except BadFile as error:
        kind, words = "skip", [error.reason]
    except BaseException as error:
        kind, words = "crash", [type(error).__name__]
    try:
        decode_part(Path(path), modality)
    except BaseException as error:
        kind, words = "crash", [f"{type(error).__name__} in a part"]
    seconds, megabytes = (b - a for a, b in zip(before, _usage()))
    return [kind, words, round(seconds, 4), round(megabytes, 1)]


def _usage() -> tuple[float, float]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    kilobytes = usage.ru_maxrss - _kilobytes_of_libraries()
    return usage.ru_utime + usage.ru_stime, kilobytes / 1024


def _kilobytes_of_libraries() -> int:
    """Resident pages of files, which only grow: libraries stay loaded."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    (line,) = re.findall(r"RssFile:\s+(\d+) kB", status.read_text())
    return int(line)


def main() -> None:
    import av  # noqa: F401
    import PIL.Image
    import soundfile  # noqa: F401
    import soxr  # noqa: F401

    import keras_imp.data.decoding as loaded

    # All that is loaded now is loaded once, and does not count as memory.
    PIL.Image.init()
    for name in loaded.__all__:
        getattr(loaded, name)
    gc.freeze()
    for line in sys.stdin:
        print(json.dumps(_isolated(*json.loads(line))), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
