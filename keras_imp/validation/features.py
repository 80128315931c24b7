"""What is told of one file: numbers, words, a hash of what it shows."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keras_imp.data.decoding import (
    BadFile,
    Decoded,
    decode_audio,
    decode_image,
    decode_video,
)
from keras_imp.validation.audio_sketches import RATE, audio_sketch_of
from keras_imp.validation.signals import (
    background_of,
    bandwidth_of,
    detail_of,
    direction_of,
    has_hum,
    pause_of,
)
from keras_imp.validation.sketches import sketch_of

# Of a video: frames, spread evenly, and their height and width. A video of any
# length then takes little memory, and damage anywhere is met.
FRAMES = 16
FRAME_SIZE = (64, 64)
# Of audio: seconds that are decoded, 64 MiB of float32 at 16 kHz.
MOST_SECONDS = 1000.0
# Level of silence, in decibels of full scale: below the least of 16 bits.
_SILENCE = -100.0
# Mean difference of frames, of 255, below which a video is one image: what
# codecs change in it.
_STILL = 0.05
# Pixels of a side that colors are taken from, at least.
_COLOR_SIDE = 64
# Mean of samples, of full scale, that no microphone gives.
_OFFSET = 0.2
# Level that hardly a recording has, but numbers that were read as samples do;
# and the fraction of a video's audio that silence at one end seldom is.
_LOUD, _MOSTLY = -6.0, 0.5
# A segment may end so much after its file: times are rounded.
_PAST_RATIO, _PAST_SECONDS = 1.1, 0.1

# How a feature's values are compared with those of the training data. `scale`:
# positive, by ratio. `level`: by difference. `category`: by name.
KINDS: dict[str, str] = {
    "image_height": "scale",
    "image_width": "scale",
    "image_aspect": "scale",
    "image_bytes": "scale",
    "image_brightness": "level",
    "image_contrast": "level",
    "image_saturation": "level",
    "image_red_blue": "level",
    "image_format": "category",
    "image_mode": "category",
    "image_background": "category",
    "image_detail": "category",
    "video_height": "scale",
    "video_width": "scale",
    "video_aspect": "scale",
    "video_bytes": "scale",
    "video_seconds": "scale",
    "video_rate": "scale",
    "video_brightness": "level",
    "video_contrast": "level",
    "video_saturation": "level",
    "video_red_blue": "level",
    "video_motion": "level",
    "video_moves": "category",
    "video_direction": "category",
    "video_format": "category",
    "video_has_audio": "category",
    "video_silence": "category",
    "audio_bytes": "scale",
    "audio_seconds": "scale",
    "audio_rate": "category",
    "audio_channels": "category",
    "audio_level": "level",
    "audio_offset": "category",
    "audio_hum": "category",
    "audio_loudness": "category",
    "audio_bandwidth": "scale",
    "audio_pause": "level",
    "audio_format": "category",
    "text_words": "scale",
    "text_characters": "scale",
    "text_rate": "scale",
    "text_capitals": "level",
    "text_script": "category",
    "label": "label",
    "label_number": "level",
    "weight": "level",
}

# How numbers that are categories are written.
_WORDS = {"rate": "{} Hz", "channels": "{} channels", "has_audio": "audio: {}"}


def features_of(
    source: Path | bytes,
    column: str,
    start: float = 0.0,
    end: float | None = None,
    name: str = "",
    image_size: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """Decode a file, and say what it is.

    Args:
        source: A path, or the bytes of a file.
        column: `"image"`, `"video"` or `"audio"`.
        start: Where the segment that is meant starts, in seconds.
        end: Where it ends; None for the end of the file.
        name: The file as it is shown.
        image_size: Height and width to decode images to, which is quicker for
            large JPEG files. Defaults to that of the file.

    Returns:
        `reason` and `detail` of a file that cannot be used; else `features`,
        by names of `KINDS`, `notes` of the decoder, and `hash`, hexadecimal
        digits of what was decoded: equal for files that show the same;
        `sketch`, nearly equal for those that nearly do; of a video also
        `audio_fault`, why its audio cannot be used, `""` if it can.

    Example:
        >>> import io
        >>> from PIL import Image
        >>> from keras_imp.validation.features import features_of
        >>> file = io.BytesIO()
        >>> Image.new("RGB", (80, 60), "white").save(file, "PNG")
        >>> found = features_of(file.getvalue(), "image")
        >>> found["notes"], found["features"]["image_brightness"]
        (['blank'], 255.0)
        >>> features_of(b"GIF87a", "image")["reason"]
        'damaged'
    """
    try:
        if column == "image":
            image = decode_image(source, image_size, name=name)
            found = _told("image", image, _see)
        elif column == "audio":
            found = _audio(source, start, end, name)
        else:
            found = _video(source, start, end, name)
    except BadFile as error:
        return {"reason": error.reason, "detail": error.detail}
    found["features"][f"{column}_bytes"] = _bytes_of(source)
    return found


def _audio(
    source: Path | bytes, start: float, end: float | None, name: str
) -> dict[str, Any]:
    last = start + MOST_SECONDS
    audio = decode_audio(
        source,
        RATE,
        start=start,
        end=last if end is None else min(end, last),
        name=name,
    )
    found = _told("audio", audio, _listen)
    heard = len(audio.values) / RATE
    is_silent = "silent" in audio.notes
    is_silent |= found["features"]["audio_pause"] > _MOSTLY * heard
    found["silence"] = "mostly silent" if is_silent else "mostly heard"
    if end is not None and _is_past(min(end, last) - start, heard):
        found["notes"].append("past_end")
    return found


def _video(
    source: Path | bytes, start: float, end: float | None, name: str
) -> dict[str, Any]:
    video = decode_video(
        source,
        FRAMES,
        FRAME_SIZE,
        interval=None,
        start=start,
        end=end,
        name=name,
    )
    found = _told("video", video, _watch)
    if end is not None and _is_past(end, float(video.facts["seconds"])):
        found["notes"].append("past_end")
    found["audio_fault"] = ""
    if not video.facts["has_audio"]:
        found["audio_fault"] = "no_audio"
    else:
        try:
            heard = _audio(source, start, end, name)
        except BadFile as error:
            # The images may be fine: a task without audio can use them.
            found["audio_fault"] = error.reason
            found["notes"].append(f"audio_{error.reason}")
        else:
            found["features"].update(heard["features"])
            found["features"]["video_silence"] = heard["silence"]
            found["notes"] += [
                f"audio_{note}"
                for note in heard["notes"]
                if note not in ("extension", "truncated")
            ]
    return found


def _is_past(end: float, seconds: float) -> bool:
    return end > _PAST_RATIO * seconds + _PAST_SECONDS


def _told(
    column: str, decoded: Decoded, measure: Callable[[np.ndarray], dict]
) -> dict[str, Any]:
    values = decoded.values
    facts = {**decoded.facts, **measure(values)}
    if "height" in facts:
        facts["aspect"] = facts["width"] / facts["height"]
    features: dict[str, Any] = {}
    for fact, value in facts.items():
        name = f"{column}_{fact}"
        kind = KINDS.get(name)
        if kind == "category":
            # Never numerals alone: TFDV would take them for numbers.
            features[name] = _WORDS.get(fact, "{}").format(value)
        elif kind is not None and value is not None:
            features[name] = _number(value)
    digest = _digest(
        repr((values.shape, str(values.dtype))).encode(),
        np.ascontiguousarray(values),
    )
    found = {
        "features": features,
        "notes": list(decoded.notes),
        "hash": digest,
    }
    draw = audio_sketch_of if column == "audio" else sketch_of
    found["sketch"] = draw(values)
    return found


def _see(image: np.ndarray) -> dict[str, Any]:
    return {
        **_look(image),
        "background": background_of(image),
        "detail": detail_of(image),
    }


def _look(image: np.ndarray) -> dict[str, float]:
    # Colors of a large image show in a part of its pixels.
    step = max(1, min(image.shape[-3:-1]) // _COLOR_SIDE)
    some = image[..., ::step, ::step, :].astype("int16")
    return {
        "brightness": float(image.mean()),
        "contrast": float(image.mean(-1).std()),
        "saturation": float((some.max(-1) - some.min(-1)).mean()),
        # What changes its sign where channels are in another order.
        "red_blue": float((some[..., 0] - some[..., 2]).mean()),
    }


def _watch(video: np.ndarray) -> dict[str, Any]:
    # Of frames that follow each other; one frame does not move.
    steps = np.abs(np.diff(video.astype("int16"), axis=0))
    motion = float(steps.mean()) if len(steps) else 0.0
    return {
        **_look(video),
        "motion": motion,
        "moves": "moves" if motion > _STILL else "still",
        "direction": direction_of(video),
    }


def _listen(audio: np.ndarray) -> dict[str, Any]:
    power = float(np.mean(np.square(audio, dtype="float64")))
    is_offset = abs(float(audio.mean(dtype="float64"))) > _OFFSET
    is_loud = _decibels(float(audio.std(dtype="float64"))) > _LOUD
    return {
        "level": _decibels(power**0.5),
        "loudness": "near full scale" if is_loud else "quieter",
        "offset": "offset" if is_offset else "centered",
        "hum": "hum" if has_hum(audio, RATE) else "no hum",
        "bandwidth": bandwidth_of(audio, RATE) or None,
        "pause": pause_of(audio, RATE),
    }


def _decibels(amplitude: float) -> float:
    least = 10 ** (_SILENCE / 20)
    return round(20 * float(np.log10(max(amplitude, least))), 3)


def _number(value: Any) -> int | float:
    return int(value) if isinstance(value, int) else round(float(value), 4)


def _bytes_of(source: Path | bytes) -> int:
    return len(source) if isinstance(source, bytes) else source.stat().st_size


def _digest(*parts: Any) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
