"""What files were decoded to, kept so that they are decoded once."""

import hashlib
import importlib.metadata
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from keras_imp._errors import message
from keras_imp._files import write_text
from keras_imp.data.decoding.errors import Decoded
from keras_imp.data.manifest import Manifest
from keras_imp.data.preprocessor import IMPPreprocessor
from keras_imp.data.records.store import Store, shared_store

# To raise when a decoder returns other values for the same file.
FORM = 1
# What decodes each modality: another version may return other values.
_LIBRARIES = {
    "image": ("pillow",),
    "video": ("av", "pillow"),
    "audio": ("soundfile", "soxr", "av"),
}
SETTINGS = "settings.json"


class Cache:
    """What the files of some rows were decoded to, in a folder.

    What is found is exactly what decoding would return: it is looked up by the
    file (path, size, number and times; bytes in a table by themselves), the
    part of it, the sizes, and the versions of the libraries. Several processes
    and several data sets may use one folder.

    Args:
        folder: The folder. It is made.
        manifest: The rows.
        preprocessor: Sizes and sampling rate.
        inputs: Modalities that are read.

    Raises:
        ValueError: If the folder cannot be made, or written to.

    Example:
        >>> from PIL import Image
        >>> import keras_imp
        >>> from keras_imp.data.records.cache import Cache
        >>> Image.new("RGB", (80, 60), "red").save("a.png")
        >>> cache = Cache(
        ...     "decoded", keras_imp.data.Manifest({"image": ["a.png"]}),
        ...     keras_imp.IMPPreprocessor(image=(32, 32)), ("image",))
        >>> cache.modalities
        ('image',)
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        manifest: Manifest,
        preprocessor: IMPPreprocessor,
        inputs: tuple[str, ...],
    ):
        check_folder(folder)
        self._manifest = manifest
        self._stores = {
            name: _store(Path(folder), name, preprocessor)
            for name in inputs
            if name in _LIBRARIES
        }

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities that are kept: those of files."""
        return tuple(self._stores)

    def decoded(
        self,
        name: str,
        row: int,
        column: str,
        part: Mapping[str, Any],
        decode: Callable[[], Decoded],
    ) -> Decoded:
        """What a file is decoded to: kept, or decoded now.

        Args:
            name: The modality.
            row: Number of the row.
            column: Where its file is.
            part: What else decides the values, such as the segment. With
                `place` being None, a part at any place is asked for: kept is
                only what is the same at each.
            decode: Decodes the file.

        Returns:
            The values; notes and facts only if it was decoded now.

        Raises:
            BadFile: If the file cannot be used.
        """
        files = self._manifest.column(column)
        identity = files.identity(row)
        if identity is None:
            return decode()
        key = _key(identity, part)
        values = self._stores[name].get(key)
        if values is not None:
            return Decoded(values, (), {})
        found = decode()
        is_same = part.get("place", "") is not None or found.facts["is_whole"]
        # It may have been written to while it was decoded.
        if is_same and files.identity(row) == identity:
            self._stores[name].put(key, found.values)
        return found

    def write(self) -> None:
        """Write what is still in memory; else it is written within a minute."""
        for store in self._stores.values():
            store.write()


def check_folder(folder: str | os.PathLike) -> None:
    """Raise unless a folder can be written to; make it if it is not there.

    Args:
        folder: The folder of a cache.

    Raises:
        ValueError: If it cannot be made, or written to.

    Example:
        >>> from keras_imp.data.records.cache import check_folder
        >>> check_folder("decoded")
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise ValueError(
            message(
                "The folder of a cache must be one that can be written to.",
                "Choose another one, or do without.",
                cache=str(folder),
                error=str(error),
            )
        ) from error


def _store(folder: Path, name: str, preprocessor: IMPPreprocessor) -> Store:
    """The files of one modality and one setting have a folder of their own."""
    shape, dtype, settings = _form(name, preprocessor)
    settings |= {"form": FORM, "libraries": _versions(name)}
    text = json.dumps(settings, indent=2, sort_keys=True)
    checksum = hashlib.sha256(text.encode()).hexdigest()[:16]
    store = shared_store(folder / f"{name}-{checksum}", shape, dtype)
    if not (store.folder / SETTINGS).exists():
        write_text(store.folder / SETTINGS, text + "\n")
    return store


def _form(
    name: str, preprocessor: IMPPreprocessor
) -> tuple[tuple[int, ...], str, dict[str, Any]]:
    """Shape and dtype of what is kept, and what else decides its values."""
    if name == "audio":
        samples = preprocessor.audio_samples
        rate = preprocessor.sampling_rate
        return (samples,), "float32", {"samples": samples, "rate": rate}
    size = getattr(preprocessor, name)
    settings = {
        "size": list(size),
        "crop_to_aspect_ratio": preprocessor.crop_to_aspect_ratio,
    }
    if name == "video":
        settings["stride"] = preprocessor.video_stride
    return (*size, 3), "uint8", settings


def _versions(name: str) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for library in _LIBRARIES[name]:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            found[library] = None
    return found


def _key(identity: str, part: Mapping[str, Any]) -> bytes:
    text = repr((identity, sorted(part.items())))
    checksum = hashlib.blake2b(
        text.encode("utf-8", "surrogatepass"), digest_size=16
    )
    return checksum.digest()
