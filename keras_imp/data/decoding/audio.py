"""Audio files to waveforms: one channel, any rate, only the part asked for."""

import io
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from keras_imp._errors import check_positive
from keras_imp._optional import require
from keras_imp.data.decoding.errors import BadFile, Decoded, decoding
from keras_imp.data.decoding.part import (
    SHORT_SECONDS,
    Request,
    check_request,
    find_part,
    is_whole,
)
from keras_imp.data.decoding.source import (
    Source,
    has_other_ending,
    kind_of,
    name_of,
    opened,
)
from keras_imp.data.decoding.waveform import Mono

# What FFmpeg reads and libsndfile does not.
_CONTAINERS = {"MP4", "MATROSKA", "AVI", "MPEG", "ASF", "FLV", "AAC"}
_READ_HERE = {"WAV", "FLAC", "OGG", "MP3", "AIFF"}
# What libsndfile calls a format that has another name here.
_KINDS = {"WAVEX": "WAV", "RF64": "WAV", "MPEG": "MP3"}
# 16 frames of MP3: what the bits of one are spread over, and more.
_LEAD_OF_MP3 = 16 * 1152
# Values of a block, of all channels.
_BLOCK = 1 << 20
_NO_SIZE = 0xFFFFFF00
# Of some Ogg files libsndfile never reads the last packets: this fraction of a
# file at most is silence then, with a note.
_MOST_LOST = 0.01


def decode_audio(
    source: Source,
    rate: int = 16_000,
    *,
    start: float = 0.0,
    end: float | None = None,
    seconds: float | None = None,
    place: float = 0.0,
    name: str = "",
) -> Decoded:
    """Decode a part of an audio file, or of the audio of a video.

    Channels become one by their mean; the part is then resampled to `rate`
    (soxr, high quality). Only this part is read, so a file may last hours. WAV,
    FLAC, Ogg, Opus, MP3 and AIFF are read by soundfile; videos, M4A and AAC by
    PyAV, of the extra `video`.

    Args:
        source: A path, or the bytes of a file.
        rate: Samples per second of the result.
        start: Where the segment that the example is starts, in seconds.
        end: Where it ends. Defaults to the end of the file.
        seconds: Length of the result; what the segment lacks is silence at
            the end. Defaults to the length of the segment.
        place: Where in the segment the result is, from 0, at its start, to 1,
            at its end. The same number for `decode_video` keeps the
            modalities of a video together.
        name: How messages name the file. Defaults to the path.

    Returns:
        float32 in [-1, 1], shape `(samples,)`; samples beyond are clipped, and
        nothing is normalized; notes `clipped`, `damaged`, `extension`,
        `short`, `silent` and `truncated`; facts `format`, `rate`, `channels`,
        `seconds` and `is_whole` (1 or 0: whether `place` changes nothing).

    Raises:
        BadFile: If the file cannot be used.
        ImportError: If the file needs the extra `video`, which is not there.
        ValueError: If an argument is out of its range.

    Example:
        >>> import io
        >>> import numpy as np
        >>> import soundfile
        >>> from keras_imp.data.decoding import decode_audio
        >>> file = io.BytesIO()
        >>> soundfile.write(file, np.zeros((44100, 2)), 44100, format="WAV")
        >>> audio = decode_audio(file.getvalue(), 16000, seconds=2.0)
        >>> audio.values.shape, audio.notes
        ((32000,), ('silent',))
    """
    check_positive(rate=rate)
    request = Request(start, end, seconds, place)
    check_request(request)
    name = name_of(source, name)
    with opened(source, None) as file:
        kind = kind_of(file)
        if kind in _CONTAINERS:
            # Loaded where it is needed: most data sets do without FFmpeg.
            from keras_imp.data.decoding.video_audio import read_track

            mono, notes, facts = read_track(file, kind, request, rate, name)
        else:
            soundfile = require("soundfile", extra="data")
            with decoding(name):
                mono, notes, facts = _read(
                    soundfile, file, kind, request, rate, name
                )
        with decoding(name):
            values = mono.resampled(seconds)
            notes = [*notes, *mono.notes]
    if has_other_ending(name, str(facts["format"])):
        notes.append("extension")
    return Decoded(values, tuple(dict.fromkeys(notes)), facts)


def _read(
    soundfile: Any,
    file: BinaryIO,
    kind: str,
    request: Request,
    rate: int,
    name: str,
) -> tuple[Mono, list[str], dict]:
    """One channel of a part, at the rate of the file."""
    # A descriptor is read without calling Python.
    stream = file if isinstance(file, io.BytesIO) else file.fileno()
    try:
        audio = soundfile.SoundFile(stream, closefd=False)
    except soundfile.LibsndfileError as error:
        raise BadFile(_not_opened(kind, error), name, f"{error}") from error
    with audio:
        mono = Mono(audio.samplerate, rate, name)
        if audio.frames == 0:
            raise BadFile("empty", name)
        duration = audio.frames / audio.samplerate
        found = find_part(duration, request, name)
        first = min(int(found.start * audio.samplerate), audio.frames - 1)
        count = min(mono.count_of(found.seconds), audio.frames - first)
        try:
            for block in _blocks(audio, first, count):
                mono.add(block)
        except soundfile.LibsndfileError as error:
            reason = "truncated" if _is_at_end(file) else "damaged"
            raise BadFile(reason, name, f"{error}") from error
        facts = {
            "format": _KINDS.get(audio.format, audio.format),
            "rate": audio.samplerate,
            "channels": audio.channels,
            "seconds": duration,
            "is_whole": int(is_whole(duration, request)),
        }
    lost = count - mono.length
    if lost > _MOST_LOST * audio.frames or mono.length == 0:
        raise BadFile("truncated", name, "It ends before its header says.")
    notes = ["truncated"] if lost or _is_cut_wav(file) else []
    if duration < SHORT_SECONDS:
        notes.append("short")
    return mono, notes, facts


def _blocks(audio: Any, first: int, count: int) -> Iterator[np.ndarray]:
    """Samples of a part, `(samples, channels)`, in little memory."""
    most = max(1, _BLOCK // audio.channels)
    lead = 0
    if audio.format == "MP3":
        # A frame may have its bits in frames before it, and without them it
        # comes out as noise. soundfile sets the place anew after each read,
        # and libsndfile then forgets those bits: so it is one read, from
        # some frames before the part.
        lead = min(first, _LEAD_OF_MP3)
        most = lead + count
    # A damaged table of places must not matter at the start.
    if first > lead:
        audio.seek(first - lead)
    for done in range(0, lead + count, most):
        size = min(most, lead + count - done)
        yield audio.read(size, "float32", always_2d=True)[lead:]


def _not_opened(kind: str, error: Exception) -> str:
    """Why libsndfile does not open a file that starts as some kind."""
    text = str(error)
    if "unimplemented format" in text:
        return "unsupported"
    # It names this of a header whose rate or channels no recording has.
    if kind not in _READ_HERE or "SF_INFO" in text:
        return "not_audio"
    return "damaged"


def _is_at_end(file: BinaryIO) -> bool:
    """Whether a decoder that stopped had read all of the file."""
    place = file.tell()
    return place == file.seek(0, io.SEEK_END)


def _is_cut_wav(file: BinaryIO) -> bool:
    """Whether a WAV file lacks samples, which libsndfile passes over."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if file.read(4) != b"RIFF":
        return False
    place = 12
    while place + 8 <= size:
        file.seek(place)
        kind, length = struct.unpack("<4sI", file.read(8))
        place += 8
        if kind == b"data":
            # A stream does not know its size. Some leave out the last byte,
            # which makes it even.
            return length < _NO_SIZE and place + length > size + 1
        place += length + length % 2
    return False
