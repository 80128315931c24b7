"""Which backbones an encoder cannot be, and what is in the way."""

import keras

from keras_imp import _keras_private as keras_private
from keras_imp._errors import message

ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_approximate": "gelu_tanh",
    "quick_gelu": "quick_gelu",
}


def activation_of(backbone: keras.Model) -> str:
    """The activation of an encoder for `intermediate_activation` of another.

    Args:
        backbone: Has `intermediate_activation`.

    Returns:
        One of the encoder's activations.

    Raises:
        ValueError: If the encoder has no such.
    """
    given = backbone.intermediate_activation
    if given not in ACTIVATIONS:
        refuse(
            backbone,
            f"The activation must be one of {tuple(ACTIVATIONS)}.",
            intermediate_activation=getattr(given, "__name__", given),
        )
    return ACTIVATIONS[given]


def check_equal(backbone: keras.Model, first: str, second: str) -> None:
    """Raise unless two sizes of a backbone are equal.

    Args:
        backbone: The backbone.
        first: Name of an attribute.
        second: Name of another.

    Raises:
        ValueError: If they differ.
    """
    sizes = {name: getattr(backbone, name) for name in (first, second)}
    if len(set(sizes.values())) > 1:
        refuse(backbone, f"`{first}` must be `{second}`.", **sizes)


def check_floating(backbone: keras.Model) -> None:
    """Raise if weights of a backbone are quantized.

    Args:
        backbone: The backbone.

    Raises:
        ValueError: If some are.
    """
    for layer in keras_private.all_layers(backbone):
        policy = layer.dtype_policy
        if policy.quantization_mode:
            refuse(
                backbone,
                "Its weights must be floating-point numbers.",
                layer=layer.name,
                dtype=policy.name,
            )


def refuse_class(backbone: object, known: tuple[str, ...]) -> None:
    """Say why a backbone of another class cannot be an encoder.

    Args:
        backbone: Anything that is none of the known classes.
        known: Names of these.

    Raises:
        TypeError: If it is no Keras model.
        ValueError: Else, with the layer that is in the way.
    """
    rule = f"It must be one of keras_hub.models: {', '.join(known)}."
    if not isinstance(backbone, keras.Model):
        raise TypeError(
            message(
                f"`backbone` is no Keras model. {rule}",
                "Load one: keras_hub.models.ViTBackbone.from_preset(...).",
                backbone=type(backbone).__name__,
            )
        )
    for layer in keras_private.all_layers(backbone):
        kind = type(layer).__name__
        if "Rope" in kind or "Rotary" in kind:
            refuse(
                backbone,
                "Positions must be added to the tokens, not turn queries and "
                f"keys. {rule}",
                layer=f"{layer.name} ({kind})",
            )
        if getattr(layer, "normalize_first", True) is False:
            refuse(
                backbone,
                "Norms must stand before the attention and the feed-forward "
                f"network of a block, not after them. {rule}",
                layer=f"{layer.name} ({kind})",
                normalize_first=False,
            )
    refuse(backbone, rule)


def refuse(backbone: keras.Model, rule: str, **received: object) -> None:
    """Raise with the option or the layer that is in the way.

    Args:
        backbone: The backbone.
        rule: What must hold.
        **received: What is in the way.

    Raises:
        ValueError: Always.
    """
    raise ValueError(
        message(
            f"No encoder can have the outputs of this backbone. {rule}",
            "Use another backbone, or call it in a model of your own.",
            backbone=type(backbone).__name__,
            **received,
        )
    )
