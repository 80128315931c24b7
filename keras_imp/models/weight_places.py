"""Where the weights of an encoder sit, for layer-wise rates and freezing.

A stack keeps all its layers in one variable, along its first axis: a layer is
no variable of its own, and a path does not tell which layers a variable holds.
So each weight that belongs to a layer or a modality carries its place.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from keras_imp.models.imp_encoder import IMPEncoder


class Place(NamedTuple):
    """Where a weight sits in an encoder of `num_layers` layers.

    Attributes:
        depths: 0 before the layers, i + 1 in layer i, `top` after them; one
            number, or one for each row of the weight's first axis.
        top: `num_layers + 1`.
        modalities: The encoder's modalities that use the weight; empty if it
            belongs to none.
    """

    depths: tuple[int, ...]
    top: int
    modalities: tuple[str, ...] = ()


def place_of(variable: Any) -> Place | None:
    """Where a weight sits.

    Args:
        variable: A Keras variable.

    Returns:
        Its place; None for what comes after the layers of an encoder or
        belongs to none, such as a head.

    Example:
        >>> import keras_imp
        >>> from keras_imp.models.weight_places import place_of
        >>> encoder = keras_imp.IMPEncoder(8, 16, 2, 2, modalities=("image",))
        >>> place_of(encoder.body.stacks[0].stacked[0]).depths
        (1, 2)
        >>> place_of(encoder.embedders["vision"].trainable_variables[0])
        Place(depths=(0,), top=3, modalities=('image',))
    """
    return getattr(variable, "place", None)


def place_weights(encoder: "IMPEncoder") -> None:
    """Give the weights of a built encoder their places.

    Args:
        encoder: An `IMPEncoder`.
    """
    top = encoder.num_layers + 1
    for name, embedder in encoder.embedders.items():
        users = tuple(
            modality
            for modality in encoder.modalities
            if encoder.embedder_of(modality) is embedder
        )
        _place(embedder.trainable_variables, Place((0,), top, users))
        # The projection that follows the layers.
        _place(embedder.after.trainable_variables, Place((top,), top, users))
        if encoder.pooling == "token" and name in encoder.first_tokens:
            first = [encoder.first_tokens[name]]
            _place(first, Place((0,), top, users))
    if encoder.entry_norm is not None:
        _place(encoder.entry_norm.trainable_variables, Place((0,), top))
    below = 0
    for stack in encoder.body.stacks:
        depths = tuple(below + row + 1 for row in range(stack.num_layers))
        _place(stack.trainable_variables, Place(depths, top))
        below += stack.num_layers


def _place(variables: Iterable[Any], place: Place) -> None:
    for variable in variables:
        variable.place = place
