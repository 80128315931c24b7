"""What position embeddings of a grid share: the checks, the output's shape."""

import math

import keras
from keras import ops

from keras_imp._errors import message
from keras_imp.typing import Tensor


def known_grid(grid: tuple[int | None, ...]) -> tuple[int, ...] | None:
    """A grid if all of it is known.

    Args:
        grid: Patches or tokens per axis; None for a length that is not known.

    Returns:
        The grid, or None.

    Example:
        >>> from keras_imp.layers.position_grid import known_grid
        >>> known_grid((2, 3)), known_grid((None,))
        ((2, 3), None)
    """
    known = tuple(count for count in grid if count is not None)
    return known if len(known) == len(grid) else None


def sequence_rows(table: Tensor, tokens: Tensor, kept: Tensor | None) -> Tensor:
    """Rows of a sequence whose length is not known: token i has row i.

    Args:
        table: Shape `(rows, hidden_dim)`.
        tokens: Shape `(batch, tokens, hidden_dim)`.
        kept: Places of the tokens, int, shape `(batch, tokens)`, or None for
            0, 1, 2, ...

    Returns:
        Shape `(batch, tokens, hidden_dim)`, or without the batch axis.
    """
    if kept is not None:
        return ops.take(table, kept, axis=0)
    length = ops.shape(tokens)[1]
    if ops.is_tensor(length):
        # A slice is as long as the table at most: a longer sequence then
        # fails at the sum, on every device.
        return table[:length]
    # A symbol of JAX or torch while they export. On JAX, rows beyond the
    # table are NaN.
    return ops.take(table, ops.arange(0, length, dtype="int32"), axis=0)


class ChecksGrid:
    """The checks of a position embedding, whose output is as its tokens.

    Attributes:
        buckets: Rows of the table of each axis.
        dilated: Whether a table serves every length of its axis. False uses
            rows 0, 1, 2, ...
        interpolate: Whether rows are mixed.
        coordinates: How rows are computed; see `bucket_ids`.
    """

    buckets: tuple[int, ...]
    dilated: bool
    interpolate: bool
    coordinates: str

    def compute_output_spec(
        self, tokens, grid=None, kept=None, position_ids=None
    ):
        return keras.KerasTensor(tokens.shape, dtype=tokens.dtype)

    def check_grid(
        self, grid: tuple[int | None, ...], num_tokens: int | None
    ) -> None:
        """Raise unless a grid fits the tables and the tokens.

        Args:
            grid: Patches per axis; None for a length that is not known.
            num_tokens: Number of tokens, if known.

        Raises:
            ValueError: If it does not.
        """
        if len(grid) != len(self.buckets):
            raise ValueError(
                message(
                    f"`grid` must have {len(self.buckets)} axes, one per "
                    "table.",
                    grid=tuple(grid),
                )
            )
        known = known_grid(grid)
        if known is None:
            self._check_unknown(grid)
            return
        if num_tokens is not None and math.prod(known) != num_tokens:
            raise ValueError(
                message(
                    "The product of `grid` must be the number of tokens.",
                    grid=tuple(grid),
                    tokens=num_tokens,
                )
            )
        for count, rows in zip(known, self.buckets, strict=True):
            if not self.dilated and count > rows:
                raise ValueError(
                    message(
                        f"A sequence must not be longer than the {rows} "
                        "positions of its table.",
                        "Cut the sequence, or use more position buckets.",
                        length=count,
                    )
                )

    def _check_unknown(self, grid: tuple[int | None, ...]) -> None:
        if self.dilated or len(grid) > 1 or self.coordinates != "integer":
            raise ValueError(
                message(
                    "A length may be unknown only where token i has row i: "
                    'with one axis, dilated=False and coordinates="integer".',
                    "Give each axis of the input but the batch a fixed size.",
                    grid=tuple(grid),
                    dilated=self.dilated,
                    coordinates=self.coordinates,
                )
            )

    def check_given(self) -> None:
        """Raise unless the layer can take `position_ids`.

        Raises:
            ValueError: If it interpolates.
        """
        if self.interpolate:
            raise ValueError(
                message(
                    "Rows must not be given to a position embedding that "
                    "interpolates: a row does not tell how much of the next "
                    "one to take.",
                    "Drop tokens in the model, with `drop_tokens` of the task, "
                    "or set interpolate_positions=False.",
                    interpolate=self.interpolate,
                )
            )
