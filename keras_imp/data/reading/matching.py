"""Which column of a table is which column of a manifest."""

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from keras_imp.data.reading.aliases import (
    ALIASES,
    COLUMNS,
    FILES,
    MEDIA,
    YOUTUBE,
    canonical,
    kind_of,
)
from keras_imp.data.reading.errors import ReadError

NUMBERED = re.compile(r"(.+?)_?(\d+)")
# Column of a reader that finds videos by their numbers at YouTube.
VIDEO_ID = "video id"
CONTENT_COLUMNS = (*MEDIA, "text", VIDEO_ID)


class Match(NamedTuple):
    """What was found in a table.

    Attributes:
        columns: Names in the table by column of a manifest; several for
            numbered captions.
        unused: Names in the table that are no column of a manifest.
    """

    columns: dict[str, tuple[str, ...]]
    unused: tuple[str, ...]


def match(
    names: Sequence[str],
    sample: Callable[[str], Iterable[str]],
    wanted: Mapping[str, str] | None = None,
    place: str = "",
) -> Match:
    """Find the columns of a manifest among those of a table.

    Args:
        names: Names in the table.
        sample: Called with a name; returns some of its values.
        wanted: Names in the table by column of a manifest, where the aliases
            do not say so. None for a column that is to be left out.
        place: File to name in an error.

    Returns:
        The match.

    Raises:
        ReadError: If a wanted column does not exist, files are of several
            kinds, or there is nothing to train on.

    Example:
        >>> from keras_imp.data.reading.matching import match
        >>> found = match(["filepath", "Caption", "id"], lambda name: ["a.jpg"])
        >>> found.columns, found.unused
        ({'image': ('filepath',), 'text': ('Caption',)}, ('id',))
    """
    wanted = dict(wanted or {})
    _check_wanted(wanted, names, place)
    found: dict[str, tuple[str, ...]] = {
        to: (name,) for to, name in wanted.items() if name is not None
    }
    free = [name for name in names if (name,) not in found.values()]
    for column in COLUMNS:
        if column not in wanted:
            found |= _by_alias(column, free)
    if not set(MEDIA) & set(found):
        found |= _by_file(free, found, sample, place)
    if not set(MEDIA) & set(found):
        found |= _first_of(VIDEO_ID, YOUTUBE, free)
    if not set(CONTENT_COLUMNS) & set(found):
        raise _nothing_found(names, place)
    used = {name for group in found.values() for name in group}
    ordered = sorted(found, key=[*COLUMNS, VIDEO_ID].index)
    return Match(
        {column: found[column] for column in ordered},
        tuple(name for name in names if name and name not in used),
    )


def nearest(name: str, names: Iterable[str]) -> str:
    """A sentence that names what is most like a name, and all there are.

    Example:
        >>> from keras_imp.data.reading.matching import nearest
        >>> nearest("categroy", ["file", "category"])
        "Did you mean 'category'? There are: 'file', 'category'."
    """
    names = [each for each in names if each]
    lowered = {canonical(each): each for each in reversed(names)}
    close = difflib.get_close_matches(canonical(name), lowered, 1)
    meant = f"Did you mean {lowered[close[0]]!r}? " if close else ""
    return f"{meant}There are: {', '.join(map(repr, names[:20]))}."


def _check_wanted(
    wanted: Mapping[str, str | None], names: Sequence[str], place: str
) -> None:
    for column, name in wanted.items():
        if column not in COLUMNS:
            raise ReadError(
                "columns",
                "A manifest has no such column.",
                nearest(column, COLUMNS),
                columns=dict(wanted),
            )
        if name is not None and name not in names:
            raise ReadError(
                "columns",
                "The table has no such column.",
                nearest(name, names),
                path=place,
                columns=dict(wanted),
            )


def _by_alias(column: str, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The name in a table for a column, or numbered captions."""
    found = _first_of(column, ALIASES[column], names)
    if found or column != "text":
        return found
    numbered = [
        name
        for name in names
        if (parts := NUMBERED.fullmatch(canonical(name)))
        and parts[1] in ALIASES["text"]
    ]
    return {column: tuple(numbered)} if numbered else {}


def _first_of(
    column: str, aliases: Sequence[str], names: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    spelled = {canonical(name): name for name in reversed(names)}
    for alias in aliases:
        if alias in spelled:
            return {column: (spelled[alias],)}
    return {}


def _by_file(
    names: Sequence[str],
    found: Mapping[str, tuple[str, ...]],
    sample: Callable[[str], Iterable[str]],
    place: str,
) -> dict[str, tuple[str, ...]]:
    """A column of files of any kind: what its values end in decides."""
    named = _first_of("file", FILES, names)
    if not named:
        return {}
    name = named["file"][0]
    kinds = Counter(kind_of(value) for value in sample(name) if value)
    media = {kind: n for kind, n in kinds.items() if kind in MEDIA}
    if len(media) == 1:
        return {next(iter(media)): (name,)}
    raise ReadError(
        "columns",
        f"The files of the column {name!r} must all be images, all videos or "
        "all audio, by the endings of their names.",
        f"Say which column it is: columns={{'image': {name!r}}}.",
        path=place,
        endings={str(kind): n for kind, n in kinds.items()},
    )


def _nothing_found(names: Sequence[str], place: str) -> ReadError:
    return ReadError(
        "columns",
        "A table needs a column of images, videos, audio or texts.",
        "Name the columns that there are, as in columns={'image': 'NAME', "
        "'text': 'NAME'}; for a table without a header, all of them in order: "
        "columns=['image', 'text'].",
        path=place,
        found=[name[:60] for name in names[:20]],
    )
