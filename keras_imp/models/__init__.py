"""Layers put together: the encoder, its modalities and its sizes.

Names are loaded when they are first used.
"""

from keras_imp._lazy import lazy

_HOMES = {
    "Embedder": "keras_imp.models.embedders",
    "EmbedderOptions": "keras_imp.models.modality",
    "Encoder": "keras_imp.models.protocols",
    "IMPEncoder": "keras_imp.models.imp_encoder",
    "LoadReport": "keras_imp._saving.report",
    "Modality": "keras_imp.models.modality",
    "PRESETS": "keras_imp.models.presets",
    "PresetInfo": "keras_imp.models.presets.table",
    "PresetTable": "keras_imp.models.presets.table",
    "TokenEncoder": "keras_imp.models.protocols",
    "imp_config": "keras_imp.models.imp_weights.config",
    "load_imp_weights": "keras_imp.models.imp_weights.loading",
    "patch_embedder": "keras_imp.models.embedders",
    "register_modality": "keras_imp.models.modalities",
    "token_embedder": "keras_imp.models.embedders",
    "upcycle": "keras_imp.models.sparse.upcycling",
}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = lazy(globals(), _HOMES)
