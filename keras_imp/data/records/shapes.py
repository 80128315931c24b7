"""A preprocessor in the sizes of a shape."""

from typing import Any

from keras_imp._errors import message
from keras_imp.data.preprocessor import IMPPreprocessor
from keras_imp.data.shapes.shape import Shape


def preprocessor_for(
    preprocessor: IMPPreprocessor, shape: Shape
) -> IMPPreprocessor:
    """The same preprocessor in other sizes.

    Args:
        preprocessor: The preprocessor.
        shape: Sizes; of audio in samples.

    Returns:
        A preprocessor.

    Raises:
        ValueError: If a size is of spectrograms, or of several captions.

    Example:
        >>> import keras_imp
        >>> from keras_imp.data.records.shapes import preprocessor_for
        >>> preprocessor_for(
        ...     keras_imp.IMPPreprocessor(image=(32, 32)),
        ...     keras_imp.data.Shape(image=(16, 16)))
        IMPPreprocessor(image=(16, 16))
    """
    sizes: dict[str, Any] = {}
    for name, size in shape.sizes.items():
        if name not in ("audio", "text"):
            sizes[name] = size
            continue
        if len(size) != 1:
            raise ValueError(
                message(
                    "Files are read as waveforms, and one caption each.",
                    "Give Shape(audio=samples, text=length).",
                    **{name: size},
                )
            )
        if name == "text":
            sizes["text"] = size[0]
        else:
            sizes["audio_seconds"] = size[0] / preprocessor.sampling_rate
    return IMPPreprocessor.from_config({**preprocessor.get_config(), **sizes})
