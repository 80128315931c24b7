"""The backbones of keras-hub that an encoder can start from."""

import sys
from collections.abc import Callable
from typing import Any

from keras_imp.models.warm_start.checks import check_floating, refuse_class
from keras_imp.models.warm_start.clip_text import clip_text
from keras_imp.models.warm_start.clip_vision import clip_vision
from keras_imp.models.warm_start.dinov2 import dinov2
from keras_imp.models.warm_start.names import NAMES, PAIRS, TOWERS
from keras_imp.models.warm_start.siglip_text import siglip_text
from keras_imp.models.warm_start.siglip_vision import siglip_vision
from keras_imp.models.warm_start.vit import vit
from keras_imp.models.warm_start.weights import BackboneWeights

VISION = ("image", "video")
FAMILIES: dict[str, Callable[[Any], BackboneWeights]] = {
    "ViTBackbone": vit,
    "CLIPVisionEncoder": clip_vision,
    "CLIPTextEncoder": clip_text,
    "SigLIPVisionEncoder": siglip_vision,
    "SigLIPTextEncoder": siglip_text,
    "DINOV2Backbone": dinov2,
}


def weights_of(
    backbone: Any, modalities: tuple[str, ...] | None
) -> BackboneWeights:
    """The weights of a backbone as an encoder has them.

    Args:
        backbone: A backbone of keras-hub.
        modalities: Names of the encoder's modalities. Of a pair of towers they
            say which: the one for images, unless neither images nor videos
            are among them.

    Returns:
        The weights.

    Raises:
        TypeError: If it is no Keras model.
        ValueError: If an encoder cannot have its outputs.
    """
    if _class_name(backbone, PAIRS) is not None:
        sees = modalities is None or set(VISION).intersection(modalities)
        backbone = backbone.vision_encoder if sees else backbone.text_encoder
    name = _class_name(backbone, TOWERS)
    if name is None:
        refuse_class(backbone, NAMES)
    check_floating(backbone)
    return FAMILIES[str(name)](backbone)


def _class_name(backbone: Any, names: tuple[str, ...]) -> str | None:
    """Which class of keras-hub a backbone is of."""
    # Whoever has a backbone of keras-hub has loaded it.
    models = getattr(sys.modules.get("keras_hub"), "models", None)
    for name in names:
        kind = getattr(models, name, None)
        if kind is not None and isinstance(backbone, kind):
            return name
    return None
