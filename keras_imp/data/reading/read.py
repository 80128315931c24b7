"""`read`: what kind of data a path leads to, and which reader takes it."""

import codecs
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from keras_imp._errors import message
from keras_imp.data import paths
from keras_imp.data.manifest.manifest import Manifest
from keras_imp.data.reading.delimited import Columns, Options, read_delimited
from keras_imp.data.reading.errors import ReadError, unreadable
from keras_imp.data.reading.flickr import is_flickr8k, read_flickr8k
from keras_imp.data.reading.found import Found
from keras_imp.data.reading.known import read_folder
from keras_imp.data.reading.objects import read_json, read_json_lines
from keras_imp.data.reading.parquet import read_parquet
from keras_imp.data.reading.tar import read_tar
from keras_imp.data.reading.tfds import is_tfrecord, shards_of
from keras_imp.data.reading.tfrecord import read_tfrecords
from keras_imp.data.reading.youtube import find_videos

# Files that may run code when they are opened.
PICKLES = (".npz", ".npy", ".pkl", ".pickle", ".pt", ".pth", ".pyd", ".joblib")
READERS: dict[str, Callable[[Path, Options], Found]] = {
    ".csv": read_delimited,
    ".tsv": read_delimited,
    ".txt": read_delimited,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json,
    ".parquet": read_parquet,
}
PACKED = (".gz", ".tgz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".rar")


def read(
    path: str | os.PathLike,
    *,
    root: str | os.PathLike | None = None,
    columns: Columns = None,
    encoding: str | None = None,
    separator: str | None = None,
    label_separator: str | None = None,
    links: Sequence[str | os.PathLike] = (),
) -> Manifest:
    r"""Read a data set's table, folder or archive: its rows, not its files.

    What was found and inferred is in `manifest.summary()`: print it. Nothing
    is decoded, no code of the data is run and no address is fetched.

    | path | what becomes the rows |
    |---|---|
    | `.csv`, `.tsv`, `.txt` | lines; the separator that the header has most |
    | `.jsonl`, `.json` | objects, or the captions of COCO |
    | `.parquet` | rows; needs the extra `parquet` |
    | `.tar` | samples of a WebDataset, read where they lie |
    | `.tfrecord` | examples, read where they lie |
    | a folder | what is found first of the list below |

    Of a folder: a data set that Hugging Face `datasets` saved; `metadata.csv`
    or another table of that name; COCO captions; ESC-50; Flickr8k; archives;
    Parquet; TFRecords; what TensorFlow Datasets prepared; tables; else its
    files, with folders for splits and for classes, and texts
    of the same name as a file.

    Columns are found by their names, such as `filepath` or `caption`: those
    in `keras_imp/data/reading/aliases.py`.

    Args:
        path: A file or a folder.
        root: Folder of the data: paths of files start there, and must not
            leave it. Defaults to the folder itself, or that of the file.
        columns: For names that are not known: the table's name by column, as
            in `{"label": "kind"}`, with None for a column to leave out. For a
            table without a header: the columns in order, as in
            `["image", "text"]`, with None for one to leave out.
        encoding: Encoding of a table, such as `"latin-1"`.
        separator: What stands between the values of a table.
        label_separator: What stands between several labels of a row.
        links: Folders outside of `root` that links in it may lead to.

    Returns:
        The rows.

    Raises:
        ValueError: If `separator` is not one character.
        ReadError: A `ValueError` with a `reason`, if there is nothing to read,
            a table has a fault, columns are not known, or a path leaves
            `root`. It names the file and the line.
        ImportError: If an extra is needed; the message says which.

    Example:
        >>> from pathlib import Path
        >>> import keras_imp
        >>> Path("heart.png").touch()
        >>> _ = Path("photos.csv").write_text(
        ...     "filepath,caption\nheart.png,a red heart\n")
        >>> manifest = keras_imp.data.read("photos.csv")
        >>> manifest.row(0)
        {'image': 'heart.png', 'text': 'a red heart'}
        >>> print(manifest.where(0))
        photos.csv, line 2
        >>> print(manifest.summary())
        table, UTF-8, separator ',' in '.', 1 row
        column  from        rows  distinct  example
        image   'filepath'  1               heart.png
        text    'caption'   1               a red heart
    """
    path = Path(path)
    options = Options(columns, encoding, separator, label_separator)
    _check_options(options)
    try:
        is_folder = path.is_dir()
        found = (
            read_folder(paths.Root(path, links), options, read_file)
            if is_folder
            else read_file(path, options)
        )
        default = path if is_folder else path.parent
        root = Path(default if root is None else root)
        if not root.is_dir():
            raise ReadError(
                "missing", "`root` must be a folder.", root=paths.shown(root)
            )
        find_videos(found, paths.Root(root, links))
    except OSError as error:
        raise unreadable(error.filename or path, error) from error
    return Manifest.of(found, root, links)


def read_file(path: Path, options: Options) -> Found:
    """Read a table or an archive.

    Args:
        path: The file.
        options: How to read it.

    Returns:
        Its columns.

    Raises:
        ReadError: If its kind is not known, or it has a fault.
        OSError: If the system does not give it.
    """
    suffix = path.suffix.lower()
    # Also raises what a missing file or one without permission raises.
    with path.open("rb"):
        pass
    if suffix == ".tar":
        return read_tar([path], options)
    if suffix in PICKLES:
        raise _pickled(path)
    if suffix in PACKED:
        raise ReadError(
            "unsupported",
            "Rows must be read in any order, so packed files are not read.",
            "Unpack it; an archive may be a plain .tar.",
            path=paths.shown(path),
        )
    if is_tfrecord(path.name):
        return read_tfrecords(shards_of(path.parent, [path.name]), options)
    if is_flickr8k(path):
        return read_flickr8k(path, options)
    if suffix in READERS:
        return READERS[suffix](path, options)
    raise ReadError(
        "unsupported",
        "Data is a folder, a .tar, a .tfrecord or one of "
        f"{', '.join(READERS)}.",
        path=paths.shown(path),
    )


def _check_options(options: Options) -> None:
    if options.separator is not None and len(options.separator) != 1:
        raise ValueError(
            message(
                "`separator` must be one character.",
                separator=options.separator,
            )
        )
    if options.encoding is not None:
        try:
            codecs.lookup(options.encoding)
        except LookupError as error:
            raise ReadError(
                "encoding",
                "`encoding` must be one that Python knows.",
                "Take a name such as 'utf-8', 'latin-1' or 'shift_jis'.",
                encoding=options.encoding,
            ) from error


def _pickled(path: Path) -> ReadError:
    return ReadError(
        "pickle",
        "Files that can run code when they are opened are not read.",
        "Arrays of numbers are given to keras_imp.data.Arrays, read by "
        "numpy.load(..., allow_pickle=False).",
        path=paths.shown(path),
    )
