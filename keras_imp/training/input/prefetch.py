"""Read ahead in one thread, so that a step never waits for data.

A source may block, even for ever. So a wait for one must be a wait that a
signal can end: `interrupt_read` is for the handler of such a signal.
"""

import atexit
import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

_END = object()
# Seconds to wait for a read that continues while its reader is told to stop.
PATIENCE = 2.0
# The same at the end of the process, while it converts: that always ends.
LONG_PATIENCE = 60.0


class ReadInterrupted(BaseException):
    """Raised in the main thread, out of a read that may never return."""


class _MainThread:
    """Whether the main thread waits for data, and what is to end that."""

    waits = False
    stops: list[Callable[[], Any]] = []


def interrupt_read(stop: Callable[[], Any]) -> None:
    """End the read that the main thread waits for, or else its next one.

    For signal handlers: a blocking call continues when a handler returns, so a
    handler that only noted its signal would not be heard.

    Args:
        stop: Called in place of the read; it raises what ends the run.

    Raises:
        ReadInterrupted: If the main thread waits for data. The wait catches it.
    """
    _MainThread.stops.append(stop)
    if _MainThread.waits:
        _MainThread.waits = False
        raise ReadInterrupted


@contextlib.contextmanager
def interruptible_reads() -> Iterator[None]:
    """A context that `interrupt_read` has no effect beyond."""
    _MainThread.stops.clear()
    try:
        yield
    finally:
        _MainThread.stops.clear()


def wait_for(get: Callable[[], Any]) -> Any:
    """Call what may block, so that `interrupt_read` can end it.

    Args:
        get: Reads from a source, or waits for a thread that does.

    Returns:
        Its result.

    Example:
        >>> from keras_imp.training.input.prefetch import wait_for
        >>> wait_for(lambda: "batch")
        'batch'
    """
    if threading.get_ident() != threading.main_thread().ident:
        return get()
    try:
        try:
            _MainThread.waits = True
            if not _MainThread.stops:
                return get()
        finally:
            _MainThread.waits = False
    except ReadInterrupted:
        pass  # Its cause is the newest of `stops`.
    return _MainThread.stops[-1]()


def prefetch(
    items: Iterable[Any], convert: Callable[[Any], Any], depth: int
) -> Iterator[Any]:
    """Yield `convert(item)` for each item, `depth` of them ahead.

    An exception of the reading thread is raised where the item would have
    come. Closing the generator stops the thread and waits for it, for a while:
    a source may block.

    Args:
        items: What to read.
        convert: Called in the thread, for example to move to the device.
        depth: How many to hold ready; 0 reads in the calling thread.

    Yields:
        The converted items in order.

    Example:
        >>> from keras_imp.training.input.prefetch import prefetch
        >>> list(prefetch(range(3), lambda i: i * i, depth=2))
        [0, 1, 4]
    """
    if not depth:
        converted = map(convert, items)
        while (item := wait_for(lambda: next(converted, _END))) is not _END:
            yield item
        return
    ready: queue.Queue = queue.Queue(depth)
    stopped = threading.Event()
    converting = threading.Event()
    arguments = (items, convert, ready, stopped, converting)
    reader = threading.Thread(target=_read, args=arguments, daemon=True)
    reader.start()
    patience = PATIENCE
    try:
        while (item := wait_for(ready.get)) is not _END:
            if isinstance(item, _Failure):
                raise item.error
            yield item
    except (KeyboardInterrupt, SystemExit):
        patience = 0.0  # The wait that was ended was one for the thread.
        raise
    finally:
        stopped.set()
        # Not for itself: the collector may close a forgotten generator in any
        # thread.
        if threading.current_thread() is not reader:
            reader.join(patience)
            if reader.is_alive():
                atexit.register(_wait_at_exit, reader, converting)


def _wait_at_exit(
    reader: threading.Thread, converting: threading.Event
) -> None:
    """Let no thread be in code of a backend when the interpreter ends.

    Torch ends the process by SIGABRT then.
    """
    reader.join(PATIENCE)
    if converting.is_set():
        reader.join(LONG_PATIENCE)


class _Failure:
    """An exception on its way from the thread to the caller."""

    def __init__(self, error: BaseException):
        self.error = error


def _read(items, convert, ready, stopped, converting) -> None:
    try:
        for item in items:
            if stopped.is_set():
                return
            converting.set()
            converted = convert(item)
            converting.clear()
            if not _offer(ready, converted, stopped):
                return
        _offer(ready, _END, stopped)
    except BaseException as error:
        _offer(ready, _Failure(error), stopped)


def _offer(ready: queue.Queue, item: Any, stopped: threading.Event) -> bool:
    """Put an item, unless the reader has gone."""
    while not stopped.is_set():
        try:
            ready.put(item, timeout=0.1)
            return True
        except queue.Full:
            continue
    return False
