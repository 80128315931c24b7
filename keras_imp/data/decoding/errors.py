"""Why a file cannot be used: stable words for reports, sentences for people."""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from keras_imp._errors import message

# The words are written to reports and compared by scripts: add, never rename.
REASONS = {
    "beyond_end": "The part that is asked for starts after the file's end.",
    "crash": "The file ends the process that decodes it.",
    "damaged": "The file is damaged: a decoder stopped in it.",
    "empty": "The file holds nothing.",
    "hang": "The file takes too long to decode.",
    "hidden": "The file is hidden, or a system's own.",
    "missing": "There is no such file.",
    "no_audio": "The video has no audio.",
    "no_value": "The row has nothing in this column.",
    "no_video": "The file has audio but no video.",
    "not_audio": "The content is no audio.",
    "not_file": "This is no regular file, but a folder, a pipe or a device.",
    "not_finite": "The audio has samples that are NaN or infinite.",
    "not_image": "The content is no image.",
    "not_video": "The content is no video.",
    "outside": "The path leaves the folder of the data.",
    "too_large": "The file would take more memory than is allowed.",
    "truncated": "The file is cut short.",
    "unreadable": "The system refuses to read the file.",
    "unsupported": "The content has a format that is not read here.",
}
NOTES = {
    "animated": "Several frames, of which the first is taken.",
    "aspect": "One side is more than 20 times as long as the other.",
    "blank": "All pixels have one color.",
    "clipped": "More than 1 % of the samples are cut off at full scale.",
    "damaged": "Parts could not be decoded, and are left out or repaired.",
    "extension": "The name ends as that of another format.",
    "pages": "Several pages, of which the first is taken.",
    "short": "Less than a tenth of a second.",
    "silent": "No sample of the mean of the channels is above 3 of the 32,768 "
    "steps of 16 bits.",
    "tiny": "Less than 8 pixels on each side.",
    "truncated": "The file is cut short, and what is there is taken.",
}


class Decoded(NamedTuple):
    """What a decoder returns.

    Attributes:
        values: The array.
        notes: Warnings, keys of `NOTES`, without repetition.
        facts: What the file's header says, such as `"seconds"`, by name.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data.decoding import Decoded
        >>> Decoded(np.zeros(3), ("silent",), {"rate": 16000}).notes
        ('silent',)
    """

    values: np.ndarray
    notes: tuple[str, ...]
    facts: dict[str, int | float | str]


# By design not named `...Error`: it tells of a file, not of a program, and a
# run that meets it takes another row.
class BadFile(ValueError):  # noqa: N818
    """A file that cannot be used, and why.

    Args:
        reason: A key of `REASONS`.
        name: The file as it is shown.
        detail: What more is known, as one sentence.

    Raises:
        KeyError: If `reason` is unknown.

    Example:
        >>> from keras_imp.data.decoding import BadFile
        >>> BadFile("empty", "a.jpg").reason
        'empty'
        >>> print(BadFile("empty", "a.jpg"))
        The file holds nothing. Received: file='a.jpg', reason='empty'.
    """

    def __init__(self, reason: str, name: str = "", detail: str = ""):
        super().__init__(
            message(REASONS[reason], detail, file=name, reason=reason)
        )
        self.reason = reason
        self.name = name
        self.detail = detail

    def __reduce__(self) -> tuple:
        return type(self), (self.reason, self.name, self.detail)


@contextlib.contextmanager
def decoding(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises on a file into one `BadFile`.

    Decoders raise many types on damaged data, of which no list is complete;
    one that is not caught would end a run of days. So everything is caught
    here, and only calls of decoders belong inside.

    Args:
        name: The file as it is shown.

    Raises:
        BadFile: In place of any other exception.

    Example:
        >>> from keras_imp.data.decoding.errors import decoding
        >>> with decoding("a.jpg"):
        ...     {}["size"]
        Traceback (most recent call last):
        keras_imp.data.decoding.errors.BadFile: The file is damaged: a \
decoder stopped in it. Received: file='a.jpg', reason='damaged'. \
KeyError: 'size'
    """
    try:
        yield
    except BadFile:
        raise
    except Exception as error:
        # Long messages may hold parts of the file.
        detail = f"{type(error).__name__}: {error}"[:200]
        raise BadFile(_reason(error), name, detail) from error


def _reason(error: Exception) -> str:
    """The reason that an exception of Pillow, libsndfile or FFmpeg tells."""
    text = str(error).lower()
    # Pillow has its two limits of pixels as a warning and as an error.
    if isinstance(error, MemoryError) or "DecompressionBomb" in repr(error):
        return "too_large"
    if "decompressed data too large" in text:
        return "too_large"
    # Of Pillow; the second where an image ends before its first pixel.
    if "truncated" in text or "unrecognized data stream" in text:
        return "truncated"
    return "damaged"
