"""The audio of a video, and of the formats that FFmpeg alone reads."""

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from keras_imp._optional import require
from keras_imp.data.decoding import container as containers
from keras_imp.data.decoding.errors import BadFile, decoding
from keras_imp.data.decoding.part import (
    SHORT_SECONDS,
    Part,
    Request,
    find_part,
    is_whole,
)
from keras_imp.data.decoding.waveform import Mono

# What a part may lack at its end, in seconds: encoders pad their last frame.
_SLACK = 0.1
# What to decode before a part, in seconds: a frame of AAC or Opus overlaps
# with those before it.
_LEAD = 0.1


def read_track(
    file: BinaryIO, kind: str, request: Request, rate: int, name: str
) -> tuple[Mono, list[str], dict]:
    """Decode a part of the first audio track.

    Args:
        file: The file.
        kind: What its first bytes tell, from `source.kind_of`.
        request: Which part.
        rate: Samples per second that will be asked for.
        name: The file as it is shown.

    Returns:
        The samples of one channel, notes and facts.

    Raises:
        BadFile: If there is no audio, or it cannot be used.
    """
    require("av", extra="video")
    notes: list[str] = []
    with containers.container(file, kind, name) as opened, decoding(name):
        stream = containers.stream_of(opened, "audio", name)
        duration = containers.duration_of(opened, notes)
        found = find_part(duration, request, name)
        whole = is_whole(duration, request)
        mono = _read(opened, stream, found, rate, name, notes)
        if mono is None or _lacks(mono, found):
            # The header promises more than there is.
            ends = containers.ends_of(opened, notes)
            if ends and max(ends.values()) < duration - _SLACK:
                notes.append("truncated")
            if ends.get(stream.index, 0.0) > 0.0:
                duration = ends[stream.index]
                found = find_part(duration, request, name)
                mono = _read(opened, stream, found, rate, name, notes)
        if mono is None or mono.length == 0:
            raise BadFile("damaged", name, "None of its audio is decoded.")
    if duration < SHORT_SECONDS:
        notes.append("short")
    facts = {
        "format": kind,
        "rate": mono.rate,
        "channels": stream.codec_context.channels,
        "seconds": duration,
        "is_whole": int(whole),
    }
    return mono, notes, facts


def _lacks(mono: Mono, part: Part) -> bool:
    return mono.length < (part.seconds - _SLACK) * mono.rate


def _read(
    opened: Any, stream: Any, part: Part, rate: int, name: str, notes: list[str]
) -> Mono | None:
    """One channel of a part, at the rate of the file; None without frames."""
    offset = containers.start_of(opened)
    containers.seek(opened, stream, max(0.0, part.start - _LEAD))
    mono = None
    for frame in _frames(opened, stream, notes):
        if mono is None:
            # The header may give half of the rate of AAC, a frame does not.
            mono = Mono(frame.sample_rate, rate, name)
            count = mono.count_of(part.seconds)
            first = round(part.start * mono.rate)
            time = frame.time if frame.time is not None else offset
            place = round((time - offset) * mono.rate)
            # A track may start after the video.
            mono.add(np.zeros((min(max(0, place - first), count), 1)))
        # After a jump, decoding starts before the part.
        skipped = max(0, first - place)
        place += frame.samples
        samples = frame.to_ndarray().T[skipped:]
        mono.add(samples[: count - mono.length])
        if mono.length >= count:
            break
    return mono


def _frames(opened: Any, stream: Any, notes: list[str]) -> Iterator[Any]:
    """Decoded frames, as float32 of shape `(channels, samples)`."""
    av = require("av", extra="video")
    converter = av.AudioResampler(format="fltp")
    for frames in containers.packets(opened, stream, notes):
        for frame in frames:
            yield from converter.resample(frame)
