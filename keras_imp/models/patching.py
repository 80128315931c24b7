"""Patches that are cut on the host, so that dropped ones are never moved.

An input of a modality of patches may be a dict of `patches` and `positions`
instead of an array: the patches that were kept, and the rows of the position
tables that belong to them. `Patching` says, as plain data, how to make one.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from keras_imp._errors import message
from keras_imp.layers.patch_embedding import patch_layout
from keras_imp.layers.position_embedding import bucket_ids

# Keys of an input that was patchified on the host.
PATCHES, POSITIONS = "patches", "positions"


class Patching(NamedTuple):
    """How the input of one modality is cut; `IMPEncoder.patchings` has them.

    Attributes:
        modality: The modality, for errors.
        patch_size: Length of a patch along each axis of the input.
        num_channels: Values per grid point.
        buckets: Rows of each position table. An image has one axis less than
            tables: it is a single frame, at row 0 of the first.
        coordinates: How rows are computed; see `layers.PositionEmbedding`.
    """

    modality: str
    patch_size: tuple[int, ...]
    num_channels: int
    buckets: tuple[int, ...]
    coordinates: str = "integer"

    @property
    def values(self) -> int:
        """Values of a patch."""
        return math.prod(self.patch_size) * self.num_channels

    def grid(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """Patches along each axis, checked.

        Args:
            size: Length of each axis of the input.

        Returns:
            Patches per axis.

        Raises:
            ValueError: If a patch does not divide its axis: the host pads
                nothing.
        """
        pairs = list(zip(size, self.patch_size, strict=True))
        if any(length < patch or length % patch for length, patch in pairs):
            raise ValueError(
                message(
                    f"Each axis of {self.modality!r} must be a multiple of its "
                    "patch to be patchified on the host.",
                    "Choose another size, or drop tokens in the model, with "
                    "`drop_tokens` of the task.",
                    size=tuple(size),
                    patch_size=self.patch_size,
                )
            )
        return tuple(length // patch for length, patch in pairs)

    def cut(self, values: np.ndarray, kept: np.ndarray) -> dict[str, Any]:
        """The patches at some places, and only they are copied.

        Args:
            values: Input of the modality, with the batch axis.
            kept: Indices into the patches in row-major order, int, shape
                `(batch, kept)`.

        Returns:
            `patches`, shape `(batch, kept, values)`, in the dtype of `values`,
            and `positions`, int32, shape `(batch, kept, axes)`.
        """
        if values.ndim == len(self.patch_size) + 1:
            values = values[..., None]
        grid = self.grid(values.shape[1:-1])
        split, order = patch_layout(values.shape, self.patch_size)
        places = np.unravel_index(kept, grid)
        rows = np.arange(len(values))[:, None]
        patches = values.reshape(split).transpose(order)[rows, *places]
        return {
            PATCHES: patches.reshape(*kept.shape, self.values),
            POSITIONS: self._position_ids(grid, places),
        }

    def _position_ids(self, grid, places) -> np.ndarray:
        missing = len(self.buckets) - len(grid)
        ids = [np.zeros(places[0].shape, "int32")] * missing
        for count, rows, place in zip(grid, self.buckets[missing:], places):
            ids.append(bucket_ids(count, rows, self.coordinates)[place])
        return np.stack(ids, axis=-1)


def check_patches(
    name: str, inputs: Any, patchings: Mapping[str, Patching]
) -> None:
    """Raise unless patches that were patchified on the host fit a modality.

    Args:
        name: Modality.
        inputs: Dict of `patches` and `positions`, tensors or arrays; of arrays
            the rows are checked too.
        patchings: How the modalities of patches are cut.

    Raises:
        ValueError: If they do not fit.
    """
    if name not in patchings:
        raise ValueError(
            message(
                f"The input {name!r} must be an array: only inputs in patches, "
                f"{tuple(patchings)}, can be patchified on the host.",
                keys=sorted(inputs),
            )
        )
    if sorted(inputs) != [PATCHES, POSITIONS]:
        raise ValueError(
            message(
                f"The input {name!r} must be an array, or a dict of 'patches' "
                "and 'positions'.",
                "Use keras_imp.data.drop_tokens.",
                keys=sorted(inputs),
            )
        )
    _check_shapes(name, inputs, patchings[name])
    if isinstance(inputs[POSITIONS], np.ndarray):
        _check_rows(name, inputs[POSITIONS], patchings[name])


def _check_shapes(name: str, inputs: Any, patching: Patching) -> None:
    patches, positions = (tuple(inputs[k].shape) for k in (PATCHES, POSITIONS))
    axes = len(patching.buckets)
    if (
        len(patches) != 3
        or patches[-1] != patching.values
        or len(positions) != 3
        or positions[-1] != axes
        or patches[1] != positions[1]
    ):
        raise ValueError(
            message(
                f"The input {name!r} must have patches (batch, kept, "
                f"{patching.values}) and positions (batch, kept, {axes}).",
                "Cut it for this encoder, with keras_imp.data.drop_tokens.",
                patches=patches,
                positions=positions,
            )
        )


def _check_rows(name: str, positions: np.ndarray, patching: Patching) -> None:
    if not np.issubdtype(positions.dtype, np.integer):
        raise ValueError(
            message(
                f"The positions of {name!r} must be integers, rows of the "
                "position tables.",
                dtype=str(positions.dtype),
            )
        )
    # The faithful bfloat16 rows may lie one beyond the table: a zero vector.
    beyond = 0 if patching.coordinates == "integer" else 1
    limits = np.array(patching.buckets) + beyond
    if positions.size and (positions.min() < 0 or (positions >= limits).any()):
        raise ValueError(
            message(
                f"The positions of {name!r} must be rows of the position "
                f"tables, below {patching.buckets}.",
                "Cut the input for this encoder, with "
                "keras_imp.data.drop_tokens.",
                lowest=tuple(positions.min(axis=(0, 1)).tolist()),
                highest=tuple(positions.max(axis=(0, 1)).tolist()),
            )
        )
