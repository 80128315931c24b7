"""Which rows are in which batch: a pure function of (seed, batch number).

The rows may be those of arrays, or of a table of files: where the values are is
another matter. So is what is done to them.
"""

import itertools
from collections.abc import Sequence

import numpy as np

from keras_imp._errors import check_integer, message


class Order:
    """Batches of equally many rows, shuffled anew in each pass.

    Args:
        rows: How many there are.
        batch_size: Rows of a batch.
        shuffle: Whether to shuffle each pass.
        drop_last: Whether a pass leaves out the rest that fills no batch.
            Defaults to `shuffle`.
        seed: Seed of the shuffling.
        groups: Group of each row, int, shape `(rows,)`. Two rows of a group
            are not in one batch of a shuffled pass, unless the group has more
            rows than the pass has batches. Defaults to no groups.

    Raises:
        ValueError: If the rest is left out and there are fewer rows than a
            batch, the batch size or the seed is no integer, or there is not
            one group for each row.

    Example:
        >>> from keras_imp.data.order import Order
        >>> order = Order(10, batch_size=4)
        >>> len(order), len(order.rows_at(7))
        (2, 4)
        >>> Order(10, batch_size=4, shuffle=False).rows_at(2).tolist()
        [8, 9]
    """

    def __init__(
        self,
        rows: int,
        batch_size: int,
        *,
        shuffle: bool = True,
        drop_last: bool | None = None,
        seed: int = 0,
        groups: np.ndarray | None = None,
    ):
        check_integer(batch_size=batch_size)
        check_integer(0, seed=seed)
        self.rows = rows
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = shuffle if drop_last is None else drop_last
        self.seed = seed
        self.groups = _repeated(groups, rows)
        self._passes: dict[int, np.ndarray] = {}
        if self.drop_last and rows < batch_size:
            raise ValueError(
                message(
                    "There must be at least one batch of examples.",
                    "Use a smaller batch size.",
                    examples=rows,
                    batch_size=batch_size,
                )
            )

    def __len__(self) -> int:
        """Batches of a pass."""
        if self.drop_last:
            return self.rows // self.batch_size
        return -(-self.rows // self.batch_size)

    def rows_at(self, index: int) -> np.ndarray:
        """The rows of batch `index`, counted over all passes.

        Args:
            index: From 0, without end.

        Returns:
            Positions of the rows, int.
        """
        number, place = divmod(index, len(self))
        start = place * self.batch_size
        return self.rows_of_pass(number)[start : start + self.batch_size]

    def rows_of_pass(self, number: int) -> np.ndarray:
        """All rows in the order of a pass.

        Args:
            number: From 0.

        Returns:
            Positions, int, shape `(rows,)`.
        """
        if not self.shuffle:
            return np.arange(self.rows)
        if number not in self._passes:
            # The one before stays: a batch may lie in two passes.
            latest = list(self._passes.items())[-1:]
            self._passes = dict([*latest, (number, self.shuffled(number))])
        return self._passes[number]

    def shuffled(self, number: int) -> np.ndarray:
        """The rows of a pass, drawn anew.

        Args:
            number: From 0.

        Returns:
            Positions, int, shape `(rows,)`.
        """
        generator = self.generator(0, number)
        if self.groups is None:
            return generator.permutation(self.rows)
        return _apart(self.groups, self.batch_size, generator)

    def generator(self, *stream: int) -> np.random.Generator:
        """A random generator of the seed and a stream of numbers.

        Args:
            *stream: Integers, such as a number for the purpose and one for
                the batch.

        Returns:
            A NumPy generator, the same in every process.
        """
        return np.random.default_rng((self.seed, *stream))


class OrderInShapes(Order):
    """Batches of several sizes, which take each row once in every pass.

    Shapes come in cycles, reshuffled each time: a cycle holds each shape as
    often as its weight says, and so a known number of rows. That is why the
    place of any batch in the data is known at once, without counting from the
    start. Passes follow each other without a gap: a batch may end one and begin
    the next. With at least three times the rows of the largest batch, none is
    twice in a batch.

    Args:
        rows: How many there are.
        batch_sizes: Rows of a batch of each shape.
        weights: How often a cycle has each shape.
        seed: Seed of everything.
        groups: As in `Order`.

    Raises:
        ValueError: If there are fewer rows than the largest batch.

    Example:
        >>> from keras_imp.data.order import OrderInShapes
        >>> order = OrderInShapes(12, batch_sizes=(4, 2), weights=(1, 1))
        >>> sorted(len(order.rows_at(i)) for i in range(4))
        [2, 2, 4, 4]
    """

    def __init__(
        self,
        rows: int,
        batch_sizes: Sequence[int],
        weights: Sequence[int],
        *,
        seed: int = 0,
        groups: np.ndarray | None = None,
    ):
        super().__init__(rows, max(batch_sizes), seed=seed, groups=groups)
        self._sizes = np.array(batch_sizes)
        # Indices of the shapes in a cycle, in order.
        self._cycle = np.repeat(np.arange(len(batch_sizes)), weights)

    def __len__(self) -> int:
        """Batches that begin in the first pass."""
        first = self.rows // int(self._sizes[self._cycle].sum())
        return next(
            index
            for index in itertools.count(first * len(self._cycle))
            if self._place(index)[1] >= self.rows
        )

    def shape_at(self, index: int) -> int:
        """Which shape batch `index` has.

        Args:
            index: From 0, without end.

        Returns:
            Its position in `batch_sizes`.
        """
        return self._place(index)[0]

    def rows_at(self, index: int) -> np.ndarray:
        shape, start = self._place(index)
        number, position = divmod(start, self.rows)
        stop = position + self._sizes[shape]
        rows = self.rows_of_pass(number)[position:stop]
        missing = self._sizes[shape] - len(rows)
        if not missing:
            return rows
        following = self.rows_of_pass(number + 1)[:missing]
        return np.concatenate([rows, following])

    def shuffled(self, number: int) -> np.ndarray:
        """Rows of a pass; the first are none of the last of the pass before.

        What a batch takes from two passes is then different rows. Rows move
        from the head to the middle only, so that the tail of a pass is known
        without the passes before it.

        Args:
            number: From 0.

        Returns:
            Positions, int, shape `(rows,)`.
        """
        order = super().shuffled(number)
        if number == 0:
            return order
        most = self.batch_size
        tail = super().shuffled(number - 1)[-most:]
        head = np.flatnonzero(np.isin(order[:most], tail))
        fresh = ~np.isin(order[most : self.rows - most], tail)
        middle = most + np.flatnonzero(fresh)[: len(head)]
        head = head[: len(middle)]
        order[head], order[middle] = order[middle], order[head]
        return order

    def _place(self, index: int) -> tuple[int, int]:
        """Shape of a batch, and rows before it over all passes."""
        cycle, place = divmod(index, len(self._cycle))
        order = self.generator(3, cycle).permutation(self._cycle)
        sizes = self._sizes[order]
        before = cycle * sizes.sum() + sizes[:place].sum()
        return int(order[place]), int(before)


def _repeated(groups: np.ndarray | None, rows: int) -> np.ndarray | None:
    """Groups from 0, or None if no two rows are of one."""
    if groups is None:
        return None
    groups = np.asarray(groups)
    if groups.shape != (rows,):
        raise ValueError(
            message(
                "There must be one group for each row.",
                rows=rows,
                shape=groups.shape,
            )
        )
    names, numbers = np.unique(groups, return_inverse=True)
    return numbers if len(names) < rows else None


def _apart(
    groups: np.ndarray, size: int, generator: np.random.Generator
) -> np.ndarray:
    """All rows in random order, those of a group a batch or more apart.

    Rows of a group follow each other in `drawn`, groups in random order, and
    each row goes to the next batch in turn. The rest that fills no batch has
    the first rows of as many groups.
    """
    rows = len(groups)
    order = generator.permutation(rows)
    rank = generator.permutation(groups.max() + 1)[groups[order]]
    drawn = order[np.argsort(rank, kind="stable")]
    batches = rows // size
    if not batches:
        return drawn
    _, firsts = np.unique(groups[drawn], return_index=True)
    rest = generator.permutation(firsts)[: rows - batches * size]
    others = np.setdiff1d(np.arange(rows), rest)
    missing = batches * size - len(others)
    if missing < 0:  # Fewer groups than the rest has places.
        rest = np.concatenate([rest, others[missing:]])
        others = others[:missing]
    in_turn = drawn[others].reshape(size, batches).T.reshape(-1)
    return np.concatenate([in_turn, drawn[rest]])
