"""Files to arrays: images, audio and videos, of which any may be damaged.

Each decoder takes a `pathlib.Path` or the bytes of a file and returns
`Decoded(values, notes, facts)`, or raises `BadFile`, whose `reason` is one of
`REASONS`. Nothing else is raised for what is in a file.
"""

from keras_imp._lazy import lazy

_HOMES = {
    "BadFile": "keras_imp.data.decoding.errors",
    "Decoded": "keras_imp.data.decoding.errors",
    "NOTES": "keras_imp.data.decoding.errors",
    "REASONS": "keras_imp.data.decoding.errors",
    "decode_audio": "keras_imp.data.decoding.audio",
    "decode_image": "keras_imp.data.decoding.image",
    "decode_video": "keras_imp.data.decoding.video",
}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = lazy(globals(), _HOMES)
