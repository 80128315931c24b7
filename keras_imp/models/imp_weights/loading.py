"""Load weights of the first implementation, after checking all of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_imp._errors import message
from keras_imp._saving.report import LoadReport
from keras_imp.models.imp_encoder import IMPEncoder
from keras_imp.models.imp_weights.arrays import (
    DTYPES,
    Arrays,
    Entry,
    open_arrays,
)
from keras_imp.models.imp_weights.names import LORA
from keras_imp.models.imp_weights.plan import (
    HINT,
    Part,
    encoder_parts,
    head_parts,
)
from keras_imp.models.imp_weights.tree import Tree, read_tree

# Names in a message.
_MOST = 4


def load_imp_weights(
    encoder_or_model: IMPEncoder | keras.Model,
    weights: str | Path | Mapping[str, Any],
) -> LoadReport:
    """Give an encoder the weights of the first implementation.

    What an encoder has is converted: the embedders of its modalities (`image`
    and `video` from patches of vision, `audio` from those of spectrograms,
    `waveform`, and `text` from token ids), the projections around the blocks,
    the blocks, the last norm, and the first token with `pooling="token"`. Of a
    model, heads of `tasks.Contrastive` between these modalities are too. Its
    outputs are then those of the first implementation, with `variant="imp"`
    for those of routed layers in a batch.

    All arrays are checked before a weight changes. They are read one after the
    other; those of a file that is not compressed are mapped into memory.

    Args:
        encoder_or_model: An `IMPEncoder`, or a model with one as its `encoder`.
        weights: An npz file, or a mapping, from the names of the parameters,
            joined by `/`, to arrays. Layers may be stacked along a first axis
            (`scanned_layers`) or have arrays of their own.

    Returns:
        What was loaded. `unused` has all arrays that the encoder has no place
        for, `new` all weights that are not from the file.

    Raises:
        TypeError: If there is no `IMPEncoder`, or `weights` is neither a path
            nor a flat mapping.
        ValueError: If an array is missing, has another shape or dtype or
            a number that is not finite; if a module that the encoder uses has
            an array that it does not have, such as a bias or a low-rank update
            that is not 0; or if the encoder has weights or options that the
            first implementation cannot have. No weight has changed then.
        OSError: If the file cannot be read.

    Example:
        >>> import keras_imp
        >>> from keras_imp.models import imp_config, load_imp_weights
        >>> def make(path):
        ...     encoder = keras_imp.IMPEncoder(**imp_config(path))
        ...     print(load_imp_weights(encoder, path))
        ...     return encoder

    Reference:
        [The first implementation](https://github.com/google-research/google-research/tree/master/imp),
        Apache-2.0.
    """
    encoder = getattr(encoder_or_model, "encoder", encoder_or_model)
    if not isinstance(encoder, IMPEncoder):
        raise TypeError(
            message(
                "Weights of the first implementation fit a "
                "keras_imp.IMPEncoder, or a model whose `encoder` is one.",
                type=type(encoder).__name__,
            )
        )
    with open_arrays(weights) as arrays:
        tree = read_tree(arrays)
        parts = encoder_parts(encoder, tree)
        if encoder is not encoder_or_model:
            parts += head_parts(encoder_or_model, tree)
        _check_names_and_shapes(parts, arrays)
        unused = _unused(parts, tree)
        _check_values(parts, arrays)
        for part in parts:
            part.variable.assign(_values(part, arrays))
    return _report(encoder_or_model, weights, parts, unused)


def _check_names_and_shapes(parts: list[Part], arrays: Arrays) -> None:
    """Raise for what is missing, and for shapes and dtypes that do not fit."""
    missing, different = {}, {}
    count = len({piece.name for part in parts for piece in part.pieces})
    for part in parts:
        for piece in part.pieces:
            path = part.variable.path
            if piece.name not in arrays:
                missing[piece.name] = path
                continue
            entry = arrays[piece.name]
            if entry.shape != piece.shape or entry.dtype not in DTYPES:
                got = f"{entry.shape} {entry.dtype}"
                different[piece.name] = f"{path} needs {piece.shape}, not {got}"
    if missing:
        raise ValueError(
            message(
                "The weights must have an array for every weight of the "
                f"encoder and of heads: {len(missing)} of {count} are missing.",
                "Leave out modalities, options or heads that the weights do "
                f"not have. {HINT}",
                missing=_first(missing),
            )
        )
    if different:
        raise ValueError(
            message(
                "The arrays must have the shapes that the encoder needs, and "
                f"one of the dtypes {DTYPES}: {len(different)} of {count} do "
                "not.",
                f"{HINT} It cannot tell `patch_size` and `audio_patch_size`.",
                different=_first(different),
            )
        )


def _check_values(parts: list[Part], arrays: Arrays) -> None:
    """Raise if a number is not finite."""
    paths = {p.name: part.variable.path for part in parts for p in part.pieces}
    for name, path in paths.items():
        wrong = int(np.sum(~np.isfinite(arrays[name].read())))
        if wrong:
            raise ValueError(
                message(
                    "The weights must be finite numbers.",
                    array=name,
                    weight=path,
                    not_finite=wrong,
                )
            )


def _unused(parts: list[Part], tree: Tree) -> tuple[str, ...]:
    """Arrays that no weight comes from.

    Raises:
        ValueError: If one of them would change the outputs.
    """
    used = {piece.name for part in parts for piece in part.pieces}
    modules = {_module(name, tree) for name in used}
    unused = [name for name in tree.arrays if name not in used]
    wrong = [
        name
        for name in unused
        if _module(name, tree) in modules and not _adds_nothing(name, tree)
    ]
    if wrong:
        raise ValueError(
            message(
                "The modules that the encoder uses must have no other arrays: "
                "its outputs would not be those of the first implementation.",
                "Add a low-rank update to its kernel: kernel + scale * "
                f"{' @ '.join(LORA)}. {HINT}",
                arrays=wrong[:_MOST],
                modules=sorted({_module(name, tree) for name in wrong}),
            )
        )
    return tuple(unused)


def _module(name: str, tree: Tree) -> str:
    """The module that is used as a whole: all blocks, an embedder, a head."""
    if name.startswith(tree.encoder + "/"):
        return tree.encoder
    if not name.startswith(tree.prefix):
        return ""
    steps = name.removeprefix(tree.prefix).split("/")
    is_head = steps[0].endswith(("_disjoint_projection", "_joint_projection"))
    return tree.prefix + "/".join(steps[: 2 if is_head else 1])


def _adds_nothing(name: str, tree: Tree) -> bool:
    """Whether an array is of a low-rank update that is 0."""
    module, _, kind = name.rpartition("/")
    pair = [f"{module}/{one}" for one in LORA]
    if kind not in LORA or not all(one in tree.arrays for one in pair):
        return False
    return any(not np.any(_read(tree.arrays[one])) for one in pair)


def _values(part: Part, arrays: Arrays) -> np.ndarray:
    """The value of a weight, float32."""
    shape = tuple(part.variable.shape)
    if not part.is_stacked:
        return _read(arrays[part.pieces[0].name]).reshape(shape)
    values = np.empty(shape, "float32")
    name, array = "", np.empty(0)
    for row, piece in zip(values, part.pieces, strict=True):
        if piece.name != name:
            name, array = piece.name, arrays[piece.name].read()
        own = array if piece.row is None else array[piece.row]
        row[...] = own.reshape(row.shape)
    return values


def _read(entry: Entry) -> np.ndarray:
    return np.array(entry.read(), "float32")


def _report(
    target: Any, weights: Any, parts: list[Part], unused: tuple[str, ...]
) -> LoadReport:
    owners = [getattr(target, "encoder", target)]
    owners += getattr(target, "tasks", {}).values()
    every = {id(v): v for owner in owners for v in owner.weights}
    loaded = {id(part.variable) for part in parts}
    return LoadReport(
        filepath="" if isinstance(weights, Mapping) else str(weights),
        loaded=len(loaded),
        total=len(every),
        new=tuple(v.path for key, v in every.items() if key not in loaded),
        unused=unused,
    )


def _first(found: dict[str, str]) -> dict[str, str]:
    return dict([*found.items()][:_MOST])
