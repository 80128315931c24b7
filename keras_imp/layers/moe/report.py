"""What a routed layer did with one batch."""

from typing import NamedTuple

from keras_imp.typing import Tensor


class RoutingReport(NamedTuple):
    """What one routed layer did with one batch.

    `EncoderStack` and the encoder report on several layers at once: each value
    then has a leading axis of layers.

    Attributes:
        loss: Weighted auxiliary losses to be added to the task's loss.
        z_loss: The z-loss before its weight.
        load: Each expert's fraction of the (token, expert) pairs, shape
            `(e,)`.
        importance: Each expert's fraction of the gates, shape `(e,)`.
        left_behind: Fraction of the real tokens that no expert took.
        confidence: Mean gate of a (token, expert) pair.
        weights: Gate of each token and expert, 0 where they do not meet,
            float32, shape `(batch, tokens, e)`.

    Example:
        >>> import keras, keras_imp
        >>> layer = keras_imp.layers.ExpertChoiceMoE(4, intermediate_dim=16)
        >>> _, report = layer(keras.ops.ones((2, 6, 8)), return_report=True)
        >>> isinstance(report, keras_imp.layers.RoutingReport)
        True
        >>> tuple(report.weights.shape)
        (2, 6, 4)
    """

    loss: Tensor
    z_loss: Tensor
    load: Tensor
    importance: Tensor
    left_behind: Tensor
    confidence: Tensor
    weights: Tensor
