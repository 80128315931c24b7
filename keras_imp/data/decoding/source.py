"""What decoders read: a file or bytes, its first bytes, and what they are."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from keras_imp._errors import message
from keras_imp.data import paths
from keras_imp.data.decoding.errors import BadFile

Source = Path | bytes

_HEAD = 64
# Format to the endings of its names, of everything that data sets hold.
_ENDINGS = {
    "JPEG": "jpg jpeg jpe jfif",
    "PNG": "png apng",
    "GIF": "gif",
    "WEBP": "webp",
    "BMP": "bmp dib",
    "TIFF": "tif tiff",
    "AVIF": "avif avifs",
    "WAV": "wav wave",
    "FLAC": "flac",
    "OGG": "ogg oga opus ogv spx",
    "MP3": "mp3",
    "AIFF": "aif aiff aifc",
    "MP4": "mp4 m4v m4a mov 3gp 3g2 qt",
    "MATROSKA": "mkv mka webm",
    "AVI": "avi",
    "MPEG": "mpg mpeg vob ts mts m2ts",
    "ASF": "wmv wma asf",
    "FLV": "flv",
}
_KNOWN_ENDINGS = {
    ending: kind for kind, text in _ENDINGS.items() for ending in text.split()
}
# Place and bytes of the mark of a format; the first that fits.
_MARKS = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"GIF8", "GIF"),
    (8, b"WEBP", "WEBP"),
    (0, b"BM", "BMP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (8, b"WAVE", "WAV"),
    (8, b"AVI ", "AVI"),
    (0, b"fLaC", "FLAC"),
    (0, b"OggS", "OGG"),
    (0, b"ID3", "MP3"),
    (8, b"AIF", "AIFF"),
    (4, b"ftypavi", "AVIF"),
    (4, b"ftyphei", "HEIF"),
    (4, b"ftypmif1", "HEIF"),
    (4, b"ftyp", "MP4"),
    (4, b"moov", "MP4"),
    (4, b"mdat", "MP4"),
    (0, b"\x1aE\xdf\xa3", "MATROSKA"),
    (0, b"\0\0\x01\xba", "MPEG"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "ASF"),
    (0, b"FLV", "FLV"),
    (0, b"%!PS", "EPS"),
    (0, b"\xc5\xd0\xd3\xc6", "EPS"),
    (0, b"%PDF", "PDF"),
    (0, b"8BPS", "PSD"),
    (0, b"\0\0\x01\0", "ICO"),
    (4, b"jP  \r\n", "JPEG 2000"),
    (0, b"\xffO\xffQ", "JPEG 2000"),
    (4, b"JXL \r\n", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"P5\n", "PNM"),
    (0, b"P6\n", "PNM"),
    (0, b"DICM", "DICOM"),
)


@contextlib.contextmanager
def opened(source: Source, max_bytes: int | None) -> Iterator[BinaryIO]:
    """Open what a decoder is given.

    Args:
        source: A path, or the bytes of a file, such as a member of an archive.
        max_bytes: Size above which it is refused; None for any.

    Yields:
        The file.

    Raises:
        BadFile: If it is no regular file, is empty, too large or unreadable.
        TypeError: If `source` is neither a path nor bytes.

    Example:
        >>> from keras_imp.data.decoding.source import opened
        >>> with opened(b"hello", max_bytes=100) as file:
        ...     file.read()
        b'hello'
    """
    if isinstance(source, Path):
        with paths.open_regular(source, max_bytes) as file:
            yield file
        return
    if not isinstance(source, bytes):
        raise TypeError(
            message(
                "`source` must be a `pathlib.Path` or bytes.",
                "Check paths of a table with `keras_imp.data.paths.Root`.",
                source=type(source).__name__,
            )
        )
    if not source:
        raise BadFile("empty")
    if max_bytes is not None and len(source) > max_bytes:
        raise BadFile("too_large", detail=f"It has {len(source)} bytes.")
    yield io.BytesIO(source)


def name_of(source: Source, name: str) -> str:
    """How a source is shown.

    Args:
        source: A path or bytes.
        name: The name that the caller gives; empty for that of the path.

    Returns:
        The name, printable.

    Example:
        >>> from pathlib import Path
        >>> from keras_imp.data.decoding.source import name_of
        >>> name_of(Path("images/a.jpg"), "")
        'images/a.jpg'
    """
    if name or not isinstance(source, Path):
        return paths.shown(name)
    return paths.shown(source)


def kind_of(file: BinaryIO) -> str:
    """The format that the first bytes of a file tell.

    Args:
        file: The file, read from its start and set back to it.

    Returns:
        Such as `"JPEG"` or `"EPS"`; empty if they tell nothing.

    Example:
        >>> import io
        >>> from keras_imp.data.decoding.source import kind_of
        >>> kind_of(io.BytesIO(b"GIF89a"))
        'GIF'
    """
    file.seek(0)
    head = file.read(_HEAD)
    file.seek(0)
    for place, mark, kind in _MARKS:
        if head[place : place + len(mark)] == mark:
            return kind
    # Frames of MPEG audio: eleven bits, then no layer that does not exist.
    if head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xE0 == 0xE0:
        return "AAC" if head[1] & 0x06 == 0 else "MP3"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return "SVG" if text.startswith((b"<svg", b"<?xml")) else ""


def has_other_ending(name: str, kind: str) -> bool:
    """Whether a name ends as that of another format.

    Args:
        name: Name of the file.
        kind: Its format, from `kind_of` or a decoder.

    Returns:
        False also for endings that are not known, and for no ending.

    Example:
        >>> from keras_imp.data.decoding.source import has_other_ending
        >>> has_other_ending("a.png", "JPEG")
        True
        >>> has_other_ending("blobs/5f3a", "JPEG")
        False
    """
    ending = name.rpartition(".")[2].lower()
    return _KNOWN_ENDINGS.get(ending, kind) != kind
