"""The one input of a file: its shape, its dtype, and values to try it with."""

from typing import Any, NamedTuple

import numpy as np

from keras_imp._errors import message
from keras_imp.models.imp_encoder import IMPEncoder
from keras_imp.models.modalities import modality_of
from keras_imp.models.value_checks import check_pixels

# Examples of the batches that a file is compared on.
BATCHES = (3, 1)
# Tokens of a text whose length may differ, without a preprocessor.
LENGTH = 12


class Input(NamedTuple):
    """The input of a file.

    Attributes:
        name: The modality.
        shape: Shape with the batch axis, which is None, as is the length of
            text that may have any.
        dtype: Name of the dtype.
        limit: Token ids are below this number; 0 for what is no token ids.
        length: Most tokens of the texts to try it with.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    limit: int = 0
    length: int = LENGTH

    def samples(self) -> list[np.ndarray]:
        """Batches of several sizes, the same ones each time."""
        random = np.random.default_rng(0)
        return [
            self._sample(random, batch, max(1, self.length // (place + 1)))
            for place, batch in enumerate(BATCHES)
        ]

    def _sample(
        self, random: np.random.Generator, batch: int, length: int
    ) -> np.ndarray:
        shape = [batch, *(length if n is None else n for n in self.shape[1:])]
        if self.limit:
            ids = random.integers(1, max(2, self.limit), shape)
            if shape[1] > 2:  # The last text is shorter than the others.
                ids[-1, -(shape[1] // 3) :] = 0
            return ids.astype(self.dtype)
        if self.dtype == "uint8":
            return random.integers(0, 256, shape).astype("uint8")
        values = random.uniform(-1.0, 1.0, shape)
        if self.dtype == "int16":
            values = values * 32767
        return values.astype(self.dtype)


def input_of(
    encoder: Any,
    name: str,
    shape: tuple[int | None, ...] | None,
    preprocessor: Any = None,
) -> Input:
    """The input of one modality, checked.

    Args:
        encoder: The encoder.
        name: The modality.
        shape: Shape of one example, or None.
        preprocessor: An `IMPPreprocessor`, or None.

    Returns:
        The input.

    Raises:
        ValueError: If the shape is not known, or does not fit the encoder.

    Example:
        >>> import keras_imp
        >>> from keras_imp.exporting.inputs import input_of
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2,
        ...     modalities=("text",), vocabulary_size=10)
        >>> input_of(encoder, "text", shape=None)[:3]
        ('text', (None, None), 'int32')
    """
    record = modality_of(name)
    specs = {} if preprocessor is None else preprocessor.input_specs
    spec = specs.get(name)
    dtype = spec.dtype if spec else "float32"
    limit, length = 0, LENGTH
    if record.check_values is check_pixels:
        dtype = "uint8"
    if record.token_ids:
        dtype, limit = "int32", _vocabulary(encoder, name)
        longest = getattr(encoder, "max_sequence_length", LENGTH)
        length = min(spec.shape[1] if spec else LENGTH, longest)
        if shape is None and _takes(encoder, name, (None, None)):
            return Input(name, (None, None), dtype, limit, length)
    if shape is None and spec is not None:
        shape = tuple(spec.shape[1:])
    if shape is None:
        raise ValueError(
            message(
                "The shape of the input must be given: a file has one, but "
                "for the batch.",
                f"Set `input_shape` to {_example(record)}, or give the "
                "`preprocessor`.",
                modality=name,
                input_shape=None,
            )
        )
    whole = (None, *shape)
    if isinstance(encoder, IMPEncoder):
        encoder.compute_output_shape({name: whole})
    return Input(name, whole, dtype, limit, length)


def _takes(encoder: Any, name: str, shape: tuple[int | None, ...]) -> bool:
    """Whether an encoder takes inputs of this shape, sizes unknown."""
    if not isinstance(encoder, IMPEncoder):
        return False
    try:
        encoder.compute_output_shape({name: shape})
    except ValueError:
        return False
    return True


def _vocabulary(encoder: Any, name: str) -> int:
    if isinstance(encoder, IMPEncoder):
        return encoder.embedder_of(name).tokens.vocabulary_size
    return getattr(encoder, "vocabulary_size", 2)


def _example(record: Any) -> str:
    return " or ".join(
        f"({', '.join(map(str, form.axes))}{',' * (len(form.axes) == 1)})"
        for form in record.forms
    )
