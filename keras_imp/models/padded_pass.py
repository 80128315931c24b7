"""Several inputs through the encoder blocks at once, padded to one length.

What a model does that mixes unlike tasks in one batch. Every token of padding
is work for nothing: `CombinedModel` offers it to compare with, and counts it.
"""

from typing import NamedTuple

from keras import ops

from keras_imp.layers.moe.report import RoutingReport
from keras_imp.layers.moe.statistics import statistics_by_layer
from keras_imp.models.embedders import Embedded
from keras_imp.models.protocols import TokenEncoder
from keras_imp.typing import Tensor


class PaddedPass(NamedTuple):
    """What came out of one padded pass.

    Attributes:
        features: Of each part, what a call of the encoder returns for it.
        wasted: Fraction of the tokens in the pass that are padding, float32.
    """

    features: list[dict[str, Tensor]]
    wasted: Tensor


def padded_pass(
    encoder: TokenEncoder,
    parts: list[Embedded],
    training: bool | None = None,
) -> PaddedPass:
    """Encode the tokens of several inputs in one pass of the blocks.

    The same features as one pass for each: no token attends to padding, and
    none takes an expert's slot. Two things differ. Groups of routed layers
    that hold several examples (`group_size`, `variant="imp"`) are other groups.
    And the routed layers have one loss, the mean over the tokens of all parts;
    it counts once for each part.

    Args:
        encoder: The encoder.
        parts: What its `embed` returned, at least one.
        training: Whether to apply dropout.

    Returns:
        The features of each part, and the fraction of padding.

    Example:
        >>> import numpy as np, keras_imp
        >>> from keras_imp.models.padded_pass import padded_pass
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2,
        ...     modalities=("image", "text"), vocabulary_size=10)
        >>> image = encoder.embed("image", np.zeros((2, 32, 48, 3)))
        >>> text = encoder.embed("text", np.ones((2, 3), int))
        >>> features, wasted = padded_pass(encoder, [image, text])
        >>> [tuple(f["sequence_output"].shape) for f in features]
        [(2, 6, 8), (2, 3, 8)]
        >>> float(wasted)  # 3 of 6 in two of four rows
        0.25
    """
    tokens, mask = _pad(parts)
    outputs, report = encoder.body(
        tokens, padding_mask=mask, passes=len(parts), training=training
    )
    features, start = [], 0
    for part in parts:
        rows = slice(start, start + ops.shape(part.tokens)[0])
        length = part.tokens.shape[1]
        features.append(encoder.finish(part, outputs[rows, :length]))
        if report is not None:
            share = _share_of(report, rows, part)
            encoder.body.report_routing(
                share, training, part.modality, part.padding_mask, mask
            )
        start = rows.stop
    return PaddedPass(features, 1.0 - ops.mean(ops.cast(mask, "float32")))


def _pad(parts: list[Embedded]) -> tuple[Tensor, Tensor]:
    """All tokens below each other, and where they are real."""
    length = max(part.tokens.shape[1] for part in parts)
    tokens, masks = [], []
    for part in parts:
        batch, own, width = ops.shape(part.tokens)
        real = part.padding_mask
        if real is None:
            real = ops.ones((batch, own), dtype="bool")
        rest = ops.zeros((batch, length - own, width), part.tokens.dtype)
        tokens.append(ops.concatenate([part.tokens, rest], axis=1))
        rest = ops.zeros((batch, length - own), dtype="bool")
        masks.append(ops.concatenate([ops.cast(real, "bool"), rest], axis=1))
    return ops.concatenate(tokens), ops.concatenate(masks)


def _share_of(
    report: RoutingReport, rows: slice, part: Embedded
) -> RoutingReport:
    """The report of one part; its z-loss is that of all of them."""
    gates = ops.stop_gradient(report.weights)
    gates = gates[:, rows, : part.tokens.shape[1]]
    counts = statistics_by_layer(gates, part.padding_mask)
    return report._replace(weights=gates, **counts._asdict())
