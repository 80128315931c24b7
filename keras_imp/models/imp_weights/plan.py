"""Which arrays of the first implementation each weight comes from."""

from typing import Any, NamedTuple

import keras

from keras_imp import _keras_private as keras_private
from keras_imp._errors import message
from keras_imp.layers.encoder_stack import EncoderStack
from keras_imp.layers.projection_head import CommonSpace, ProjectionHead
from keras_imp.models.imp_encoder import IMPEncoder
from keras_imp.models.imp_weights.names import (
    LAYER,
    SOURCE_OF,
    SOURCES,
    Source,
    layer_shape,
)
from keras_imp.models.imp_weights.tree import Tree, TreeLayer

# What no weight shows, and what the first implementation has of it.
OPTIONS = {
    "activation": ("gelu_tanh", "gelu"),
    "layer_norm_epsilon": (1e-6,),
    "final_norm_epsilon": (None, 1e-6),
    "causal_text": (False,),
    "mask_padding": (True,),
}
HINT = "Build it with keras_imp.IMPEncoder(**keras_imp.models.imp_config(...))."


class Piece(NamedTuple):
    """An array of the first implementation, or a row of one.

    Attributes:
        name: Of the array.
        shape: Of the array.
        row: The row; None for all of the array.
    """

    name: str
    shape: tuple[int, ...]
    row: int | None = None


class Part(NamedTuple):
    """A weight, and what it comes from.

    Attributes:
        variable: The weight.
        pieces: One, or one for each row of the weight.
        is_stacked: Whether the first axis of the weight is that of layers.
    """

    variable: keras.Variable
    pieces: list[Piece]
    is_stacked: bool = False


def encoder_parts(encoder: IMPEncoder, tree: Tree) -> list[Part]:
    """The weights of an encoder that the first implementation has.

    Args:
        encoder: The encoder.
        tree: The parameters.

    Returns:
        All weights but those of embedders and of a pooling of its own.

    Raises:
        ValueError: If the encoder has other layers, options or weights.
    """
    _check_options(encoder)
    _check_layers(encoder, tree)
    parts, own = [], [*encoder.pool.weights]
    for name, embedder in encoder.embedders.items():
        if name in SOURCES:
            parts += _embedder_parts(encoder, name, tree)
        else:
            own += embedder.weights
            own += _first_tokens(encoder, name)
    first = 0
    for stack in encoder.body.stacks:
        layers = tree.layers[first : first + stack.num_layers]
        parts += _stack_parts(stack, layers)
        first += stack.num_layers
        if stack.stacked_bias is not None:
            own.append(stack.stacked_bias)
    norm = f"{tree.encoder}/final_layer_norm"
    parts += _norm_parts(encoder.final_norm, norm)
    _check_no_more(encoder, [*(part.variable for part in parts), *own])
    return parts


def head_parts(model: Any, tree: Tree) -> list[Part]:
    """The weights of the heads of contrastive tasks.

    Args:
        model: Holds the tasks.
        tree: The parameters.

    Returns:
        Those of heads between two modalities of the first implementation.
    """
    parts = []
    for layer in keras_private.all_layers(model):
        if isinstance(layer, CommonSpace):
            for name, head in layer.heads.items():
                module = _head_module(name)
                if module is not None:
                    parts += _head_parts(head, tree.prefix + module)
    return parts


def _head_module(name: str) -> str | None:
    """The module of a head, by `<source>_to_<target>` or `<source>`."""
    first, _, second = name.partition("_to_")
    source, target = SOURCE_OF.get(first), SOURCE_OF.get(second or first)
    if source is None or target is None:
        return None
    if not second:
        return f"{source.stem}_joint_projection/to_common"
    if source is target:
        return None  # An image towards a video: both are vision.
    return f"{source.stem}_disjoint_projection/to_{target.name}"


def _head_parts(head: ProjectionHead, module: str) -> list[Part]:
    parts = []
    for layer, name in ((head.expand, "wi"), (head.contract, "wo")):
        for variable, kind in ((layer.kernel, "kernel"), (layer.bias, "bias")):
            parts.append(_part(variable, f"{module}/{name}/{kind}"))
    return [*parts, *_norm_parts(head.norm, f"{module}/layer_norm")]


def _embedder_parts(encoder: IMPEncoder, name: str, tree: Tree) -> list[Part]:
    source = SOURCES[name]
    inside = _embedder_names(source)
    parts = [
        _part(variable, tree.prefix + inside[path])
        for variable in encoder.embedders[name].weights
        if (path := _path_in(variable, name)) in inside
    ]
    for variable in _first_tokens(encoder, name):
        # Ours has an axis of examples too.
        piece = Piece(tree.prefix + source.first_token, variable.shape[1:])
        parts.append(Part(variable, [piece]))
    return parts


def _embedder_names(source: Source) -> dict[str, str]:
    """Names by the path of a weight in an embedder."""
    token = source.embedding
    names = {f"positions/table_{i}": x for i, x in enumerate(source.tables)}
    norm = f"{source.tables[0].rsplit('/', 2)[0]}/layer_norm"
    names["positions/norm/gamma"] = f"{norm}/scale"
    names["positions/norm/beta"] = f"{norm}/bias"
    if source.has_ids:
        names["tokens/table"] = token
    else:
        names["tokens/projection/kernel"] = token
        names["tokens/projection/bias"] = f"{token.rsplit('/', 1)[0]}/bias"
    for ours, theirs in (("before", "pre"), ("after", "post")):
        for kind in ("kernel", "bias"):
            module = f"{source.stem}_{theirs}_encoder_projection"
            names[f"{ours}/{kind}"] = f"{module}/{kind}"
    return names


def _stack_parts(stack: EncoderStack, layers: list[TreeLayer]) -> list[Part]:
    parts = []
    for variable in stack.stacked:
        if variable.name not in LAYER:
            continue
        shape = layer_shape(
            variable.name, tuple(variable.shape[1:]), stack.num_heads
        )
        pieces = [
            Piece(
                f"{layer.stem}/{LAYER[variable.name]}",
                shape if layer.rows is None else (layer.rows, *shape),
                layer.row,
            )
            for layer in layers
        ]
        parts.append(Part(variable, pieces, is_stacked=True))
    return parts


def _norm_parts(layer: keras.layers.Layer, module: str) -> list[Part]:
    return [
        _part(layer.gamma, f"{module}/scale"),
        _part(layer.beta, f"{module}/bias"),
    ]


def _part(variable: keras.Variable, name: str) -> Part:
    return Part(variable, [Piece(name, tuple(variable.shape))])


def _first_tokens(encoder: IMPEncoder, name: str) -> list[keras.Variable]:
    if encoder.pooling != "token" or name not in encoder.first_tokens:
        return []
    return [encoder.first_tokens[name]]


def _path_in(variable: keras.Variable, name: str) -> str:
    return f"/{variable.path}".partition(f"/{name}/")[2]


def _check_options(encoder: IMPEncoder) -> None:
    for name, allowed in OPTIONS.items():
        value = getattr(encoder, name)
        if value not in allowed:
            raise ValueError(
                message(
                    f"`{name}` of the encoder must be one of {allowed}, as in "
                    "the first implementation.",
                    HINT,
                    **{name: value},
                )
            )


def _check_layers(encoder: IMPEncoder, tree: Tree) -> None:
    ours = (encoder.num_layers, encoder.body.routed_layers)
    theirs = (len(tree.layers), tree.routed)
    if ours != theirs:
        raise ValueError(
            message(
                "The encoder must have as many layers as the weights, and "
                "experts in the same ones.",
                HINT,
                encoder=dict(zip(("layers", "routed"), ours)),
                weights=dict(zip(("layers", "routed"), theirs)),
            )
        )


def _check_no_more(encoder: IMPEncoder, known: list[keras.Variable]) -> None:
    ids = {id(variable) for variable in known}
    more = [v.path for v in encoder.weights if id(v) not in ids]
    if more:
        raise ValueError(
            message(
                "The encoder must have no weights that the first "
                "implementation cannot have.",
                HINT,
                weights=more,
            )
        )
