"""Learned positions of a grid of one size, resampled for every other size."""

import keras
import numpy as np
from keras import ops

from keras_imp._errors import check_positive, message
from keras_imp.layers._runtime.layer import Layer
from keras_imp.layers.position_grid import (
    ChecksGrid,
    known_grid,
    sequence_rows,
)
from keras_imp.typing import Tensor


def resampling_weights(count: int, rows: int) -> np.ndarray:
    """How much of each row a place takes, by linear interpolation.

    A place lies at the center of its cell, and places beyond the center of the
    outer rows take these: `keras.ops.image.resize` with "bilinear" and
    `antialias=False` does the same along each axis.

    Args:
        count: Places along an axis.
        rows: Rows of its table.

    Returns:
        float32, shape `(count, rows)`; each row of it sums to 1.

    Example:
        >>> from keras_imp.layers.grid_position_embedding import (
        ...     resampling_weights)
        >>> resampling_weights(4, 2).tolist()
        [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    place = np.clip((np.arange(count) + 0.5) * rows / count - 0.5, 0, rows - 1)
    distance = np.abs(place[:, None] - np.arange(rows))
    return np.maximum(0.0, 1.0 - distance).astype("float32")


@keras.saving.register_keras_serializable(package="keras_imp")
class GridPositionEmbedding(ChecksGrid, Layer):
    """Add one learned vector for each place of a grid to the tokens.

    The last two axes share a table with a vector for each pair of rows; each
    axis before them, such as the frames of a video, has a table of its own,
    which is 0 at the start. A grid of another size than the tables takes them
    resampled: bilinearly, with the centers of cells as their places.

    Args:
        buckets: Rows of each axis, such as `(16, 14, 14)` for (frames, height,
            width) patches.
        resample: Whether another length of an axis resamples its table. False
            uses rows 0, 1, 2, ... as text does.
        scale: Standard deviation of the vectors at the start.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`, `dtype`.

    Call arguments:
        tokens: Shape `(batch, tokens, hidden_dim)`, row-major over `grid`.
        grid: Patches per axis, static integers. Their product is `tokens`.
            The one axis of a table that is not resampled may be None.
        kept: Which places of the grid the tokens have, of each example its
            own: indices, int, shape `(batch, tokens)`. Defaults to all.
        position_ids: Refused: rows do not tell how a table is resampled.

    Returns:
        `tokens` plus positions, same shape and dtype.

    Raises:
        ValueError: If the grid has another number of axes, does not match the
            tokens, or is longer than a table that is not resampled; or if rows
            are given.

    Example:
        >>> import keras, keras_imp
        >>> layer = keras_imp.layers.GridPositionEmbedding(buckets=(1, 3, 3))
        >>> tuple(layer(keras.ops.zeros((2, 8, 5)), grid=(1, 4, 2)).shape)
        (2, 8, 5)

    Reference:
        [Dosovitskiy et al., 2020](https://arxiv.org/abs/2010.11929), section
        3.2.
    """

    coordinates = "integer"

    def __init__(
        self,
        buckets: tuple[int, ...],
        resample: bool = True,
        scale: float = 0.1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        for rows in buckets:
            check_positive(buckets=rows)
        self.buckets = tuple(buckets)
        self.resample = resample
        self.scale = scale

    @property
    def dilated(self) -> bool:  # type: ignore[override]
        """Whether the tables serve every size."""
        return self.resample

    @property
    def interpolate(self) -> bool:  # type: ignore[override]
        """Whether rows are mixed."""
        return self.resample

    def build(self, tokens_shape):
        hidden_dim = tokens_shape[-1]
        self.table = self.add_weight(
            name="table",
            shape=(*self.buckets[-2:], hidden_dim),
            initializer=keras.initializers.RandomNormal(stddev=self.scale),
            autocast=False,
        )
        self.axis_tables = [
            self.add_weight(
                name=f"table_{axis}",
                shape=(rows, hidden_dim),
                initializer="zeros",
                autocast=False,
            )
            for axis, rows in enumerate(self.buckets[:-2])
        ]

    def call(
        self,
        tokens: Tensor,
        grid: tuple[int | None, ...] | None = None,
        kept: Tensor | None = None,
        position_ids: Tensor | None = None,
    ) -> Tensor:
        if position_ids is not None:
            self.check_given()
        grid = () if grid is None else tuple(grid)
        self.check_grid(grid, tokens.shape[1] if kept is None else None)
        known = known_grid(grid)
        if known is None:
            table = ops.convert_to_tensor(self.table)
            positions = sequence_rows(table, tokens, kept)
        else:
            positions = self._vectors(known)
            if kept is not None:
                positions = ops.take(positions, kept, axis=0)
        return tokens + ops.cast(positions, tokens.dtype)

    def rows_reached(self, grid: tuple[int, ...]) -> tuple[np.ndarray, ...]:
        """Rows of each axis that an input of some size uses, and so trains.

        Args:
            grid: Patches per axis.

        Returns:
            Ascending row numbers of each axis.

        Example:
            >>> from keras_imp.layers import GridPositionEmbedding
            >>> layer = GridPositionEmbedding(buckets=(4, 6))
            >>> [rows.tolist() for rows in layer.rows_reached((2, 2))]
            [[0, 1, 2, 3], [1, 4]]
        """
        self.check_grid(grid, None)
        return tuple(
            np.flatnonzero(resampling_weights(count, rows).any(axis=0))
            if self.resample
            else np.arange(count)
            for count, rows in zip(grid, self.buckets, strict=True)
        )

    def check_given(self) -> None:
        """Refuse `position_ids`.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            message(
                "Rows must not be given to positions of a grid: they do not "
                "tell how its table is resampled.",
                "Drop tokens in the model, with `drop_tokens` of the task.",
                buckets=self.buckets,
            )
        )

    def _vectors(self, grid: tuple[int, ...]) -> Tensor:
        """The vector of each place, row-major, `(places, hidden_dim)`."""
        joint = len(grid[-2:])
        vectors = ops.convert_to_tensor(self.table)
        for axis, count in enumerate(grid[-joint:]):
            vectors = self._of_length(vectors, axis, count)
        vectors = ops.reshape(vectors, (-1, vectors.shape[-1]))
        pairs = list(zip(grid[:-joint], self.axis_tables, strict=True))
        for count, variable in reversed(pairs):
            table = ops.convert_to_tensor(variable)
            rows = self._of_length(table, 0, count)
            # (rows of this axis, 1, hidden) + (places so far, hidden)
            vectors = ops.expand_dims(rows, 1) + vectors
            vectors = ops.reshape(vectors, (-1, vectors.shape[-1]))
        return vectors

    def _of_length(self, table: Tensor, axis: int, count: int) -> Tensor:
        """A table with `count` rows along an axis."""
        rows = table.shape[axis]
        if count == rows:
            return table
        if not self.resample:
            return table[:count]
        weights = ops.convert_to_tensor(
            resampling_weights(count, rows), table.dtype
        )
        table = ops.tensordot(weights, table, axes=[[1], [axis]])
        return ops.moveaxis(table, 0, axis)
