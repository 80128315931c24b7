"""How many threads decode files at once."""

import os

# More wait for each other's memory.
_MOST = 4


def cores() -> int:
    """Number of cores that this process may use.

    Example:
        >>> from keras_imp.data.decoding.threads import cores
        >>> cores() >= 1
        True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_threads() -> int:
    """One per core, at most 4: decoders leave Python's lock.

    Example:
        >>> from keras_imp.data.decoding.threads import default_threads
        >>> 1 <= default_threads() <= 4
        True
    """
    return min(_MOST, cores())
