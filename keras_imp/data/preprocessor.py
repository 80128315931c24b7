"""Decoded data of any size to the inputs of an encoder, saved beside it."""

import functools
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_imp._errors import (
    check_choice,
    check_integer,
    check_positive,
    message,
)
from keras_imp._files import write_text
from keras_imp._repr import ShowsArguments
from keras_imp.data.examples import (
    as_text,
    check_examples,
    check_generator,
    rows_of,
    size_of,
    with_rate,
)
from keras_imp.data.fitting import fit_audio, fit_image, fit_video
from keras_imp.data.tensorflow_map import call_in_graph, is_symbolic
from keras_imp.data.text import Tokenizer
from keras_imp.models.presets.files import PREPROCESSOR_FILE, TOKENIZER_FILE
from keras_imp.models.presets.finding import find_files
from keras_imp.models.waveforms import samples_per_patch


@keras.saving.register_keras_serializable(package="keras_imp")
class IMPPreprocessor(ShowsArguments):
    """Decoded images, videos, audio and texts to the inputs of an encoder.

    One object for training, evaluation, embedding and serving, saved beside
    the encoder, so that a model never gets other inputs than it was trained
    on. The spectrogram of audio is not made here but in the encoder.

    Args:
        image: Height and width of images.
        video: Frames, height and width of videos.
        video_stride: Frames from one that is taken to the next.
        audio_seconds: Length of audio.
        sampling_rate: Samples per second of audio.
        audio_dtype: `"float32"`, or `"int16"` for half the bytes. Of audio that
            was not stored in 16 bits, it rounds to zero what is nearly silent,
            which the logarithm of a spectrogram shows.
        text: Token ids of a text. Defaults to the tokenizer's length.
        tokenizer: `data.Tokenizer`, for text.
        crop_to_aspect_ratio: Whether to cut off the edges of images and videos
            of another aspect ratio. False distorts them instead.

    Call arguments:
        x: A dict with any of the modalities above. Each is one example, or a
            list (or an array with one more axis) of them:
            `image`: uint8, `(height, width, 3)`, or gray, `(height, width)`;
            `video`: uint8, `(frames, height, width, 3)`; `audio`: int16 or
            float in [-1, 1], `(samples,)` or `(samples, channels)`, at
            `sampling_rate`, or a pair of such an array and its own rate, or a
            dict of `array` and `sampling_rate`; `text`: a string.
        training: Whether to keep a random part of what is too long or too
            wide. The video and the audio of an example are cut at the same
            proportion of their lengths. Else the middle is kept.
        generator: `numpy.random.Generator` that draws it.

    Returns:
        A dict with the same modalities: `image` and `video` uint8, `audio` in
        `audio_dtype`, `(samples,)`, with silence at the end of what is short,
        `text` int32, `(length,)`, 0 = padding. With a batch axis first if `x`
        has several examples.

    Raises:
        TypeError: If `x` is no dict, or a text no string.
        ValueError: If a modality has no size here, an example does not have
            the form above, or numbers of examples differ.

    Example:
        >>> import numpy as np, keras_imp
        >>> preprocessor = keras_imp.IMPPreprocessor(
        ...     image=(32, 32), audio_seconds=1.024)
        >>> x = preprocessor({
        ...     "image": [np.zeros((60, 80, 3), "uint8")],
        ...     "audio": [(np.zeros((44100, 2), "float32"), 44100)]})
        >>> x["image"].shape, x["audio"].shape
        ((1, 32, 32, 3), (1, 16384))
        >>> encoder = keras_imp.IMPEncoder.from_preset(
        ...     "imp_tiny", modalities=("image", "audio"))
        >>> tuple(encoder(x)["audio"]["pooled_output"].shape)
        (1, 128)
    """

    def __init__(
        self,
        image: tuple[int, int] | None = None,
        video: tuple[int, int, int] | None = None,
        video_stride: int = 1,
        audio_seconds: float | None = None,
        sampling_rate: int = 16_000,
        audio_dtype: str = "float32",
        text: int | None = None,
        tokenizer: Tokenizer | None = None,
        crop_to_aspect_ratio: bool = True,
    ):
        self.image: Any = size_of("image", image, ("height", "width"))
        self.video: Any = size_of("video", video, ("frames", "height", "width"))
        check_integer(video_stride=video_stride, sampling_rate=sampling_rate)
        self.video_stride = video_stride
        self.sampling_rate = sampling_rate
        if audio_seconds is not None:
            check_positive(audio_seconds=audio_seconds)
        self.audio_seconds = audio_seconds
        check_choice(("float32", "int16"), audio_dtype=audio_dtype)
        self.audio_dtype = audio_dtype
        if text is not None and tokenizer is None:
            raise ValueError(
                message(
                    "`tokenizer` must be given for text.",
                    "Train one: keras_imp.data.Tokenizer.train(texts, "
                    "vocabulary_size=4000, length=16).",
                    text=text,
                    tokenizer=None,
                )
            )
        if tokenizer is not None:
            text = tokenizer.length if text is None else text
            tokenizer = Tokenizer(tokenizer.tokenizer, text)
        self.text = text
        self.tokenizer: Any = tokenizer
        self.crop_to_aspect_ratio = crop_to_aspect_ratio
        if not self.modalities:
            raise ValueError(
                message(
                    "A preprocessor must have the size of a modality at least.",
                    "Use IMPPreprocessor(image=(224, 224)), for example.",
                    **dict.fromkeys(("image", "video", "audio_seconds")),
                )
            )

    @classmethod
    def for_encoder(cls, encoder: Any, **arguments: Any) -> "IMPPreprocessor":
        """A preprocessor whose results fit an encoder.

        Args:
            encoder: An `IMPEncoder`.
            **arguments: Of the constructor. `sampling_rate` is the encoder's,
                and `audio_seconds` is rounded up to whole patches.

        Returns:
            The preprocessor, checked.

        Raises:
            ValueError: If a size does not fit the encoder.

        Example:
            >>> import keras_imp
            >>> encoder = keras_imp.IMPEncoder.from_preset(
            ...     "imp_tiny", modalities=("audio",))
            >>> keras_imp.IMPPreprocessor.for_encoder(encoder, audio_seconds=1)
            IMPPreprocessor(audio_seconds=1.024)
        """
        if arguments.get("audio_seconds") and "audio" in encoder.modalities:
            rate = encoder.log_mel["sampling_rate"]
            embedder = encoder.embedder_of("audio")
            step = samples_per_patch(embedder.log_mel, embedder.tokens)
            samples = round(arguments["audio_seconds"] * rate)
            seconds = math.ceil(samples / step) * step / rate
            arguments = {"sampling_rate": rate, **arguments}
            arguments["audio_seconds"] = seconds
        preprocessor = cls(**arguments)
        preprocessor.check_encoder(encoder)
        return preprocessor

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities that have a size here."""
        sizes = {
            "image": self.image,
            "video": self.video,
            "audio": self.audio_seconds,
            "text": self.text,
        }
        return tuple(name for name, size in sizes.items() if size is not None)

    @property
    def audio_samples(self) -> int:
        """Samples of audio; 0 without audio."""
        return round((self.audio_seconds or 0) * self.sampling_rate)

    @property
    def input_specs(self) -> dict[str, keras.InputSpec]:
        """Shape and dtype of a batch of each modality, for `export`.

        Example:
            >>> import keras_imp
            >>> keras_imp.IMPPreprocessor(image=(32, 32)).input_specs["image"]
            InputSpec(dtype=uint8, shape=(None, 32, 32, 3), ndim=4)
        """
        forms: dict[str, tuple[tuple[int, ...], str]] = {
            "image": ((*(self.image or ()), 3), "uint8"),
            "video": ((*(self.video or ()), 3), "uint8"),
            "audio": ((self.audio_samples,), self.audio_dtype),
            "text": ((self.text or 0,), "int32"),
        }
        return {
            name: keras.InputSpec(shape=(None, *forms[name][0]), dtype=dtype)
            for name, (_, dtype) in forms.items()
            if name in self.modalities
        }

    def check_encoder(self, encoder: Any) -> None:
        """Raise unless an encoder takes what is made here.

        Args:
            encoder: An `IMPEncoder`.

        Raises:
            ValueError: If it lacks a modality, a size does not fit its
                patches, its sampling rate is another, or its vocabulary is
                smaller.
        """
        specs = self.input_specs.items()
        encoder.compute_output_shape({name: spec.shape for name, spec in specs})
        if "audio" in self.modalities:
            rate = encoder.log_mel["sampling_rate"]
            if rate != self.sampling_rate:
                raise ValueError(
                    message(
                        "`sampling_rate` must be that of the encoder's "
                        f"`log_mel`, {rate}.",
                        sampling_rate=self.sampling_rate,
                    )
                )
        if self.tokenizer is not None:
            size = self.tokenizer.vocabulary_size
            if size > encoder.vocabulary_size:
                raise ValueError(
                    message(
                        "The encoder must have an id for each of the "
                        f"tokenizer's, {size}.",
                        "Make it with vocabulary_size=tokenizer"
                        ".vocabulary_size.",
                        vocabulary_size=encoder.vocabulary_size,
                    )
                )

    def __call__(
        self,
        x: dict[str, Any],
        training: bool = False,
        generator: np.random.Generator | None = None,
    ) -> dict[str, np.ndarray]:
        check_examples(x, self.modalities)
        check_generator(training, generator)
        if is_symbolic(x):
            call = functools.partial(
                self, training=training, generator=generator
            )
            return call_in_graph(call, x, self.input_specs)
        draw = generator if training else None
        rows = rows_of(x)
        if rows is None:
            return self._example(x, draw)
        fitted = [self._example(row, draw) for row in rows]
        return {name: np.stack([row[name] for row in fitted]) for name in x}

    # Saving -------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The arguments, as JSON can hold them.

        Returns:
            Arguments by name; `tokenizer` as the text of a `tokenizer.json`.
        """
        tokenizer = self.tokenizer
        return {
            "image": self.image and list(self.image),
            "video": self.video and list(self.video),
            "video_stride": self.video_stride,
            "audio_seconds": self.audio_seconds,
            "sampling_rate": self.sampling_rate,
            "audio_dtype": self.audio_dtype,
            "text": self.text,
            "tokenizer": tokenizer and tokenizer.tokenizer.to_str(),
            "crop_to_aspect_ratio": self.crop_to_aspect_ratio,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "IMPPreprocessor":
        """A preprocessor from what `get_config` returned.

        Args:
            config: Arguments by name.

        Returns:
            The preprocessor.
        """
        config = dict(config)
        if isinstance(config.get("tokenizer"), str):
            config["tokenizer"] = Tokenizer.from_text(
                config["tokenizer"], config["text"]
            )
        return cls(**config)

    def save_to_preset(self, preset_dir: str | Path) -> None:
        """Write `preprocessor.json` and `tokenizer.json` into a folder.

        Args:
            preset_dir: The folder, such as that of the encoder's
                `save_to_preset`.

        Example:
            >>> import keras_imp
            >>> preprocessor = keras_imp.IMPPreprocessor(image=(32, 32))
            >>> preprocessor.save_to_preset("my_encoder")
            >>> keras_imp.IMPPreprocessor.from_preset("my_encoder")
            IMPPreprocessor(image=(32, 32))
        """
        folder = Path(preset_dir)
        folder.mkdir(parents=True, exist_ok=True)
        if self.tokenizer is not None:
            self.tokenizer.save(folder / TOKENIZER_FILE)
        saved = keras.saving.serialize_keras_object(self)
        saved["config"].pop("tokenizer")
        write_text(folder / PREPROCESSOR_FILE, json.dumps(saved, indent=2))

    @classmethod
    def from_preset(
        cls, preset: str | Path, **kwargs: Any
    ) -> "IMPPreprocessor":
        """Read what `save_to_preset` wrote.

        Args:
            preset: A folder, or a name or an address, as for
                `IMPEncoder.from_preset`.
            **kwargs: Constructor arguments that replace the saved ones.

        Returns:
            The preprocessor.

        Raises:
            FileNotFoundError: If the preset has no preprocessor.
            ValueError: If there is no such preset, or it is of a newer format.
        """
        files = find_files(preset)
        files.read_metadata()
        if files.get(PREPROCESSOR_FILE) is None:
            raise FileNotFoundError(
                message(
                    f"A preset of a preprocessor must be a folder with a "
                    f"{PREPROCESSOR_FILE}.",
                    "Make one for an encoder: IMPPreprocessor.for_encoder(...)"
                    ".save_to_preset(folder).",
                    preset=str(preset),
                )
            )
        config = files.read_arguments(PREPROCESSOR_FILE)
        if config.get("text") is not None:
            config["tokenizer"] = Tokenizer.from_preset(preset)
        return cls.from_config({**config, **kwargs})

    # One example --------------------------------------------------------------

    def _example(
        self, x: Mapping[str, Any], generator: np.random.Generator | None
    ) -> dict[str, np.ndarray]:
        """Fit one example; the middle is kept unless something draws."""
        # In time, along the height, along the width: all three are drawn, so
        # that what an image becomes does not depend on the audio beside it.
        middle = (0.5, 0.5, 0.5)
        place = middle if generator is None else tuple(generator.random(3))
        return {name: self._fitted(name, x[name], place) for name in x}

    def _fitted(
        self, name: str, value: Any, place: tuple[float, float, float]
    ) -> np.ndarray:
        crop = self.crop_to_aspect_ratio
        if name == "image":
            return fit_image(np.asarray(value), self.image, crop, place[1:])
        if name == "video":
            stride = self.video_stride
            return fit_video(np.asarray(value), self.video, stride, crop, place)
        if name == "audio":
            audio, rate = with_rate(value)
            return fit_audio(
                audio,
                self.sampling_rate,
                self.audio_samples,
                rate,
                place[0],
                self.audio_dtype,
            )
        return self.tokenizer([as_text(value)])[0]
