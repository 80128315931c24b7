"""What every schedule is: a function from the global step to a task."""

from collections.abc import Mapping

import numpy as np

from keras_imp._errors import message
from keras_imp._repr import ShowsArguments

# Size of each task's data by name, or None where a source does not tell it.
Sizes = Mapping[str, int | None]
# Steps are drawn in blocks: one random generator each, whatever the step.
BLOCK = 1024


class Schedule(ShowsArguments):
    """Base class: which of the tasks is drawn at each step.

    A subclass defines `draw(block)`. `TaskMixture` calls `bind` with the names
    of its tasks before the first draw.

    Example:
        >>> import numpy as np, keras_imp
        >>> class FirstThenAll(keras_imp.schedules.Schedule):
        ...     "The first task alone for 100 steps, then each in turn."
        ...     def draw(self, block):
        ...         step = self.steps(block)
        ...         return np.where(step < 100, 0, step % len(self.names))
        >>> schedule = FirstThenAll().bind(("a", "b"), seed=0)
        >>> [schedule.task(s) for s in (0, 99, 100, 101)]
        ['a', 'a', 'a', 'b']
    """

    def bind(
        self,
        names: tuple[str, ...],
        seed: int = 0,
        sizes: Sizes | None = None,
    ) -> "Schedule":
        """Tell the schedule the tasks it chooses from.

        Args:
            names: Names of the tasks; `draw` returns indices into them.
            seed: Seed of the draws.
            sizes: Size of each task's data by name, all in one unit, None
                where it is not known; `training.sources.sizes` counts them.

        Returns:
            The schedule itself.

        Raises:
            ValueError: If the schedule was made for other names.
        """
        self.names = tuple(names)
        self.seed = seed
        self._block: tuple[int, np.ndarray] | None = None
        self._before = [np.zeros(len(self.names), "int64")]
        return self

    def draw(self, block: int) -> np.ndarray:
        """Indices of the tasks of one block of steps.

        Args:
            block: Number of the block; it covers `steps(block)`.

        Returns:
            int, shape `(1024,)`, a pure function of the seed and the block.
        """
        raise NotImplementedError(f"{type(self).__name__}.draw")

    def steps(self, block: int) -> np.ndarray:
        """Global steps that a block covers.

        Args:
            block: Number of the block.

        Returns:
            int64, shape `(1024,)`.
        """
        return np.arange(block * BLOCK, (block + 1) * BLOCK)

    def generator(self, block: int) -> np.random.Generator:
        """A random generator that depends on the seed and the block only.

        Args:
            block: Number of the block.

        Returns:
            The generator.
        """
        bits = np.random.Philox(key=self.seed, counter=[0, 0, 0, block])
        return np.random.Generator(bits)

    def task(self, step: int) -> str:
        """Name of the task of a global step.

        Args:
            step: Global step, from 0.

        Returns:
            Name of the task.
        """
        return self.names[self._drawn(step // BLOCK)[step % BLOCK]]

    def counts(self, step: int) -> dict[str, int]:
        """How often each task was drawn before a global step.

        Args:
            step: Global step, from 0.

        Returns:
            Number of draws by name: the position in each task's data.
        """
        block, rest = divmod(step, BLOCK)
        while len(self._before) <= block:
            last = len(self._before) - 1
            self._before.append(self._before[-1] + self._tally(last, BLOCK))
        totals = self._before[block] + self._tally(block, rest)
        return dict(zip(self.names, totals.tolist()))

    def _drawn(self, block: int) -> np.ndarray:
        if self._block is None or self._block[0] != block:
            drawn = np.asarray(self.draw(block))
            self._check_drawn(drawn)
            self._block = (block, drawn)
        return self._block[1]

    def _check_drawn(self, drawn: np.ndarray) -> None:
        rule = (
            f"`{type(self).__name__}.draw` must return {BLOCK} indices of the "
            f"{len(self.names)} tasks."
        )
        if drawn.shape != (BLOCK,) or drawn.dtype.kind not in "iu":
            raise ValueError(
                message(rule, shape=drawn.shape, dtype=str(drawn.dtype))
            )
        outside = (drawn < 0) | (drawn >= len(self.names))
        if outside.any():
            raise ValueError(message(rule, index=int(drawn[outside][0])))

    def _tally(self, block: int, length: int) -> np.ndarray:
        if not length:
            return np.zeros(len(self.names), "int64")
        drawn = self._drawn(block)[:length]
        return np.bincount(drawn, minlength=len(self.names))
