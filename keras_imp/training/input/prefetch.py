"""Read ahead in one thread, so that a step never waits for data."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

_END = object()
# Seconds to wait for a read that goes on while its reader is told to stop.
PATIENCE = 10.0


def prefetch(
    items: Iterable[Any], convert: Callable[[Any], Any], depth: int
) -> Iterator[Any]:
    """Yield `convert(item)` for each item, `depth` of them ahead.

    An exception of the reading thread is raised where the item would have
    come. Closing the generator stops the thread and waits for it.

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
        yield from map(convert, items)
        return
    ready: queue.Queue = queue.Queue(depth)
    stopped = threading.Event()
    arguments = (items, convert, ready, stopped)
    reader = threading.Thread(target=_read, args=arguments, daemon=True)
    reader.start()
    try:
        while (item := ready.get()) is not _END:
            if isinstance(item, _Failure):
                raise item.error
            yield item
    finally:
        stopped.set()
        # Not forever: a source may hang. And not for itself: the collector may
        # close a forgotten generator in any thread.
        if threading.current_thread() is not reader:
            reader.join(PATIENCE)


class _Failure:
    """An exception on its way from the thread to the caller."""

    def __init__(self, error: BaseException):
        self.error = error


def _read(items, convert, ready, stopped) -> None:
    try:
        for item in items:
            if not _offer(ready, convert(item), stopped):
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
