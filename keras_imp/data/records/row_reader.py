"""From a row of a manifest to an example: files decoded, text as ids."""

import functools
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_imp._errors import check_choice, message
from keras_imp.data.augment import crops
from keras_imp.data.augment.draws import Draws
from keras_imp.data.decoding import decode_audio, decode_image, decode_video
from keras_imp.data.decoding.errors import BadFile, Decoded
from keras_imp.data.fitting import crop_box
from keras_imp.data.manifest import Manifest
from keras_imp.data.preprocessor import IMPPreprocessor
from keras_imp.data.records.cache import Cache

# Seconds of one frame: a stride of 2 is every second frame of 25 a second.
FRAME_SECONDS = 0.04
CROPS = ("inception", "place", "center")
# Places in an image, and in time, that are kept in an evaluation.
_MIDDLE = 0.5


class RowReader:
    """Decodes the rows of a manifest to the sizes of a preprocessor.

    Args:
        manifest: The rows.
        preprocessor: Sizes, sampling rate and tokenizer.
        inputs: Modalities to read. Defaults to those of the preprocessor that
            the manifest has. `audio` is that of the video where a row has no
            file of audio.
        crop: How images and videos are cut in training: `"inception"`, a part
            of random area and shape (`augment.crops.inception_boxes`);
            `"place"`, the largest part that has the aspect ratio, at a random
            place; `"center"`, the same in the middle. In an evaluation it is
            the middle always.
        cache: Folder for what files are decoded to, so that each is decoded
            once; `Records` tells when. Defaults to none.

    Raises:
        ValueError: If no modality is left, one has no column or no size, or
            `crop` is unknown, or the cache cannot be written.

    Example:
        >>> from PIL import Image
        >>> import keras_imp
        >>> from keras_imp.data.records import RowReader
        >>> Image.new("RGB", (80, 60), "red").save("a.png")
        >>> reader = RowReader(
        ...     keras_imp.data.Manifest({"image": ["a.png"]}),
        ...     keras_imp.IMPPreprocessor(image=(32, 32)))
        >>> example, notes = reader.read(0)
        >>> example["image"].shape, notes
        ((32, 32, 3), {'image': ('blank',)})

    Reference:
        docs/method.md, Data: one place in time for a video and its audio.
    """

    def __init__(
        self,
        manifest: Manifest,
        preprocessor: IMPPreprocessor,
        inputs: tuple[str, ...] | None = None,
        crop: str = "inception",
        cache: str | os.PathLike | None = None,
    ):
        check_choice(CROPS, crop=crop)
        self.manifest = manifest
        self.preprocessor = preprocessor
        self.inputs = _inputs(manifest, preprocessor, inputs)
        self.crop = crop
        self._cache = None
        if cache is not None:
            self._cache = Cache(cache, manifest, preprocessor, self.inputs)
        self._has_span = "start" in manifest.columns, "end" in manifest.columns

    def read(
        self, row: int, draws: Draws | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, tuple[str, ...]]]:
        """Read one row.

        Args:
            row: Its number, from 0.
            draws: Draws of this row, for training. Without them, the middle of
                what is too large or too long is kept, and the first caption.

        Returns:
            The example as the preprocessor returns it, by modality; and the
            decoders' warnings, by modality where there are any. What is in
            the cache has none.

        Raises:
            BadFile: If one of the row's files cannot be used, or the row has
                no file or no text.
        """
        decoded = {name: self._decode(name, row, draws) for name in self.inputs}
        x = {name: values for name, (values, _) in decoded.items()}
        notes = {name: notes for name, (_, notes) in decoded.items() if notes}
        return self.preprocessor(x), notes

    def column_of(self, name: str, row: int) -> str:
        """Where the file of a modality is: audio may be that of the video.

        Args:
            name: `"image"`, `"video"` or `"audio"`.
            row: Number of the row, from 0.

        Returns:
            Name of the column.
        """
        columns = self.manifest.columns
        if name != "audio" or "video" not in columns:
            return name
        if "audio" in columns and self.manifest.column("audio")[row]:
            return "audio"
        return "video"

    def _decode(
        self, name: str, row: int, draws: Draws | None
    ) -> tuple[Any, tuple[str, ...]]:
        if name == "text":
            return self._text(row, draws), ()
        column = self.column_of(name, row)
        if self.manifest.column(column)[row] is None:
            raise BadFile("no_value", str(self.manifest.where(row)), name)
        own = None if draws is None else draws.within(name)

        def decode() -> Decoded:
            # Of an archive, this reads a member: not where a cache has it.
            source = self.manifest.source(row, column)
            return getattr(self, f"_{name}")(source, row, own)

        if self._cache is None or self._is_cut_at_random(name, draws):
            found = decode()
        else:
            part = self._part(name, row, draws)
            found = self._cache.decoded(name, row, column, part, decode)
        return found.values, found.notes

    def _is_cut_at_random(self, name: str, draws: Draws | None) -> bool:
        """Whether a part of an image or a video is drawn: no cache has it."""
        is_drawn = draws is not None and self.crop != "center"
        return is_drawn and name != "audio"

    def _part(
        self, name: str, row: int, draws: Draws | None
    ) -> dict[str, float | None]:
        """What decides the values of a row beside its file and all sizes."""
        if name == "image":
            return {}
        place = _MIDDLE if draws is None else None
        return {**self._span(row), "place": place}

    def _image(self, source: Any, row: int, draws: Draws | None) -> Decoded:
        del row
        size = self._size("image")
        return decode_image(source, size, self._box(size, draws))

    def _video(self, source: Any, row: int, draws: Draws | None) -> Decoded:
        frames, *size = self._size("video")
        return decode_video(
            source,
            frames,
            tuple(size),
            self._box(tuple(size), draws),
            interval=self.preprocessor.video_stride * FRAME_SECONDS,
            **self._span(row),
            place=_place(draws),
        )

    def _audio(self, source: Any, row: int, draws: Draws | None) -> Decoded:
        preprocessor = self.preprocessor
        return decode_audio(
            source,
            preprocessor.sampling_rate,
            seconds=preprocessor.audio_samples / preprocessor.sampling_rate,
            **self._span(row),
            place=_place(draws),
        )

    def _text(self, row: int, draws: Draws | None) -> str:
        """The caption of a row; one of several is drawn."""
        texts = self.manifest.texts_of(row, "text")
        if not texts:
            raise BadFile("no_value", str(self.manifest.where(row)), "text")
        chosen = 0
        if draws is not None and len(texts) > 1:
            own = draws.within("text")
            chosen = int(own.integers("caption", 0, len(texts))[0])
        return texts[chosen]

    def _box(
        self, size: tuple[int, int], draws: Draws | None
    ) -> Callable[[int, int], Any] | None:
        """What part of an image to take, from its height and width."""
        if draws is not None and self.crop == "inception":
            return lambda height, width: crops.inception_boxes(
                height, width, draws
            )[0]
        if not self.preprocessor.crop_to_aspect_ratio:
            return None
        place = (_MIDDLE, _MIDDLE)
        if draws is not None and self.crop == "place":
            down, right = draws.uniform("part", size=(2,))[0].tolist()
            place = (down, right)
        return functools.partial(crop_box, size=size, place=place)

    def _size(self, name: str) -> Any:
        return getattr(self.preprocessor, name)

    def _span(self, row: int) -> dict[str, float]:
        """Start and end of a row's segment of its file, where it has them."""
        span = {}
        for name, is_there in zip(("start", "end"), self._has_span):
            value = self.manifest.column(name)[row] if is_there else None
            if value is not None and np.isfinite(value):
                span[name] = float(value)
        return span


def _place(draws: Draws | None) -> float:
    return _MIDDLE if draws is None else float(crops.places(draws)[0])


def _inputs(
    manifest: Manifest,
    preprocessor: IMPPreprocessor,
    inputs: tuple[str, ...] | None,
) -> tuple[str, ...]:
    """The modalities to read, checked."""
    there = set(manifest.columns)
    if "video" in there:
        there.add("audio")
    sizes = preprocessor.modalities
    if inputs is None:
        inputs = tuple(name for name in sizes if name in there)
    missing = [name for name in inputs if name not in {*sizes} & there]
    if missing or not inputs:
        raise ValueError(
            message(
                "Inputs must be columns of the manifest that have a size in "
                "the preprocessor.",
                "Give `IMPPreprocessor` a size for each of them.",
                inputs=list(inputs),
                columns=list(manifest.columns),
                sizes=list(sizes),
            )
        )
    return tuple(inputs)
