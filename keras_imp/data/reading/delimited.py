"""Tables of text: CSV, TSV and others, by the `csv` module in strict mode.

Of the readers that were compared on odd files, it is the one that reads all of
them or names the line. https://docs.python.org/3/library/csv.html
"""

import codecs
import csv
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np

from keras_imp.data.manifest.origins import Origins
from keras_imp.data.reading.errors import ReadError
from keras_imp.data.reading.found import Found, RowsBuilder
from keras_imp.data.reading.matching import match

SEPARATORS = ",\t;|"
# Separators of tables that enclose in quotes what holds them. With others, such
# as tabs, some programs do so, and some write texts as they are.
QUOTED = ",;"
# Rows that are looked at before the columns are chosen.
SAMPLE = 200
# Bytes of the longest value; the module's own limit is 128 kB.
LONGEST = 1 << 28
_MARKS = (
    # UTF-32 first: its mark begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NAMES = {"\t": "tab"}

Columns = Mapping[str, str] | Sequence[str | None] | None


class Options(NamedTuple):
    """How a table is to be read, where that is not to be found out.

    Attributes:
        columns: Names in the table by column of a manifest, or for a table
            without a header the columns of a manifest in order.
        encoding: Encoding of a table of text.
        separator: What stands between its values.
        label_separator: What stands between several labels of a row.
    """

    columns: Columns = None
    encoding: str | None = None
    separator: str | None = None
    label_separator: str | None = None

    @property
    def wanted(self) -> Mapping[str, str] | None:
        """Names in the table by column, where they were given so."""
        return self.columns if isinstance(self.columns, Mapping) else None


def encoding_of(path: Path) -> str:
    """The encoding that a byte order mark tells; UTF-8 without one."""
    with path.open("rb") as file:
        start = file.read(4)
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding
    return "utf-8"


def read_delimited(path: Path, options: Options) -> Found:
    """Read a table of text.

    Args:
        path: The file.
        options: How to read it.

    Returns:
        Its columns.

    Raises:
        ReadError: If it is empty or not in its encoding, rows differ in
            length, or its columns are not known.
    """
    encoding = options.encoding or encoding_of(path)
    with path.open(encoding=encoding, newline="") as file:
        try:
            return _read(path, file, encoding, options)
        except UnicodeError as error:
            raise undecodable(path, encoding) from error


def _read(path: Path, file: TextIO, encoding: str, options: Options) -> Found:
    separator = options.separator or _separator(file, path)
    plain = _has_plain_quotes(file, separator)
    rows = _rows(file, separator, plain, path)
    header, rows = _header(rows, options.columns, path)
    first = list(itertools.islice(rows, SAMPLE))
    whole = [values for _, values in first if len(values) == len(header)]

    def sample(name: str) -> list[str]:
        return [values[header.index(name)] for values in whole]

    found = match(header, sample, options.wanted, str(path))
    columns, lines = _collect(
        itertools.chain(first, rows), header, found.columns, path, options
    )
    sign = _NAMES.get(separator, repr(separator))
    named = {
        column: ", ".join(map(repr, names))
        for column, names in found.columns.items()
    }
    notes = unused_note(found.unused)
    if plain:
        notes.append(
            "Double quotes are read as part of the values, since not all of "
            "them enclose one."
        )
    return Found(
        f"table, {encoding.upper()}, separator {sign}",
        columns,
        named,
        notes,
        Origins([path], lines),
    )


def unused_note(unused: Sequence[str]) -> list[str]:
    """What to say of columns that are not used."""
    if not unused:
        return []
    names = ", ".join(map(repr, unused[:20]))
    return [f"Columns that are not used: {names}."]


def _separator(file: TextIO, path: Path) -> str:
    """The sign that the header has most of, outside of quotes."""
    line = _first_line(file)
    plain = "".join(line.split('"')[::2])
    counts = {sign: plain.count(sign) for sign in SEPARATORS}
    if not any(counts.values()):
        return "\t" if path.suffix.lower() == ".tsv" else ","
    return max(counts, key=lambda sign: counts[sign])


def _has_plain_quotes(file: TextIO, separator: str) -> bool:
    """Whether quotes are signs as any other, not around values.

    Decided by the whole file, line by line: such a quote may be anywhere, and
    two of them can make one row of all that is between. Where they enclose all
    values of the first line, they do so in all lines, of which one is damaged.
    """
    if separator in QUOTED or _encloses(_first_line(file), separator):
        return False
    if not _fits_without_quotes(file, separator):
        return False
    return not _fits_with_quotes(file, separator)


def _first_line(file: TextIO) -> str:
    line = file.readline(LONGEST)
    file.seek(0)
    return line.rstrip("\r\n")


def _encloses(line: str, separator: str) -> bool:
    """Whether quotes are around each value of a line."""
    return all(
        len(value) > 1
        and value[0] == value[-1] == '"'
        and '"' not in value[1:-1].replace('""', "")
        for value in line.split(separator)
    )


def _fits_without_quotes(file: TextIO, separator: str) -> bool:
    """Whether lines with quotes have the length of the first as they are.

    False where no value starts with a quote: then both ways read the same.
    Lines without quotes do not matter: their length is the same in both ways.
    """
    length, starts = None, False
    for line in file:
        if length is None and line.strip("\r\n"):
            length = line.count(separator)
        if '"' not in line:
            continue
        if line.count(separator) != length:
            starts = False
            break
        starts = starts or line.startswith('"') or f'{separator}"' in line
    file.seek(0)
    return starts


def _fits_with_quotes(file: TextIO, separator: str) -> bool:
    """Whether rows with quotes are of one length and of one line each.

    A value of several lines would be in lines of other lengths, except in a
    table of one column.
    """
    reader = _reader(file, separator)
    length, line = 0, 0
    try:
        for values in reader:
            length = length or len(values)
            several = length > 1 and reader.line_num > line + 1
            if values and (several or len(values) != length):
                return False
            line = reader.line_num
    except csv.Error:
        return False
    finally:
        file.seek(0)
    return True


def _reader(file: TextIO, separator: str, plain_quotes: bool = False) -> Any:
    # A setting of the whole process, so it is never lowered.
    csv.field_size_limit(max(LONGEST, csv.field_size_limit()))
    return csv.reader(
        file,
        delimiter=separator,
        quoting=csv.QUOTE_NONE if plain_quotes else csv.QUOTE_MINIMAL,
        strict=True,
    )


def _rows(
    file: TextIO, separator: str, plain_quotes: bool, path: Path
) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, each with its first line, from 1."""
    reader = _reader(file, separator, plain_quotes)
    line = 1
    try:
        for values in reader:
            if values:
                yield line, values
            line = reader.line_num + 1
    except csv.Error as error:
        raise ReadError(
            "syntax",
            "Quotes must be closed, and doubled inside of quotes.",
            f"The row that starts there cannot be read: {error}.",
            path=str(path),
            line=line,
        ) from error


def _header(
    rows: Iterator[tuple[int, list[str]]], columns: Columns, path: Path
) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Names of the columns, and the rows that follow."""
    first = next(rows, None)
    if first is None:
        raise empty(path)
    if columns is not None and not isinstance(columns, Mapping):
        names = [name or "" for name in columns]
        rows = itertools.chain([first], rows)
    else:
        names = [name.strip().lstrip("#").strip() for name in first[1]]
    again = sorted({n for n in names if n and names.count(n) > 1})
    if again:
        raise ReadError(
            "columns",
            "Columns of a table must have different names.",
            path=str(path),
            repeated=again,
        )
    return names, rows


def _collect(
    rows: Iterator[tuple[int, list[str]]],
    header: list[str],
    chosen: Mapping[str, tuple[str, ...]],
    path: Path,
    options: Options,
) -> tuple[dict[str, Any], np.ndarray]:
    """All rows; those of another length than the header are refused."""
    builder = RowsBuilder(chosen, options.label_separator)
    single = {c: header.index(n[0]) for c, n in chosen.items() if len(n) == 1}
    several = {
        c: [header.index(n) for n in names]
        for c, names in chosen.items()
        if len(names) > 1
    }
    ragged = []
    for line, values in rows:
        if len(values) != len(header):
            ragged.append(f"line {line}: {len(values)} values")
            continue
        row: dict = {column: values[at] for column, at in single.items()}
        for column, places in several.items():
            row[column] = [values[at] for at in places]
        builder.append(row, line, path)
    if ragged:
        raise ReadError(
            "columns",
            f"Every row must have {len(header)} values, as the first line has.",
            "Put values that hold the separator into double quotes.",
            path=str(path),
            faults=ragged,
        )
    if not len(builder):
        raise empty(path)
    return builder.finish()


def empty(path: Path) -> ReadError:
    """The error of a table without rows."""
    return ReadError("empty", "A table must have rows.", path=str(path))


def check_no_columns(path: Path, options: Options) -> None:
    """Refuse wanted columns of a format that has its own."""
    if options.columns:
        raise ReadError(
            "columns",
            "Captions of a known format have fixed columns.",
            "Leave `columns` out.",
            path=str(path),
            columns=options.columns,
        )


def undecodable(path: Path, encoding: str) -> ReadError:
    """The error that names the first byte that an encoding does not have."""
    line, byte = _first_bad(path, encoding)
    return ReadError(
        "encoding",
        f"The table must be text in {encoding.upper()}.",
        "Name its encoding, as in encoding='latin-1', or save it as UTF-8.",
        path=str(path),
        line=line,
        byte=byte,
    )


def _first_bad(path: Path, encoding: str) -> tuple[int, str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    text_lines, held = 1, b""
    with path.open("rb") as file:
        while block := file.read(1 << 16):
            try:
                text_lines += decoder.decode(block).count("\n")
                held = decoder.getstate()[0]
            except UnicodeDecodeError as error:
                good = error.object[: error.start].decode(encoding, "replace")
                return text_lines + good.count("\n"), hex(
                    error.object[error.start]
                )
    return text_lines, hex(held[0]) if held else ""
