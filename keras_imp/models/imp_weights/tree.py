"""The parameters of the first implementation: where its layers are."""

import re
from typing import NamedTuple

from keras_imp._errors import message
from keras_imp.models.imp_weights.arrays import Arrays
from keras_imp.models.imp_weights.names import ENCODERS, QUERY, ROUTER

_FINAL_NORM = "final_layer_norm/scale"
_NUMBERED = re.compile(r"(?:.*/)?layer_(\d+)")


class TreeLayer(NamedTuple):
    """A layer of the first implementation.

    Attributes:
        stem: What the names of its parameters begin with.
        row: Its row in arrays that hold several layers; None if it has arrays
            of its own.
        rows: How many layers these arrays hold; None likewise.
        is_routed: Whether it has experts.
    """

    stem: str
    row: int | None
    rows: int | None
    is_routed: bool


class Tree(NamedTuple):
    """The parameters, and where the layers are in them.

    Attributes:
        arrays: By name.
        prefix: What the names of all parameters of the model begin with, such
            as `"params/"`.
        encoder: Name of the module of the blocks, prefix included.
        layers: From the first to the last.
    """

    arrays: Arrays
    prefix: str
    encoder: str
    layers: list[TreeLayer]

    @property
    def routed(self) -> tuple[int, ...]:
        """Indices of the layers with experts."""
        return tuple(i for i, x in enumerate(self.layers) if x.is_routed)

    def has(self, name: str) -> bool:
        """Whether there is a parameter of a name, without the prefix.

        Args:
            name: The name.

        Returns:
            Whether there is.
        """
        return self.prefix + name in self.arrays


def read_tree(arrays: Arrays) -> Tree:
    """Find the model and its layers.

    Layers have arrays of their own, `layer_0`, `layer_1` and so on, or those of
    all equal layers are stacked in one array along its first axis.

    Args:
        arrays: Arrays by name.

    Returns:
        The tree.

    Raises:
        ValueError: If there is no such model, there are several, or its layers
            are incomplete.
    """
    prefix, encoder = _find_encoder(arrays)
    stems = [
        name.removesuffix("/" + QUERY)
        for name in arrays
        if name.startswith(encoder + "/") and name.endswith("/" + QUERY)
    ]
    if not stems:
        raise ValueError(
            message(
                "The weights must have the query kernels of the layers.",
                encoder=encoder,
                name=f"{encoder}/.../{QUERY}",
            )
        )
    ranks = {len(arrays[f"{stem}/{QUERY}"].shape) for stem in stems}
    if ranks == {4}:
        layers = _stacked_layers(arrays, stems)
    elif ranks == {3}:
        layers = _numbered_layers(arrays, stems)
    else:
        raise ValueError(
            message(
                "Query kernels must have the axes (hidden_dim, heads, head "
                "width), all of them with an axis of layers before, or none.",
                shapes={
                    stem: arrays[f"{stem}/{QUERY}"].shape for stem in stems
                },
            )
        )
    return Tree(arrays, prefix, encoder, layers)


def _find_encoder(arrays: Arrays) -> tuple[str, str]:
    found = []
    for encoder in ENCODERS:
        ending = f"{encoder}/{_FINAL_NORM}"
        found += [
            (name.removesuffix(ending), name.removesuffix("/" + _FINAL_NORM))
            for name in arrays
            if name == ending or name.endswith("/" + ending)
        ]
    if len(found) != 1:
        raise ValueError(
            message(
                "The weights must have one encoder of the first "
                f"implementation: a module {' or '.join(ENCODERS)} with "
                f"{_FINAL_NORM}.",
                "Give the parameters alone, names joined by '/', without the "
                "state of an optimizer.",
                encoders=[encoder for _, encoder in found],
                names=[*arrays][:4],
            )
        )
    return found[0]


def _is_routed(arrays: Arrays, stem: str) -> bool:
    return f"{stem}/{ROUTER}" in arrays


def _stacked_layers(arrays: Arrays, stems: list[str]) -> list[TreeLayer]:
    # The first implementation stacks only where all routed layers are last.
    stems = sorted(stems, key=lambda stem: _is_routed(arrays, stem))
    kinds = [_is_routed(arrays, stem) for stem in stems]
    if len(set(kinds)) < len(kinds):
        raise ValueError(
            message(
                "Stacked layers must be in one module for those without "
                "experts, and one for those with experts.",
                modules=stems,
            )
        )
    layers = []
    for stem, is_routed in zip(stems, kinds, strict=True):
        rows = arrays[f"{stem}/{QUERY}"].shape[0]
        layers += [TreeLayer(stem, row, rows, is_routed) for row in range(rows)]
    return layers


def _numbered_layers(arrays: Arrays, stems: list[str]) -> list[TreeLayer]:
    by_number = {
        int(match[1]): stem
        for stem in stems
        if (match := _NUMBERED.fullmatch(stem))
    }
    if sorted(by_number) != list(range(len(stems))):
        raise ValueError(
            message(
                "Layers with arrays of their own must be layer_0, layer_1 and "
                "so on, without a gap.",
                modules=stems,
            )
        )
    return [
        TreeLayer(stem, None, None, _is_routed(arrays, stem))
        for _, stem in sorted(by_number.items())
    ]
