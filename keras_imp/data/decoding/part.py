"""Which part of a recording is meant, by one rule for audio and video."""

from typing import NamedTuple

from keras_imp._errors import check_positive, message
from keras_imp.data.augment._checks import check_range
from keras_imp.data.decoding.errors import BadFile

SHORT_SECONDS = 0.1


class Part(NamedTuple):
    """A part of a recording.

    Attributes:
        start: Seconds from the start of the file.
        seconds: Its length that the file has.
    """

    start: float
    seconds: float


class Request(NamedTuple):
    """What a caller asks of a recording.

    Attributes:
        start: Where the segment that is an example starts, in seconds.
        end: Where it ends; None for the end of the file.
        seconds: Length of the part of the segment; None for all of it.
        place: Where in the segment the part is, from 0, start, to 1, end.
    """

    start: float
    end: float | None
    seconds: float | None
    place: float


def check_request(request: Request) -> None:
    """Raise unless a request can be a part of some recording.

    Args:
        request: What is asked for.

    Raises:
        ValueError: If a number is out of its range.

    Example:
        >>> from keras_imp.data.decoding.part import Request, check_request
        >>> check_request(Request(10.0, end=20.0, seconds=8.0, place=0.5))
    """
    check_range(0, float("inf"), start=request.start)
    check_range(0, 1, place=request.place)
    if request.end is not None and not request.end > request.start:
        raise ValueError(
            message(
                "`end` must be after `start`.",
                start=request.start,
                end=request.end,
            )
        )
    if request.seconds is not None:
        check_positive(seconds=request.seconds)


def find_part(duration: float, request: Request, name: str) -> Part:
    """The part of a recording, as far as the recording reaches.

    Args:
        duration: Seconds of the file.
        request: What is asked for.
        name: The file as it is shown.

    Returns:
        The part: all of the segment where it is shorter than `seconds`.

    Raises:
        BadFile: With the reason `"beyond_end"` if nothing is there, or
            `"empty"`.

    Example:
        >>> from keras_imp.data.decoding.part import Request, find_part
        >>> middle = Request(0.0, end=None, seconds=4.0, place=0.5)
        >>> find_part(10.0, middle, "a.wav")
        Part(start=3.0, seconds=4.0)
    """
    start, end, seconds, place = request
    if duration <= 0:
        raise BadFile("empty", name, "Its length is 0 s.")
    last = duration if end is None else min(end, duration)
    if start >= last:
        raise BadFile(
            "beyond_end",
            name,
            f"It has {duration:.3f} s, and the part starts at {start:.3f} s.",
        )
    length = last - start
    if seconds is None or is_whole(duration, request):
        return Part(start, length)
    return Part(start + place * (length - seconds), seconds)


def is_whole(duration: float, request: Request) -> bool:
    """Whether a part is all of its segment, so that `place` changes nothing.

    Args:
        duration: Seconds of the file.
        request: What is asked for.

    Returns:
        False if a part of the segment is taken.

    Example:
        >>> from keras_imp.data.decoding.part import Request, is_whole
        >>> request = Request(0.0, end=None, seconds=4.0, place=0.5)
        >>> is_whole(3.0, request), is_whole(10.0, request)
        (True, False)
    """
    start, end, seconds, _ = request
    last = duration if end is None else min(end, duration)
    return seconds is None or seconds >= last - start
