"""What Keras can load by name, though its module is not loaded yet.

A saved file names classes as `keras_imp>IMPEncoder`, and Keras looks the name
up among those that `register_keras_serializable` has seen. The modules here
load when they are first used, so each class has a placeholder in Keras'
registry from the start, which the class replaces when its module is loaded.
"""

import importlib
from types import ModuleType
from typing import Any

PACKAGE = "keras_imp"

# Every class that a saved file can name, by module.
SERIALIZABLE = {
    "keras_imp.data.preprocessor": ("IMPPreprocessor",),
    "keras_imp.layers.attention": ("MultiHeadAttention",),
    "keras_imp.layers.dense": ("TokenDense",),
    "keras_imp.layers.drop_token": ("DropToken",),
    "keras_imp.layers.encoder_block": ("EncoderBlock",),
    "keras_imp.layers.encoder_stack": ("EncoderStack",),
    "keras_imp.layers.feed_forward": ("FeedForward",),
    "keras_imp.layers.grid_position_embedding": ("GridPositionEmbedding",),
    "keras_imp.layers.log_mel": ("LogMel",),
    "keras_imp.layers.moe.layers": (
        "ExpertChoiceMoE",
        "SoftMoE",
        "TokenChoiceMoE",
    ),
    "keras_imp.layers.patch_embedding": ("PatchEmbedding",),
    "keras_imp.layers.pooling": (
        "AttentionPooling",
        "FirstTokenPooling",
        "MaskedMeanPooling",
    ),
    "keras_imp.layers.position_embedding": ("PositionEmbedding",),
    "keras_imp.layers.projection_head": ("CommonSpace", "ProjectionHead"),
    "keras_imp.layers.token_embedding": ("TokenEmbedding",),
    "keras_imp.models.embedders": ("Embedder",),
    "keras_imp.models.imp_encoder": ("IMPEncoder",),
    "keras_imp.tasks.classification": ("Classification",),
    "keras_imp.tasks.combined": ("Combined",),
    "keras_imp.tasks.contrastive.task": ("Contrastive",),
    "keras_imp.tasks.masked.task": ("MaskedModeling",),
    "keras_imp.tasks.metrics": ("TaskMetric",),
    "keras_imp.tasks.regression": ("Regression",),
    "keras_imp.training.alternating_model": ("AlternatingModel",),
    "keras_imp.training.combined_model": ("CombinedModel",),
    "keras_imp.training.optimizers.adamw": ("AdamW",),
    "keras_imp.training.optimizers.cosine_with_warmup": ("CosineWithWarmup",),
    "keras_imp.training.optimizers.muon": ("Muon",),
    "keras_imp.training.schedules.state": ("ScheduleState",),
}


def register(keras: ModuleType) -> None:
    """Give Keras a placeholder for every class that it does not have yet.

    Args:
        keras: The imported `keras`.

    Example:
        >>> import keras, keras_imp
        >>> config = {"class_name": "FeedForward", "config": {
        ...     "intermediate_dim": 8}, "registered_name":
        ...     "keras_imp>FeedForward"}
        >>> keras.saving.deserialize_keras_object(config).intermediate_dim
        8
    """
    registered = keras.saving.get_custom_objects()
    for module, names in SERIALIZABLE.items():
        for name in names:
            stand_in = _Unloaded(name, (), {"__module__": module})
            registered.setdefault(f"{PACKAGE}>{name}", stand_in)


def join_keras_hub(keras_hub: ModuleType) -> None:
    """Make the encoder a backbone of keras-hub, which has just been loaded.

    `keras_hub.models.Backbone.from_preset` asks the class that a preset names
    whether it is a backbone, so it has to meet the class, not a placeholder.

    Args:
        keras_hub: The imported `keras_hub`.
    """
    importlib.import_module("keras_imp.models.imp_encoder")
    backbone = importlib.import_module("keras_imp.models.backbone")
    backbone.become_backbone(keras_hub)


class _Unloaded(type):
    """The class of placeholders: each loads the class it is named after.

    Keras and keras-hub want classes there: they ask `inspect.isclass`, call
    them and their `from_config`.
    """

    def _class(cls) -> type:
        return getattr(importlib.import_module(cls.__module__), cls.__name__)

    def __call__(cls, *args, **kwargs) -> Any:
        return cls._class()(*args, **kwargs)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):  # Nobody wants the class itself for these.
            raise AttributeError(name)
        return getattr(cls._class(), name)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls._class())

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls._class())
