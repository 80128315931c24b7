"""Whether a file is the one that it was, without reading it."""

import time
from pathlib import Path

from keras_imp.data import paths
from keras_imp.data.decoding.errors import BadFile

# Nanoseconds after which another writing has another time, on any file system.
SETTLED = 2_000_000_000


def file_identity(path: Path) -> str | None:
    """What a file has as long as nobody writes to it.

    Args:
        path: The file.

    Returns:
        Path, size, number and times, as text. None for one that was written
        just now: it could be written again without another time.

    Raises:
        BadFile: If it is not there.

    Example:
        >>> from pathlib import Path
        >>> from keras_imp.data.manifest.identity import file_identity
        >>> _ = Path("a.txt").write_text("a")
        >>> file_identity(Path("a.txt")) is None
        True
    """
    try:
        state = path.stat()
    except OSError as error:
        raise BadFile("missing", paths.shown(path)) from error
    now = time.time_ns()
    times = (state.st_mtime_ns, state.st_ctime_ns)
    if any(abs(now - each) < SETTLED for each in times):
        return None
    # The second time changes with every writing, even if the first one is set
    # back, as a copy does.
    facts = (str(path.absolute()), state.st_size, state.st_ino, *times)
    return repr(facts)
