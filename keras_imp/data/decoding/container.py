"""Videos and other containers, opened by FFmpeg so that they stay alone.

Some formats are lists of other files to open, so only formats of a list are
read, and nothing but the one file is ever opened.
"""

import contextlib
import io
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, NoReturn

from keras_imp._optional import require
from keras_imp.data.decoding.errors import BadFile, decoding

# Names of FFmpeg, `ffmpeg -demuxers`.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,ogg,flv,mpeg,mpegts,asf,gif,aac"
)
# Kinds of `source.kind_of` that those are.
_KINDS = {
    "AAC", "ASF", "AVI", "FLV", "GIF", "MATROSKA", "MP4", "MPEG", "OGG",
}  # fmt: skip
# A header may give a size, and a decoder would take the memory for it.
MAX_PIXELS = 64_000_000
_LIMITS = {"max_pixels": str(MAX_PIXELS)}


@contextlib.contextmanager
def container(file: BinaryIO, kind: str, name: str) -> Iterator[Any]:
    """Open a container.

    Args:
        file: The file.
        kind: What its first bytes tell, from `source.kind_of`.
        name: The file as it is shown.

    Yields:
        `av.container.InputContainer`.

    Raises:
        BadFile: If it is none, or has no header.

    Example:
        >>> import io
        >>> from keras_imp.data.decoding.container import container
        >>> with container(io.BytesIO(b"#EXTM3U"), "", "a.mp4"):
        ...     pass
        Traceback (most recent call last):
        keras_imp.data.decoding.errors.BadFile: The content is no video. \
Received: file='a.mp4', reason='not_video'.
    """
    av = require("av", extra="video")
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
    with decoding(name):
        try:
            opened = av.open(
                file,
                "r",
                options=_LIMITS,
                container_options=options,
                metadata_errors="replace",
                io_open=_refuse,
            )
        except av.FFmpegError as error:
            raise _not_opened(file, kind, name, error) from error
    with opened:
        yield opened


def stream_of(opened: Any, kind: str, name: str) -> Any:
    """The first stream of a kind, prepared for decoding.

    Covers and other images that are attached are no video.

    Args:
        opened: The container.
        kind: `"video"` or `"audio"`.
        name: The file as it is shown.

    Returns:
        A stream of PyAV.

    Raises:
        BadFile: If there is none, or none that can be decoded.
    """
    av = require("av", extra="video")
    attached = av.stream.Disposition.attached_pic
    streams = [
        stream
        for stream in getattr(opened.streams, kind)
        if not stream.disposition & attached
    ]
    if not streams:
        if not opened.streams:
            raise BadFile("damaged", name, "It has neither video nor audio.")
        raise BadFile(f"no_{kind}", name)
    stream = streams[0]
    if stream.codec_context is None:
        raise BadFile("unsupported", name, f"No decoder reads its {kind}.")
    # Files are decoded in parallel: threads within one would only wait.
    stream.codec_context.thread_count = 1
    stream.codec_context.options = _LIMITS
    return stream


def packets(opened: Any, stream: Any, notes: list[str]) -> Iterator[list]:
    """Decode a stream from where the container is.

    Args:
        opened: The container.
        stream: One of its streams.
        notes: Gets `"damaged"` where something cannot be decoded.

    Yields:
        The frames of each packet.
    """
    av = require("av", extra="video")
    demuxed = opened.demux(stream)
    while True:
        try:
            packet = next(demuxed, None)
        except av.FFmpegError:
            # The rest of the file cannot be divided into packets.
            notes.append("damaged")
            return
        if packet is None:
            return
        try:
            frames = packet.decode()
        except av.EOFError:
            return
        except av.FFmpegError:
            notes.append("damaged")
            continue
        if any(frame.is_corrupt for frame in frames):
            notes.append("damaged")
        yield frames


def seek(opened: Any, stream: Any, seconds: float) -> bool:
    """Go to the last place before a time from which a stream can be decoded.

    Args:
        opened: The container.
        stream: One of its streams.
        seconds: Time from the start of the file.

    Returns:
        False if the container has no index and stays where it is.
    """
    av = require("av", extra="video")
    place = int((seconds + start_of(opened)) / stream.time_base)
    try:
        opened.seek(place, stream=stream)
    except av.FFmpegError:
        return False
    return True


def start_of(opened: Any) -> float:
    """Time stamp, in seconds, at which a container starts.

    Args:
        opened: The container.

    Returns:
        The time; 0 for most.
    """
    return (opened.start_time or 0) / 1e6


def duration_of(opened: Any, notes: list[str]) -> float:
    """Seconds of a container, by its header, or else counted.

    Args:
        opened: The container.
        notes: Gets `"damaged"` where packets end with an error.

    Returns:
        The seconds.
    """
    if opened.duration:
        return opened.duration / 1e6
    return max(ends_of(opened, notes).values(), default=0.0)


def ends_of(opened: Any, notes: list[str]) -> dict[int, float]:
    """Where each stream ends, by all packets of the file.

    Args:
        opened: The container.
        notes: Gets `"damaged"` where packets end with an error.

    Returns:
        Index of the stream to seconds from the start of the file; empty if
        the file cannot be read again from its start.
    """
    av = require("av", extra="video")
    ends: dict[int, float] = {}
    try:
        opened.seek(0)
        for packet in opened.demux():
            if packet.pts is None:
                continue
            end = (packet.pts + (packet.duration or 0)) * packet.time_base
            index = packet.stream.index
            time = float(end) - start_of(opened)
            ends[index] = max(ends.get(index, 0.0), time)
    except av.FFmpegError:
        notes.append("damaged")
    return ends


def _refuse(url: str, flags: int, options: dict) -> NoReturn:
    raise PermissionError(f"A video names another file: {url}")


def _not_opened(
    file: BinaryIO, kind: str, name: str, error: Exception
) -> BadFile:
    if kind == "MP4" and _is_cut_mp4(file):
        return BadFile("truncated", name, "It has no index.")
    if kind in _KINDS:
        return BadFile("damaged", name, f"It starts as {kind}: {error}.")
    return BadFile("not_video", name)


def _is_cut_mp4(file: BinaryIO) -> bool:
    """Whether a box of an MP4 file is longer than the file."""
    size, place = file.seek(0, io.SEEK_END), 0
    while place + 8 <= size:
        file.seek(place)
        head = file.read(16)
        length = struct.unpack(">I", head[:4])[0]
        # 1 stands for a length of 8 bytes, 0 for all of the rest.
        if length == 1 and len(head) == 16:
            length = struct.unpack(">Q", head[8:])[0]
        if length < 8:
            return False
        place += length
    return place > size
