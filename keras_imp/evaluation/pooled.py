"""The vectors of an encoder, for what is fitted on them."""

from typing import Any

import numpy as np

from keras_imp._errors import check_choice, message

# Where vectors can be read: after the pooling, or the mean of the tokens
# before it.
LAYERS = ("pooled", "tokens")


def features_of(
    encoder: Any,
    modality: str,
    x: np.ndarray,
    layer: str = "pooled",
    batch_size: int = 64,
) -> np.ndarray:
    """One vector per example.

    Args:
        encoder: An `IMPEncoder`.
        modality: Which of its modalities `x` is.
        x: Inputs of the encoder, row by row.
        layer: `"pooled"`, what tasks are given, or `"tokens"`, the mean of
            the tokens that the pooling is given, padding left out.
        batch_size: Examples of a batch.

    Returns:
        float32, shape `(examples, hidden_dim)`.

    Raises:
        ValueError: If the encoder has no such modality, or a layer is none.

    Example:
        >>> import numpy as np, keras_imp
        >>> from keras_imp.evaluation.pooled import features_of
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2, ("image",))
        >>> features_of(encoder, "image", np.zeros((3, 16, 16, 3))).shape
        (3, 8)
    """
    check_choice(LAYERS, layer=layer)
    if modality not in encoder.modalities:
        raise ValueError(
            message(
                f"The encoder has the modalities {tuple(encoder.modalities)}.",
                modality=modality,
            )
        )
    found = [
        _features(encoder, modality, x[start : start + batch_size], layer)
        for start in range(0, len(x), batch_size)
    ]
    return np.concatenate(found).astype("float32")


def _features(
    encoder: Any, modality: str, x: np.ndarray, layer: str
) -> np.ndarray:
    features = encoder.predict_on_batch({modality: x})[modality]
    if layer == "pooled":
        return features["pooled_output"]
    mask = np.asarray(features["padding_mask"], "float32")[:, :, None]
    sums = (np.asarray(features["sequence_output"], "float32") * mask).sum(1)
    return sums / np.maximum(mask.sum(1), 1.0)
