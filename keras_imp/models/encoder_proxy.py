"""What takes the encoder's place in the `call` of a task."""

from collections.abc import Iterator
from typing import Any

from keras_imp.models.embedders import Embedded
from keras_imp.typing import Tensor


class EncoderProxy:
    """An object that a task may use like the encoder.

    Args:
        encoder: The encoder, which is asked for all that a subclass lacks.
    """

    def __init__(self, encoder: Any):
        self._encoder = encoder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)


class RecordingEncoder(EncoderProxy):
    """Records what tasks want encoded, then replays the features of it.

    While it records, it answers with the embedded tokens, as if the encoder
    had no blocks.

    Args:
        encoder: With `embed` and `finish`, such as `IMPEncoder`.

    Attributes:
        parts: What was asked for, embedded, one after the other.

    Example:
        >>> import numpy as np, keras_imp
        >>> from keras_imp.models.encoder_proxy import RecordingEncoder
        >>> encoder = RecordingEncoder(
        ...     keras_imp.IMPEncoder(8, 16, 1, 2, modalities=("image",)))
        >>> features = encoder({"image": np.zeros((2, 32, 32, 3))})
        >>> tuple(encoder.parts[0].tokens.shape)
        (2, 4, 8)
        >>> encoder.replay([{"pooled_output": "of the blocks"}])
        >>> encoder({"image": np.zeros((2, 32, 32, 3))})
        {'image': {'pooled_output': 'of the blocks'}}
    """

    def __init__(self, encoder: Any):
        super().__init__(encoder)
        self.parts: list[Embedded] = []
        self._features: Iterator[dict[str, Tensor]] | None = None

    def __call__(
        self,
        inputs: dict[str, Any],
        training: bool | None = None,
        kept: dict[str, Tensor] | None = None,
    ) -> dict[str, dict[str, Tensor]]:
        # In the order in which the encoder takes them.
        names = [name for name in self.modalities if name in inputs]
        if self._features is not None:
            return {name: next(self._features) for name in names}
        features = {}
        for name in names:
            part = self.embed(name, inputs[name], (kept or {}).get(name))
            self.parts.append(part)
            features[name] = self.finish(part, part.tokens)
        return features

    def replay(self, features: list[dict[str, Tensor]]) -> None:
        """Answer the same questions once more, with these features.

        Args:
            features: Of each part, in their order.
        """
        self._features = iter(features)
