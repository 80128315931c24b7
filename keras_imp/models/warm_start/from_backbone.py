"""The method `from_backbone` of an encoder."""

from typing import Any

from keras_imp._errors import message
from keras_imp.models.modalities import modalities_of
from keras_imp.models.modality import Modality
from keras_imp.models.warm_start.assigning import assign_weights
from keras_imp.models.warm_start.families import VISION, weights_of
from keras_imp.models.warm_start.weights import BackboneWeights

# What no backbone has.
DENSE = {"num_experts": 0, "num_moe_layers": 0, "qk_layer_norm": False}
SAME = {
    "positions": "grid",
    "interpolate_positions": False,
    "use_bias": True,
    "use_entry_norm": False,
    "variant": "fixed",
}


class StartsFromBackbone:
    """An encoder that can start from a backbone of keras-hub."""

    @classmethod
    def from_backbone(
        cls,
        backbone: Any,
        modalities: tuple[str | Modality, ...] | None = None,
        pixel_mean: tuple[float, float, float] | None = None,
        pixel_std: tuple[float, float, float] | None = None,
        **options,
    ) -> Any:
        """Build an encoder with the blocks, and the outputs, of a backbone.

        `pooled_output` and `sequence_output` of the modality that the backbone
        knows are its outputs: at the class token and at the patches, or of
        the pooling of its head; of a text at the token that its tower is
        pooled at. Embedders of other modalities start at random.

        Args:
            backbone: Of `keras_hub.models`: a `ViTBackbone`,
                `CLIPVisionEncoder`, `CLIPTextEncoder`, `SigLIPVisionEncoder`,
                `SigLIPTextEncoder`, or `DINOV2Backbone` without gates. Of a
                `CLIPBackbone` or `SigLIPBackbone`, the tower for images is
                taken if images or videos are among `modalities`, else the one
                for text.
            modalities: Modalities of the encoder. Defaults to the one that the
                backbone knows: `("image",)` or `("text",)`.
            pixel_mean: Mean of each channel of pixels in [0, 1] that the
                backbone was trained with. It and `pixel_std` become a part of
                the patch kernel: the encoder takes uint8, or float in [-1, 1].
                Defaults to those of the family's published weights.
            pixel_std: Standard deviation of each channel.
            **options: Other constructor arguments, which the backbone does not
                decide: `dtype`, `scan_layers`, `remat`, `dropout`, sizes of
                other embedders. Of `patch_size` and `position_buckets` it
                decides rows and columns; frames are 4 and 16 with video, and 1
                without.

        Returns:
            The encoder.

        Raises:
            TypeError: If `backbone` is no Keras model.
            ValueError: If an encoder cannot have its outputs, with the option
                or the layer that is in the way; if an option is one that the
                backbone decides; or if its modality is not among
                `modalities`.

        Example:
            >>> import keras_hub, keras_imp
            >>> backbone = keras_hub.models.ViTBackbone(
            ...     (32, 32, 3), patch_size=16, num_layers=1, num_heads=2,
            ...     hidden_dim=8, mlp_dim=16)
            >>> encoder = keras_imp.IMPEncoder.from_backbone(
            ...     backbone, modalities=("image", "text"), vocabulary_size=10)
            >>> encoder.num_tokens("image", (None, 32, 32, 3))
            4

        Reference:
            docs/guides/warm_start.md.
        """
        names = None
        if modalities is not None:
            names = tuple(one.name for one in modalities_of(modalities))
        weights = weights_of(backbone, names)
        if names is None:
            names = ("image",) if weights.embedder == "vision" else ("text",)
        _check_modalities(weights, names)
        _take_normalization(weights, pixel_mean, pixel_std)
        decided = {**DENSE, **SAME, **weights.arguments}
        if weights.embedder == "vision":
            _add_frames(decided, options, "video" in names)
        for name, value in decided.items():
            _check_option(name, value, options)
        make: Any = cls
        encoder = make(modalities=names, **{**decided, **options})
        assign_weights(encoder, weights)
        return encoder


def _check_modalities(weights: BackboneWeights, names: tuple[str, ...]) -> None:
    known = VISION if weights.embedder == "vision" else ("text",)
    if not set(known).intersection(names):
        raise ValueError(
            message(
                f"`modalities` must have {' or '.join(map(repr, known))}, "
                "which the backbone knows.",
                modalities=names,
            )
        )


def _take_normalization(weights: BackboneWeights, mean: Any, std: Any) -> None:
    """Take a mean and a standard deviation that the user gave, checked."""
    if mean is None and std is None:
        return
    given = {"pixel_mean": mean, "pixel_std": std}
    is_image = weights.embedder == "vision"
    if not is_image or any(x is None or len(x) != 3 for x in given.values()):
        raise ValueError(
            message(
                "`pixel_mean` and `pixel_std` must be given together, with a "
                "number for each of 3 channels, and for images only.",
                **given,
            )
        )
    if min(std) <= 0:
        raise ValueError(
            message("`pixel_std` must be greater than 0.", pixel_std=std)
        )
    weights.normalization = (tuple(mean), tuple(std))


def _add_frames(decided: dict, options: dict, has_video: bool) -> None:
    """Give sizes of two axes a third one, of frames, that is the user's."""
    for name, frames in (("patch_size", 4), ("position_buckets", 16)):
        first = frames if has_video else 1
        if name in options:
            options[name] = tuple(options[name])
            first = options[name][0]
        decided[name] = (first, *decided[name])


def _check_option(name: str, value: Any, options: dict) -> None:
    """Raise if an option is not what the backbone decides it to be."""
    if name == "mask_padding" or options.get(name, value) == value:
        return
    hint = f"Omit it, or use {name}={value!r}."
    if name in DENSE:
        hint = "Use keras_imp.upcycle on the encoder to give it experts."
    raise ValueError(
        message(
            f"`{name}` must be that of the backbone, {value!r}.",
            hint,
            **{name: options[name]},
        )
    )
