"""Text that comes with one or with several captions per example."""

from typing import Any

import numpy as np
from keras import ops

from keras_imp.typing import Tensor


def captions_of(x: dict[str, Tensor]) -> Tensor:
    """Token ids with a caption axis.

    Args:
        x: Inputs with `text`, shape `(batch, length)` or `(batch, captions,
            length)`.

    Returns:
        int32, shape `(batch, captions, length)`.

    Example:
        >>> import keras
        >>> from keras_imp.tasks.contrastive.captions import captions_of
        >>> tuple(captions_of({"text": keras.ops.ones((2, 5))}).shape)
        (2, 1, 5)
    """
    ids = ops.cast(x["text"], "int32")
    return ids if len(ids.shape) == 3 else ids[:, None]


def captions_as_examples(x: dict[str, Any]) -> dict[str, Any]:
    """Inputs with several captions per example as the encoder takes them.

    Args:
        x: Inputs by modality, tensors or arrays.

    Returns:
        The same, but `text` of shape `(batch, captions, length)` as `(batch *
        captions, length)`.

    Example:
        >>> import numpy as np
        >>> from keras_imp.tasks.contrastive import captions
        >>> texts = {"text": np.ones((2, 3, 5))}
        >>> captions.captions_as_examples(texts)["text"].shape
        (6, 5)
    """
    if "text" not in x or len(x["text"].shape) != 3:
        return x
    text = x["text"]
    # Arrays on the host stay there.
    reshape = np.reshape if isinstance(text, np.ndarray) else ops.reshape
    return {**x, "text": reshape(text, (-1, text.shape[-1]))}
