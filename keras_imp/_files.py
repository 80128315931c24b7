"""Files that are there as a whole or not at all, whenever a process dies."""

import os
from pathlib import Path

# What a killed process leaves behind: never read, removed by the next one.
UNFINISHED = "unfinished-"


def unfinished(target: Path) -> Path:
    """Where to write what is to become `target`: a file beside it.

    Args:
        target: The file to be.

    Returns:
        A path in the same folder, with the same ending.

    Example:
        >>> from pathlib import Path
        >>> from keras_imp._files import unfinished
        >>> unfinished(Path("runs/config.json")).as_posix()
        'runs/unfinished-config.json'
    """
    return target.with_name(f"{UNFINISHED}{target.name}")


def commit(written: Path, target: Path) -> None:
    """Turn a file that was written in full into `target`, in one rename.

    The data reaches the disk before the name does: after a power failure too,
    the name stands for the old file or for the whole new one.

    Args:
        written: A file in the folder of `target`.
        target: Its name from now on; a file of that name is replaced.
    """
    with written.open("r+b") as file:
        os.fsync(file.fileno())
    written.replace(target)
    if os.name == "posix":  # Elsewhere a folder cannot be opened.
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_text(target: Path, text: str) -> None:
    """Write a text file, or leave the one that is there.

    Args:
        target: The file.
        text: Its content, written as UTF-8.

    Example:
        >>> from pathlib import Path
        >>> from keras_imp._files import write_text
        >>> write_text(Path("note.txt"), "done")
        >>> Path("note.txt").read_text()
        'done'
    """
    temporary = unfinished(target)
    # No translation of line ends: what was read is what is written.
    temporary.write_text(text, encoding="utf-8", newline="")
    commit(temporary, target)
