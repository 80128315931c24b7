"""Folders of files without a table: what their names and places say."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from keras_imp.data import paths
from keras_imp.data.decoding.errors import REASONS, BadFile
from keras_imp.data.reading.aliases import (
    FOLDERS_OF_KINDS,
    MEDIA,
    canonical,
    kind_of,
    split_named,
)
from keras_imp.data.reading.delimited import Options
from keras_imp.data.reading.errors import ReadError
from keras_imp.data.reading.found import Found
from keras_imp.data.reading.samples import (
    LARGEST,
    Place,
    SamplesBuilder,
    kind_of_part,
)
from keras_imp.data.reading.scan import (
    LeftOut,
    files_in,
    folders_in,
    join,
    scan,
)

# Names that an error shows of a folder in which nothing was found.
SHOWN = 10


def read_files(root: paths.Root, options: Options) -> Found:
    """Read a folder of files.

    Folders named for splits give `split`; those below, or else those at the
    top, give `label`, but not if they are named for what they hold, such as
    `images` beside `texts`. Texts of the same name as a file belong to it.

    Args:
        root: The folder.
        options: How to read it.

    Returns:
        Columns; names are paths in `root`.

    Raises:
        ReadError: If there are no images, videos, audio or texts, or a folder
            or a text cannot be read.
    """
    left_out = LeftOut()
    splits = _split_folders(root)
    text_only = not has_media(root)
    builder = SamplesBuilder(
        _reader(root), options, lambda place: place.name, text_only
    )
    for top, split in splits.items() or [("", None)]:
        for label, files in _together(root, top, left_out):
            given = {"split": split} if split else {}
            if label is not None:
                given["label"] = label
            _add(builder, files, given, text_only, left_out)
    if not len(builder):
        raise _nothing(root, left_out)
    return _found(builder, splits, left_out)


def has_media(root: paths.Root, folder: str = "") -> bool:
    """Whether there is an image, a video or audio in a folder, at any depth.

    Args:
        root: Folder of the data.
        folder: The folder, as a path in it.

    Returns:
        True at the first one.
    """
    return any(
        kind_of(name) in MEDIA
        for _, names in scan(root, folder)
        for name in names
    )


def _split_folders(root: paths.Root) -> dict[str, str]:
    """Split by folder, if all files are in folders named for splits."""
    tops = folders_in(root)
    splits = {top: split for top in tops if (split := split_named(top))}
    if not splits or any(kind_of(name) in MEDIA for name in files_in(root)):
        return {}
    # A class may be named as a split, such as trains among vehicles.
    others = [top for top in tops if top not in splits]
    return {} if any(has_media(root, top) for top in others) else splits


def _are_named_for_kinds(root: paths.Root, top: str) -> bool:
    tops = [
        canonical(name)
        for name in folders_in(root, top)
        if next((True for _, n in scan(root, join(top, name)) if n), False)
    ]
    return bool(tops) and set(tops) <= set(FOLDERS_OF_KINDS)


def _together(
    root: paths.Root, top: str, left_out: LeftOut
) -> Iterator[tuple[str | None, list[tuple[str, str]]]]:
    """Label, and the stems and paths of files that may belong together."""
    if _are_named_for_kinds(root, top):
        yield (
            None,
            [
                (below.rpartition(".")[0], join(folder, name))
                for kind in folders_in(root, top)
                for folder, names in scan(root, join(top, kind), left_out)
                for name in names
                for below in [join(folder, name)[len(join(top, kind)) + 1 :]]
            ],
        )
        return
    for folder, names in scan(root, top, left_out):
        below = folder[len(top) :].strip("/")
        label = below.split("/")[0] or None
        yield (
            label,
            [(name.rpartition(".")[0], join(folder, name)) for name in names],
        )


def _add(
    builder: SamplesBuilder,
    files: Iterable[tuple[str, str]],
    given: dict[str, Any],
    text_only: bool,
    left_out: LeftOut,
) -> None:
    """Add the samples of files that may belong together."""
    stems: dict[str, list[str]] = {}
    for stem, path in files:
        stems.setdefault(stem, []).append(path)
    for paths_of_stem in stems.values():
        media = [path for path in paths_of_stem if kind_of(path) in MEDIA]
        beside = [path for path in paths_of_stem if path not in media]
        known = [path for path in beside if kind_of_part(_ending(path))]
        left_out.add("files of other kinds", len(beside) - len(known))
        if not media and not text_only:
            left_out.add("texts without a file", len(known))
            continue
        for group in _one_of_each_kind(media) or [known]:
            parts = {_ending(path): Place(path) for path in [*group, *known]}
            if parts:
                builder.add(parts, given)


def _one_of_each_kind(media: list[str]) -> list[list[str]]:
    """Files of one stem: `a.jpg` and `a.png` are two samples."""
    samples: list[list[str]] = []
    for path in media:
        for sample in samples:
            if kind_of(path) not in map(kind_of, sample):
                sample.append(path)
                break
        else:
            samples.append([path])
    return samples


def _ending(path: str) -> str:
    return path.rpartition(".")[2]


def _reader(root: paths.Root) -> Callable[[Place], bytes]:
    def read(place: Place) -> bytes:
        try:
            with paths.open_regular(root.find(place.name), LARGEST) as file:
                return file.read()
        except BadFile as error:
            if error.reason == "empty":
                # A text without words, as an archive may have one.
                return b""
            raise _bad_text(place.name, error) from error

    return read


def _bad_text(name: str, error: BadFile) -> ReadError:
    reasons = {"unreadable": "permission", "missing": "missing"}
    outside = error.reason == "outside"
    return ReadError(
        error.reason if outside else reasons.get(error.reason, "unsupported"),
        "Texts, labels and JSON must be files in the folder of the data, of "
        f"up to {LARGEST} bytes.",
        f"{REASONS[error.reason]} {error.detail}".strip(),
        faults=[paths.shown(name)] if outside else [],
        path=paths.shown(name),
    )


def _found(
    builder: SamplesBuilder, splits: dict[str, str], left_out: LeftOut
) -> Found:
    columns: dict[str, Any] = {
        name: places.names()
        for name, places in builder.places.items()
        if places.filled
    }
    named = dict.fromkeys(columns, "files")
    beside = builder.finish()
    columns |= beside
    named |= dict.fromkeys(beside, "files beside")
    if "label" in beside:
        named["label"] = "folder"
    if splits:
        named["split"] = "folder"
    layout = "folder of files"
    if "label" in beside:
        layout = "folder per class"
    if splits:
        layout += ", per split"
    return Found(layout, columns, named, left_out.notes(), folder="")


def _nothing(root: paths.Root, left_out: LeftOut) -> ReadError:
    names = [*files_in(root), *folders_in(root)]
    return ReadError(
        "empty",
        "A folder must hold images, videos, audio or texts, or a table of "
        "them.",
        " ".join(left_out.notes()),
        path=paths.shown(root.root),
        names=[paths.shown(name) for name in names[:SHOWN]],
    )
