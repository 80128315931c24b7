"""Calls in processes of their own, so that a file can end only such a process.

A decoder in C can crash or hang on a damaged file, and Python cannot catch
either. A process that did is ended and another one started; the file is blamed
only where it is the first one that a process is given.
"""

import collections
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from keras_imp._errors import check_integer, check_positive
from keras_imp.data.decoding.threads import cores

# Seconds for a new process to load its decoders, on a busy machine.
_START_SECONDS = 300.0
# Calls that are asked for ahead, by worker: enough that none waits.
_AHEAD = 8
# Answers that are kept for rows with the same file.
_KEPT = 4096


class Call(NamedTuple):
    """One call of a function in another process.

    Attributes:
        source: What it reads: a path, or the bytes of a file.
        arguments: Its other arguments, which JSON can hold.
        key: Calls with equal keys have one answer; None for a call of its own.
    """

    source: Path | bytes
    arguments: dict[str, Any]
    key: Hashable = None


class Answer(NamedTuple):
    """What came of a call.

    Attributes:
        value: What the function returned; None if it did not.
        fault: `""`; `"crash"` or `"hang"` if the process was lost.
        detail: The signal or exception that ended it.
    """

    value: Any
    fault: str = ""
    detail: str = ""


def call_isolated(
    target: str,
    calls: Iterable[Call | Answer],
    workers: int | None = None,
    seconds: float = 30.0,
) -> Iterator[Answer]:
    """Call a function on many files, in processes that may be lost.

    Args:
        target: The function: its module and name, `"package.module:name"`. It
            is called as `name(source, **arguments)` and returns what JSON can
            hold.
        calls: The calls; a few are taken ahead. An answer among them is
            passed on in its place.
        workers: Number of processes. Defaults to the number of cores.
        seconds: Time for one call. A process that takes longer is ended.

    Yields:
        The answers, in the order of the calls.

    Raises:
        ValueError: If a number is out of its range.
        RuntimeError: If a process cannot start.

    Example:
        >>> from pathlib import Path
        >>> from keras_imp.validation.isolated import Call, call_isolated
        >>> calls = [Call(Path("a.png"), {}), Call(Path("b.png"), {})]
        >>> [answer.value for answer in call_isolated(
        ...     "posixpath:basename", calls, workers=1)]
        ['a.png', 'b.png']
    """
    workers = cores() if workers is None else workers
    check_integer(1, workers=workers)
    check_positive(seconds=seconds)
    idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
    processes = [_Process(target, seconds) for _ in range(workers)]
    for process in processes:
        idle.put(process)

    def ask(call: Call) -> Answer:
        process = idle.get()
        try:
            return process.ask(call)
        finally:
            idle.put(process)

    try:
        with ThreadPoolExecutor(workers) as threads:
            yield from _in_order(threads, ask, calls, _AHEAD * workers)
    finally:
        for process in processes:
            process.end()


def _in_order(
    threads: ThreadPoolExecutor,
    ask: Callable[[Call], Answer],
    calls: Iterable[Call | Answer],
    ahead: int,
) -> Iterator[Answer]:
    waiting: collections.deque[Future] = collections.deque()
    known: collections.OrderedDict[Hashable, Future] = collections.OrderedDict()
    for call in calls:
        if isinstance(call, Answer):
            ready: Future = Future()
            ready.set_result(call)
            waiting.append(ready)
        else:
            waiting.append(_asked(threads, ask, call, known))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _asked(
    threads: ThreadPoolExecutor,
    ask: Callable[[Call], Answer],
    call: Call,
    known: collections.OrderedDict[Hashable, Future],
) -> Future:
    """The answer to a call, or to an earlier one with its key."""
    if call.key is not None and call.key in known:
        return known[call.key]
    future = threads.submit(ask, call)
    if call.key is not None:
        known[call.key] = future
        if len(known) > _KEPT:
            known.popitem(last=False)
    return future


class _Process:
    """One process, started when it is first asked, and again when lost."""

    def __init__(self, target: str, seconds: float):
        self._command = [sys.executable, "-m", f"{__package__}.calls", target]
        self._seconds = seconds
        # `subprocess.Popen` with both pipes; None where there is none.
        self._process: Any = None
        self._served = 0

    def ask(self, call: Call) -> Answer:
        """Call the function, once more in a new process if this one fails."""
        answer = self._ask(call)
        if answer.fault and self._served:
            # What came before may have left the decoder in disorder.
            self._served = 0
            answer = self._ask(call)
        self._served = 0 if answer.fault else self._served + 1
        return answer

    def end(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _ask(self, call: Call) -> Answer:
        if self._process is None:
            self._start()
        if isinstance(call.source, bytes):
            head: dict[str, Any] = {"bytes": len(call.source)}
            content = call.source
        else:
            head, content = {"path": os.fspath(call.source)}, b""
        head["arguments"] = call.arguments
        data = json.dumps(head).encode() + b"\n" + content
        line, late = self._exchange(data, self._seconds)
        if line.endswith(b"\n"):
            reply = json.loads(line)
            return Answer(reply.get("value"), *reply.get("fault", ()))
        return self._lost(late)

    def _start(self) -> None:
        # What libraries in C write about damaged files is no message here.
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        if self._exchange(b"", _START_SECONDS)[0] != b"ready\n":
            self.end()
            raise RuntimeError(
                "A process that decodes files cannot start. Received: "
                f"command={self._command!r}. Run it to see why."
            )

    def _exchange(self, data: bytes, seconds: float) -> tuple[bytes, bool]:
        """Write, and read a line; and whether that took too long."""
        process = self._process
        late = threading.Event()

        def stop() -> None:
            late.set()
            process.kill()

        # A timer, since a pipe cannot be waited for on every system.
        timer = threading.Timer(seconds, stop)
        timer.start()
        try:
            process.stdin.write(data)
            process.stdin.flush()
            return process.stdout.readline(), late.is_set()
        except BrokenPipeError:
            return b"", late.is_set()
        finally:
            timer.cancel()

    def _lost(self, late: bool) -> Answer:
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # Its end is what is being told.
        self._process = None
        if late:
            return Answer(None, "hang", f"more than {self._seconds:g} s")
        try:
            ended_by = signal.Signals(-code).name
        except ValueError:
            ended_by = f"exit code {code}"
        return Answer(None, "crash", ended_by)
