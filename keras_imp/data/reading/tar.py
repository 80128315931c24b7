"""WebDataset archives, read where they lie: nothing is unpacked.

An archive is gone through once for the place of each member; then any row is
one read. https://github.com/webdataset/webdataset says how members are named.
"""

import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from keras_imp.data import paths
from keras_imp.data.reading.aliases import MEDIA
from keras_imp.data.reading.delimited import Options
from keras_imp.data.reading.errors import ReadError
from keras_imp.data.reading.found import Found
from keras_imp.data.reading.samples import (
    LARGEST,
    Place,
    SamplesBuilder,
    kind_of_part,
)
from keras_imp.data.reading.scan import LeftOut

BLOCK = 512
# Endings of pickles: members that would run code if they were decoded.
PICKLES = ("pyd", "pkl", "pickle", "pth", "pt", "npy", "npz")


def read_tar(
    archives: Sequence[Path],
    options: Options,
    splits: Sequence[str | None] | None = None,
) -> Found:
    """Read the samples of archives.

    Args:
        archives: The files, without compression.
        options: How to read them.
        splits: Split of each archive. Defaults to none.

    Returns:
        Columns, with one row per sample: members of one name up to the first
        dot, in a row, as WebDataset has them.

    Raises:
        ReadError: If one is no archive, is cut short, or has no samples.
    """
    left_out = LeftOut()
    reader = _Reader(archives)
    builder = SamplesBuilder(reader.read, options, reader.tell)
    for number, path in enumerate(archives):
        split = splits[number] if splits else None
        for parts in _samples(_members(path, number, left_out)):
            kinds = {ending: kind_of_part(ending) for ending in parts}
            for ending in parts:
                if ending.lower().rpartition(".")[2] in PICKLES:
                    left_out.add("members that may be pickles")
                elif kinds[ending] is None:
                    left_out.add("members of other kinds")
            if any(kinds.values()):
                builder.add(parts, {"split": split} if split else {})
    return _found(archives, builder, left_out)


def _found(
    archives: Sequence[Path], builder: SamplesBuilder, left_out: LeftOut
) -> Found:
    columns: dict[str, Any] = {
        name: places.members(archives)
        for name, places in builder.places.items()
        if places.filled
    }
    columns |= builder.finish()
    if not {*MEDIA, "text"} & set(columns):
        raise ReadError(
            "empty",
            "An archive must have images, videos, audio or texts.",
            " ".join(left_out.notes()),
            path=paths.shown(archives[0]),
        )
    number = f" of {len(archives)} archives" if len(archives) > 1 else ""
    return Found(
        f"WebDataset{number}",
        columns,
        dict.fromkeys(columns, "members"),
        left_out.notes(),
        folder="",
    )


class _Reader:
    """Reads small members."""

    def __init__(self, archives: Sequence[Path]):
        self._archives = archives

    def tell(self, place: Place) -> str:
        path = self._archives[place.archive]
        return f"{paths.shown(path)}, member {paths.shown(place.name)}"

    def read(self, place: Place) -> bytes:
        if place.size > LARGEST:
            raise ReadError(
                "unsupported",
                f"A text must have no more than {LARGEST} bytes.",
                path=self.tell(place),
                size=place.size,
            )
        with paths.open_regular(self._archives[place.archive]) as file:
            file.seek(place.start)
            return file.read(place.size)


def _samples(members: Iterator[Place]) -> Iterator[dict[str, Place]]:
    """Members of one name up to the first dot, as long as they follow."""
    parts: dict[str, Place] = {}
    current = None
    for place in members:
        folder, _, name = place.name.rpartition("/")
        stem, _, ending = name.partition(".")
        key = (folder, stem, place.archive)
        # A repeated ending begins a sample: archives may be joined.
        if parts and (key != current or ending in parts):
            yield parts
            parts = {}
        current = key
        parts[ending] = place
    if parts:
        yield parts


def _members(path: Path, number: int, left_out: LeftOut) -> Iterator[Place]:
    """Regular files of an archive, with the place of their bytes."""
    end = 0
    try:
        with tarfile.open(path, "r:") as archive:
            while (member := archive.next()) is not None:
                # Else all of them stay in memory.
                archive.members.clear()  # type: ignore[attr-defined]
                end = archive.offset
                name = member.name.rpartition("/")[2]
                if paths.is_hidden(name) or not member.isreg():
                    if not member.isdir():
                        left_out.add("hidden members and links")
                elif member.issparse():
                    left_out.add("sparse members")
                else:
                    yield Place(
                        member.name, number, member.offset_data, member.size
                    )
    except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
        raise _damaged(path, str(error)) from error
    _check_end(path, end)


def _check_end(path: Path, end: int) -> None:
    """Refuse what `tarfile` takes for an end in silence."""
    size = path.stat().st_size
    if end > size:
        raise _damaged(path, "the last member is cut short")
    with path.open("rb") as file:
        file.seek(end)
        while block := file.read(BLOCK * 128):
            if block.strip(b"\0"):
                raise _damaged(
                    path,
                    "after the last member there is something else: a damaged "
                    "header, or another archive",
                )


def _damaged(path: Path, cause: str) -> ReadError:
    return ReadError(
        "truncated",
        "An archive must be a whole .tar file without compression.",
        f"It cannot be read: {cause}.",
        path=paths.shown(path),
    )
