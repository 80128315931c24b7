"""Tables that name videos by their numbers at YouTube, such as Kinetics.

Their files are named by the tool that fetched them: the number alone for whole
videos, or with the seconds for parts that were cut out.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from keras_imp.data import paths
from keras_imp.data.manifest.columns import Numbers, StringsBuilder
from keras_imp.data.reading.aliases import kind_of
from keras_imp.data.reading.found import Found
from keras_imp.data.reading.matching import VIDEO_ID
from keras_imp.data.reading.scan import join, scan


def find_videos(found: Found, root: paths.Root) -> None:
    """Turn a column of numbers at YouTube into one of files, in place.

    A part that was cut out needs no `start` and `end`: in its row, they are
    removed.

    Args:
        found: The columns of a table.
        root: Folder of the data, of which all folders are looked through.
    """
    if VIDEO_ID not in found.columns:
        return
    numbers = found.columns.pop(VIDEO_ID)
    files = _files_by_stem(root)
    kinds = Counter(kind_of(path) for path in files.values())
    kind = "audio" if kinds["audio"] > kinds["video"] else "video"
    names, whole = StringsBuilder(), np.ones(len(numbers), bool)
    for row, number in enumerate(numbers):
        if number is None:
            names.append(None)
            continue
        stems = list(_stems(found, row, number))
        stem = next((stem for stem in stems if stem in files), stems[0])
        names.append(files.get(stem, f"{stem}.mp4"))
        whole[row] = stem == number
    found.columns[kind] = names.finish()
    found.named[kind] = found.named.pop(VIDEO_ID) + ", files by their names"
    found.folder = ""
    _drop_times(found, ~whole)


def _files_by_stem(root: paths.Root) -> dict[str, str]:
    return {
        name.rpartition(".")[0]: join(folder, name)
        for folder, names in scan(root)
        for name in names
        if kind_of(name) in ("video", "audio")
    }


def _stems(found: Found, row: int, number: str) -> Iterator[str]:
    """Names that the file of a row may have, parts before whole videos."""
    times = [found.columns.get(name) for name in ("start", "end")]
    start, end = (column and column[row] for column in times)
    if start is not None and end is not None:
        yield f"{number}_{int(start):06d}_{int(end):06d}"
    if start is not None:
        yield f"{number}_{int(start):06d}"
        yield f"{number}_{int(start)}"
    yield number


def _drop_times(found: Found, rows: np.ndarray) -> None:
    """Remove start and end of rows whose files are the parts themselves."""
    if not rows.any():
        return
    for name in ("start", "end"):
        if name in found.columns:
            column = found.columns[name].array
            found.columns[name] = Numbers(np.where(rows, np.nan, column))
    found.notes.append(
        f"{int(rows.sum())} files are named as the parts that were cut out, "
        "so start and end do not apply to them."
    )
