"""Constructor arguments of an encoder, from the shapes of the weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_imp._errors import message
from keras_imp.models.imp_weights.arrays import open_arrays
from keras_imp.models.imp_weights.names import (
    LAYER,
    QUERY,
    ROUTER,
    SOURCES,
    Source,
)
from keras_imp.models.imp_weights.tree import Tree, TreeLayer, read_tree
from keras_imp.models.sparse.placement import PLACEMENTS, runs


def imp_config(weights: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of the encoder that weights of the first implementation fit.

    Args:
        weights: As for `load_imp_weights`.

    Returns:
        Arguments of `IMPEncoder`: what shapes and names tell, with all
        modalities that the weights have, and `variant="imp"`. They do not tell
        `patch_size` and `audio_patch_size`, of which only the product is
        known: pass them if they are not the defaults.

    Raises:
        TypeError: If `weights` is neither a path nor a flat mapping.
        ValueError: If it is no such model, or no encoder can be it.
        OSError: If the file cannot be read.

    Example:
        >>> import keras_imp
        >>> from keras_imp.models import imp_config
        >>> def make(path):
        ...     arguments = imp_config(path)
        ...     arguments["modalities"] = ("image", "text")
        ...     encoder = keras_imp.IMPEncoder(**arguments)
        ...     print(keras_imp.models.load_imp_weights(encoder, path))
        ...     return encoder

    Reference:
        docs/method.md, Model sizes.
    """
    with open_arrays(weights) as arrays:
        return _config(read_tree(arrays))


def _config(tree: Tree) -> dict[str, Any]:
    first = tree.layers[0]
    hidden_dim, num_heads, _ = _shape(tree, first, QUERY)[-3:]
    expand = LAYER[
        "experts_expand_kernel" if first.is_routed else "expand_kernel"
    ]
    config: dict[str, Any] = {
        "hidden_dim": hidden_dim,
        "intermediate_dim": _shape(tree, first, expand)[-1],
        "num_layers": len(tree.layers),
        "num_heads": num_heads,
        "qk_layer_norm": _has(tree, first, "query_norm_gamma"),
        "use_bias": _has(tree, first, "attention_norm_beta"),
        "variant": "imp",
    }
    if tree.routed:
        routed = tree.layers[tree.routed[0]]
        config["num_experts"] = _shape(tree, routed, ROUTER)[-1]
        config["num_moe_layers"] = len(tree.routed)
        config["moe_placement"] = _placement(tree)
    present = {
        name: source
        for name, source in SOURCES.items()
        if tree.has(source.embedding)
    }
    if not present:
        raise ValueError(
            message(
                "The weights must have an embedder that an encoder can have: "
                f"one of {[x.embedding for x in SOURCES.values()]}.",
                names=[*tree.arrays][:4],
            )
        )
    config["modalities"] = tuple(
        modality for x in present.values() for modality in x.modalities
    )
    for name, source in present.items():
        config |= _sizes(tree, name, source)
    if all(tree.has(source.first_token) for source in present.values()):
        config["pooling"] = "token"
    return config


def _sizes(tree: Tree, name: str, source: Source) -> dict[str, Any]:
    rows = tuple(_rows(tree, table) for table in source.tables)
    if name == "vision":
        return {"position_buckets": rows}
    if name == "audio":
        return {"audio_position_buckets": rows}
    length = _rows(tree, source.embedding)
    if name == "waveform":
        return {
            "waveform_position_buckets": rows[0],
            "waveform_patch_size": length,
        }
    return {"max_sequence_length": rows[0], "vocabulary_size": length}


def _placement(tree: Tree) -> str:
    for placement in PLACEMENTS:
        found = runs(len(tree.layers), len(tree.routed), placement)
        if tree.routed == tuple(
            layer for run in found if run.is_routed for layer in run.layers
        ):
            return placement
    raise ValueError(
        message(
            "The layers with experts must be the last ones, or stand at a "
            "constant stride that ends with the last layer.",
            routed=tree.routed,
            num_layers=len(tree.layers),
        )
    )


def _has(tree: Tree, layer: TreeLayer, weight: str) -> bool:
    return f"{layer.stem}/{LAYER[weight]}" in tree.arrays


def _shape(tree: Tree, layer: TreeLayer, name: str) -> tuple[int, ...]:
    return _entry_shape(tree, f"{layer.stem}/{name}")


def _rows(tree: Tree, name: str) -> int:
    return _entry_shape(tree, tree.prefix + name)[0]


def _entry_shape(tree: Tree, name: str) -> tuple[int, ...]:
    if name not in tree.arrays or len(tree.arrays[name].shape) < 2:
        raise ValueError(
            message(
                "The weights must have every array that tells a size.",
                name=name,
                shape=tree.arrays[name].shape if name in tree.arrays else None,
            )
        )
    return tree.arrays[name].shape
