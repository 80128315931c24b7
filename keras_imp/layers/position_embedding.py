"""Dilated factorized position embedding: one learned table per axis.

A short axis is spread over the whole table with gaps ("dilated"), so that one
table serves every resolution: patch `i` of `n` uses row `i * buckets // n`.
Ids are computed in integers on the host; the faithful variants show what
floating coordinates do instead (docs/method.md, Positions).
"""

import math

import keras
import ml_dtypes
import numpy as np
from keras import ops

from keras_imp._errors import check_choice, message
from keras_imp.layers._runtime.layer import Layer
from keras_imp.layers.position_grid import (
    ChecksGrid,
    known_grid,
    sequence_rows,
)
from keras_imp.typing import Tensor

COORDINATES = ("integer", "float32", "bfloat16")


def bucket_ids(
    count: int, buckets: int, coordinates: str = "integer"
) -> np.ndarray:
    """Table row of each of `count` patches along one axis.

    Source: docs/method.md, Positions.

    Args:
        count: Patches along the axis.
        buckets: Rows of the axis' table.
        coordinates: `"integer"` computes `i * buckets // count` exactly.
            `"float32"` and `"bfloat16"` compute `trunc(i / count * buckets)` in
            that precision, as the first implementation does.

    Returns:
        int32, shape `(count,)`. A row outside the table (bfloat16 only) means
        a zero vector.

    Example:
        >>> from keras_imp.layers.position_embedding import bucket_ids
        >>> bucket_ids(7, 32).tolist()
        [0, 4, 9, 13, 18, 22, 27]
        >>> bucket_ids(512, 512, "bfloat16").max()
        np.int32(512)
    """
    check_choice(COORDINATES, coordinates=coordinates)
    index = np.arange(count)
    if coordinates == "integer":
        return (index * buckets // count).astype("int32")
    dtype = np.float32 if coordinates == "float32" else ml_dtypes.bfloat16
    coordinate = (index.astype("float32") / np.float32(count)).astype(dtype)
    scaled = coordinate * np.asarray(buckets, dtype)
    return np.trunc(scaled.astype("float32")).astype("int32")


def interpolation_weights(count: int, buckets: int) -> np.ndarray:
    """Fraction of the next row for each patch, `frac(i * buckets / count)`.

    Args:
        count: Patches along the axis.
        buckets: Rows of the axis' table.

    Returns:
        float32 in [0, 1), shape `(count,)`.

    Example:
        >>> from keras_imp.layers import position_embedding
        >>> position_embedding.interpolation_weights(4, 6).tolist()
        [0.0, 0.5, 0.0, 0.5]
    """
    return ((np.arange(count) * buckets % count) / count).astype("float32")


@keras.saving.register_keras_serializable(package="keras_imp")
class PositionEmbedding(ChecksGrid, Layer):
    """Add a learned position vector to every token of a grid.

    The vector is LayerNorm(sum over axes of a table row): LayerNorm acts on the
    sum of rows only, not on the token.

    Args:
        buckets: Rows of the table of each axis, such as `(16, 32, 32)` for
            (frames, height, width) patches.
        dilated: Whether a short axis is spread over the table. False uses rows
            0, 1, 2, ... as text does.
        interpolate: Whether to mix neighboring rows linearly, so that rows
            that no training size ever reached are not met untrained.
        coordinates: `"integer"` (exact), or the faithful `"float32"` and
            `"bfloat16"` of `bucket_ids`.
        scale: Initial scale of the LayerNorm: the standard deviation of a
            position vector at the start. At 1 positions drown tokens of a
            smaller one, and training starts slowly.
        epsilon: Epsilon of the LayerNorm.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`, `dtype`.

    Call arguments:
        tokens: Shape `(batch, tokens, hidden_dim)`, row-major over `grid`.
        grid: Patches per axis, static integers. Their product is `tokens`.
            The one axis of a table that is not dilated may be None: its length
            is that of the tokens, known only when they are.
        kept: Which places of the grid the tokens have, of each example its
            own: indices, int, shape `(batch, tokens)`. Defaults to all.
        position_ids: Table rows of each token, int, shape `(batch, tokens,
            axes)`, instead of `grid` and `kept`.

    Returns:
        `tokens` plus positions, same shape and dtype.

    Raises:
        ValueError: If the grid has another number of axes, does not match the
            tokens, or is longer than the table of an axis that is not dilated;
            or if rows are given to a layer that interpolates.

    Example:
        >>> import keras, keras_imp
        >>> layer = keras_imp.layers.PositionEmbedding(buckets=(16, 32, 32))
        >>> tuple(layer(keras.ops.zeros((2, 12, 8)), grid=(3, 2, 2)).shape)
        (2, 12, 8)

    Reference:
        [IMP](https://arxiv.org/abs/2305.06324); docs/method.md, Positions.
    """

    def __init__(
        self,
        buckets: tuple[int, ...],
        dilated: bool = True,
        interpolate: bool = False,
        coordinates: str = "integer",
        scale: float = 1.0,
        epsilon: float = 1e-6,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        check_choice(COORDINATES, coordinates=coordinates)
        if interpolate and coordinates != "integer":
            raise ValueError(
                message(
                    '`interpolate` needs coordinates="integer".',
                    interpolate=interpolate,
                    coordinates=coordinates,
                )
            )
        self.buckets = tuple(buckets)
        self.dilated = dilated
        self.interpolate = interpolate
        self.coordinates = coordinates
        self.scale = scale
        self.epsilon = epsilon
        self.norm = keras.layers.LayerNormalization(
            epsilon=epsilon,
            gamma_initializer=keras.initializers.Constant(scale),
            # Keras computes it in float32 whatever the dtype.
            dtype=self.dtype_policy,
            name="norm",
        )

    def build(self, tokens_shape):
        hidden_dim = tokens_shape[-1]
        init = keras.initializers.RandomNormal
        self.tables = [
            self.add_weight(
                name=f"table_{axis}",
                shape=(rows, hidden_dim),
                initializer=init(stddev=1.0 / math.sqrt(hidden_dim)),
                autocast=False,
            )
            for axis, rows in enumerate(self.buckets)
        ]
        self.norm.build((None, hidden_dim))

    def call(
        self,
        tokens: Tensor,
        grid: tuple[int | None, ...] | None = None,
        kept: Tensor | None = None,
        position_ids: Tensor | None = None,
    ) -> Tensor:
        if position_ids is not None:
            positions = self.norm(self._rows_at(position_ids))
        else:
            grid = () if grid is None else tuple(grid)
            self.check_grid(grid, tokens.shape[1] if kept is None else None)
            known = known_grid(grid)
            if known is None:
                table = ops.convert_to_tensor(self.tables[0])
                positions = self.norm(sequence_rows(table, tokens, kept))
            else:
                positions = self.norm(self._grid_rows(known))
                if kept is not None:
                    positions = ops.take(positions, kept, axis=0)
        return tokens + ops.cast(positions, tokens.dtype)

    def rows_reached(self, grid: tuple[int, ...]) -> tuple[np.ndarray, ...]:
        """Table rows that an input of some size uses, and so trains.

        Args:
            grid: Patches per axis.

        Returns:
            Ascending row numbers of each axis' table.

        Example:
            >>> from keras_imp.layers import PositionEmbedding
            >>> layer = PositionEmbedding(buckets=(4, 6))
            >>> [rows.tolist() for rows in layer.rows_reached((1, 4))]
            [[0], [0, 1, 3, 4]]
        """
        self.check_grid(grid, None)
        reached = []
        for axis, (count, rows) in enumerate(
            zip(grid, self.buckets, strict=True)
        ):
            ids = self._axis_ids(axis, count)
            if self.interpolate and self.dilated:
                mixed = interpolation_weights(count, rows) > 0
                ids = np.concatenate([ids, ids[mixed] + 1])
            # Interpolation ends at the last row; of faithful ids, those
            # outside the table reach nothing.
            ids = np.minimum(ids, rows - 1) if self.interpolate else ids
            reached.append(np.unique(ids[ids < rows]))
        return tuple(reached)

    def _grid_rows(self, grid: tuple[int, ...]) -> Tensor:
        """Sum of the axes' rows at each place, `(places, hidden_dim)`."""
        vectors = self._axis_rows(0, grid[0])
        for axis in range(1, len(grid)):
            rows = self._axis_rows(axis, grid[axis])
            # (rows so far, 1, hidden) + (rows of this axis, hidden)
            vectors = ops.expand_dims(vectors, 1) + rows
            vectors = ops.reshape(vectors, (-1, vectors.shape[-1]))
        return vectors

    def _rows_at(self, position_ids: Tensor) -> Tensor:
        """Sum of the rows with these numbers, `(batch, tokens, hidden_dim)`."""
        self.check_given()
        ids = ops.cast(position_ids, "int32")
        vectors = 0.0
        for axis, (table, rows) in enumerate(
            zip(self.tables, self.buckets, strict=True)
        ):
            own = ids[..., axis]
            found = ops.take(table, ops.minimum(own, rows - 1), axis=0)
            if self.coordinates != "integer":
                # Faithful: an id outside the table gives a zero row.
                inside = ops.cast(own < rows, found.dtype)
                found = found * ops.expand_dims(inside, -1)
            vectors = vectors + found
        return vectors

    def _axis_ids(self, axis: int, count: int) -> np.ndarray:
        # Text is not dilated: its scale is its own length (docs/method.md,
        # Positions).
        scale = self.buckets[axis] if self.dilated else count
        return bucket_ids(count, scale, self.coordinates)

    def _axis_rows(self, axis: int, count: int) -> Tensor:
        """Rows of one axis' table, shape `(count, hidden_dim)`."""
        table, rows = self.tables[axis], self.buckets[axis]
        ids = self._axis_ids(axis, count)
        vectors = ops.take(table, np.minimum(ids, rows - 1), axis=0)
        if self.interpolate and self.dilated:
            share = interpolation_weights(count, rows)[:, None]
            # Torch does not multiply a parameter by a NumPy array.
            share = ops.convert_to_tensor(share, vectors.dtype)
            following = ops.take(table, np.minimum(ids + 1, rows - 1), axis=0)
            vectors = vectors * (1.0 - share) + following * share
        if (ids >= rows).any():
            # Faithful: an id outside the table gives a zero row, silently.
            inside = (ids < rows).astype("float32")[:, None]
            vectors = vectors * ops.convert_to_tensor(inside, vectors.dtype)
        return vectors
