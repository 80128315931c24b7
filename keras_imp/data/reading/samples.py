"""Files that share a name up to its ending: one sample, one row.

`a.jpg` with `a.txt` is an image with captions, one per line. The same rule
holds for the members of a WebDataset and for the files of a folder.
"""

import json
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_imp.data.manifest.columns import Strings, StringsBuilder
from keras_imp.data.manifest.media import Members
from keras_imp.data.reading.aliases import (
    ALIASES,
    COLUMNS,
    MEDIA,
    canonical,
    kind_of,
)
from keras_imp.data.reading.delimited import Options
from keras_imp.data.reading.errors import ReadError
from keras_imp.data.reading.found import RowsBuilder
from keras_imp.data.reading.matching import nearest

# Columns that a text beside a file can give.
BESIDE = tuple(name for name in COLUMNS if name not in MEDIA)
# Bytes of the largest text, label or JSON of a sample.
LARGEST = 1 << 24
# Names of keys and endings that are remembered.
MOST_NAMES = 1000


class Place(NamedTuple):
    """Where a file of a sample is.

    Attributes:
        name: Its path.
        archive: Index of the archive that holds it.
        start: Its first byte there.
        size: Its number of bytes.
    """

    name: str
    archive: int = 0
    start: int = 0
    size: int = 0


def kind_of_part(ending: str) -> str | None:
    """The column of a file by its ending, or `"json"`.

    Example:
        >>> from keras_imp.data.reading.samples import kind_of_part
        >>> kind_of_part("seg.PNG"), kind_of_part("json"), kind_of_part("idx")
        ('image', 'json', None)
    """
    kind = kind_of(f".{ending}")
    return "json" if ending.lower() == "json" else kind


class PlacesBuilder:
    """Collects where the files of a column are.

    Example:
        >>> from keras_imp.data.reading.samples import Place, PlacesBuilder
        >>> places = PlacesBuilder()
        >>> places.append(Place("a.jpg"))
        >>> list(places.names())
        ['a.jpg']
    """

    def __init__(self) -> None:
        self._names = StringsBuilder()
        self._numbers = array("q")
        self.filled = False

    def append(self, place: Place | None) -> None:
        """Add a row."""
        self.filled = self.filled or place is not None
        self._names.append(place and place.name)
        self._numbers.extend(place[1:] if place else (0, 0, 0))

    def names(self) -> Strings:
        """The paths, where files are no members of archives."""
        return self._names.finish()

    def members(self, archives: Sequence[Path]) -> Members:
        """The column, where they are."""
        numbers = np.frombuffer(self._numbers, "int64").reshape(-1, 3)
        return Members(archives, self._names.finish(), *numbers.T)


class SamplesBuilder:
    """Collects samples as rows.

    Args:
        read: Called with a place; returns the bytes of a small file.
        options: How to read them; `columns` names keys of JSON, or for files
            endings such as `"seg.png"`.
        tell: Called with a place; returns it as a message shows it.
        whole_texts: Whether a text is one, not a caption per line.
    """

    def __init__(
        self,
        read: Callable[[Place], bytes],
        options: Options,
        tell: Callable[[Place], str],
        whole_texts: bool = False,
    ):
        self._split = str.strip if whole_texts else captions
        self._read = read
        self._tell = tell
        self._wanted = dict(options.wanted or {})
        # Endings of files and keys of JSON.
        self._seen: set[str] = set()
        self._rows = RowsBuilder(BESIDE, options.label_separator)
        self.places = {name: PlacesBuilder() for name in MEDIA}

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, parts: Mapping[str, Place], given: Mapping[str, Any]) -> None:
        """Add a sample.

        Args:
            parts: Its files by ending, such as `"jpg"`.
            given: Values of other columns.

        Raises:
            ReadError: If it has two files of one kind, or a text that cannot
                be read.
        """
        self._see(parts)
        media = self._media(parts)
        # What stands beside a file says more of it than its folder.
        row = {**given, **self._beside(parts)}
        place = next(iter(parts.values()))
        self._rows.append(row, 0, Path(self._tell(place)))
        for name in MEDIA:
            self.places[name].append(media.get(name))

    def finish(self) -> dict[str, Any]:
        """Columns that are not files, those that have values.

        Raises:
            ReadError: If a wanted key or ending is in no sample.
        """
        for name in self._wanted.values():
            if name and name not in self._seen:
                raise ReadError(
                    "columns",
                    "No sample has such a key or ending.",
                    nearest(name, sorted(self._seen)),
                    columns=self._wanted,
                )
        columns = self._rows.finish()[0]
        return {n: c for n, c in columns.items() if c.is_filled().any()}

    def _see(self, names: Iterable[str]) -> None:
        """Remember names, to tell of them if one is wanted that is not there.

        Identifiers may be keys too, so there is a limit.
        """
        if len(self._seen) < MOST_NAMES:
            self._seen.update(names)
        else:
            self._seen.update(set(names) & set(self._wanted.values()))

    def _media(self, parts: Mapping[str, Place]) -> dict[str, Place]:
        """The file of each column of files."""
        found: dict[str, str] = {}
        wanted = {
            ending.lower(): name
            for name, ending in self._wanted.items()
            if name in MEDIA and ending
        }
        for ending in parts:
            name = wanted.get(ending.lower())
            if name is None:
                kind = kind_of_part(ending)
                name = kind if kind not in self._wanted else None
            if name not in MEDIA:
                continue
            if name in found:
                raise ReadError(
                    "columns",
                    f"A sample must have one {name}.",
                    "Name the ending of the one to take, as in "
                    f"columns={{{name!r}: {ending!r}}}.",
                    sample=self._tell(parts[ending]),
                    endings=[found[name], ending],
                )
            found[name] = ending
        return {name: parts[ending] for name, ending in found.items()}

    def _beside(self, parts: Mapping[str, Place]) -> dict[str, Any]:
        """Values of texts, labels and JSON; a text before what JSON says."""
        row: dict[str, Any] = {}
        for ending, place in parts.items():
            if kind_of_part(ending) == "json":
                row |= self._from_json(place)
        for ending, place in parts.items():
            kind = kind_of_part(ending)
            if kind == "text":
                value = self._split(self._text(place))
            elif kind == "label":
                value = self._text(place).strip()
            else:
                continue
            # What is empty says no more than what is not there.
            if value:
                row[kind] = value
        return row

    def _from_json(self, place: Place) -> dict[str, Any]:
        text = self._text(place)
        try:
            values = json.loads(text) if text.strip() else {}
        except (ValueError, RecursionError) as error:
            raise ReadError(
                "syntax",
                "The file must be JSON.",
                f"{error}.",
                path=self._tell(place),
            ) from error
        if not isinstance(values, Mapping):
            return {}
        self._see(values)
        keys = {canonical(key): key for key in reversed(list(values))}
        row = {}
        for name in BESIDE:
            wanted = self._wanted.get(name, None)
            aliases = [wanted] if name in self._wanted else ALIASES[name]
            key = next((a for a in aliases if a and canonical(a) in keys), None)
            if key is not None:
                row[name] = values[keys[canonical(key)]]
        return row

    def _text(self, place: Place) -> str:
        data = self._read(place)
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ReadError(
                "encoding",
                "Texts beside files must be UTF-8.",
                path=self._tell(place),
                byte=hex(data[error.start]),
            ) from error


def captions(text: str) -> str | list[str] | None:
    r"""The captions in a text, one per line.

    Returns:
        One as a text, several as a list, None if there is none.

    Example:
        >>> from keras_imp.data.reading.samples import captions
        >>> captions("a heart\n"), captions("a heart\n\nit is red\n")
        ('a heart', ['a heart', 'it is red'])
    """
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line]
    return lines if len(lines) > 1 else next(iter(lines), None)
