"""Names of keras-hub: classes that an encoder can start from, their presets.

keras-hub is loaded only for a name that begins as theirs do.
"""

import importlib
from typing import Any

TOWERS = (
    "ViTBackbone",
    "CLIPVisionEncoder",
    "CLIPTextEncoder",
    "SigLIPVisionEncoder",
    "SigLIPTextEncoder",
    "DINOV2Backbone",
)
# Two towers with blocks of their own: an encoder has the blocks of one.
PAIRS = ("CLIPBackbone", "SigLIPBackbone")
NAMES = (*TOWERS, *PAIRS)
_BEGINNINGS = ("vit_", "clip_", "siglip", "medsiglip", "dinov2")


def backbone_presets(name: str) -> list[str]:
    """Presets of keras-hub that an encoder can start from.

    Args:
        name: What the user typed.

    Returns:
        All their names, if the given one begins as they do; else none.

    Example:
        >>> from keras_imp.models.warm_start.names import backbone_presets
        >>> name = "vit_base_patch16_224_imagenet"
        >>> name in backbone_presets(name), backbone_presets("imp_tiny")
        (True, [])
    """
    if not name.lower().startswith(_BEGINNINGS):
        return []
    models = importlib.import_module("keras_hub").models
    found: dict[str, None] = {}
    for kind in NAMES:
        found.update(dict.fromkeys(getattr(models, kind).presets))
    return list(found)


def names_backbone(config: dict[str, Any]) -> bool:
    """Whether `config.json` of a preset names a backbone of keras-hub.

    Args:
        config: What the file holds.

    Returns:
        Whether it is of a class that an encoder can start from.

    Example:
        >>> from keras_imp.models.warm_start.names import names_backbone
        >>> names_backbone({"registered_name": "keras_hub>ViTBackbone"})
        True
    """
    registered = str(config.get("registered_name"))
    package, _, name = registered.partition(">")
    return package == "keras_hub" and name in NAMES
