"""The data of all tasks as one thing that `fit` takes.

Each item is one batch of one task, or of every task (`together`). A mixture
says what there is to read and in which order; `reader.py` reads it for a model.
"""

import copy
import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from keras_imp._errors import check_positive, message
from keras_imp._repr import ShowsArguments
from keras_imp.training.input.host_batch import host_batch
from keras_imp.training.input.sources import (
    RandomAccessSource,
    Source,
    open_source,
    sizes,
)
from keras_imp.training.schedules import Schedule, Weighted

SEPARATOR = "@"
# Key of an item without a batch: a step that was taken before a resume.
SKIP = f"{SEPARATOR}skip"

# From the name of a task and a batch to the batch that the model gets.
Prepare = Callable[[str, Any], Any]


class TaskMixture(ShowsArguments):
    """Alternate between the data of several tasks.

    `fit` reads a mixture from its beginning, and does not change it: it can
    serve several models, and several runs of one. Only a run that continues
    (`initial_epoch`, or a backup) begins where it stopped.

    Args:
        sources: Data of each task by name: a `keras.utils.PyDataset`, a list
            of batches, `keras_imp.data.Arrays`, a `tf.data.Dataset`, an
            iterable, or a function that returns one. A batch is `(x,)`,
            `(x, y)` or `(x, y, sample_weight)`; `x` is a dict of arrays by
            modality.
        schedule: Which task gets the next step. Defaults to
            `schedules.Weighted()`, equal fractions.
        steps_per_epoch: Steps of an epoch; that of `fit` comes before it.
        seed: Seed of the schedule.
        prefetch: Batches to hold ready; 0 turns reading ahead off.

    Raises:
        ValueError: If there is no source, one is empty, the schedule does not
            match, or the seed is no integer.
        TypeError: If the schedule is none.

    Example:
        >>> import numpy as np, keras_imp
        >>> batch = ({"image": np.zeros((2, 8, 8, 3))}, np.array([0, 1]))
        >>> mixture = keras_imp.TaskMixture(
        ...     {"a": [batch], "b": [batch]}, steps_per_epoch=3,
        ...     schedule=keras_imp.schedules.RoundRobin())
        >>> [list(item) for item in mixture]
        [['a'], ['b'], ['a']]

    Reference:
        [IMP](https://arxiv.org/abs/2305.06324), section 3.2.
    """

    def __init__(
        self,
        sources: dict[str, Any],
        schedule: Schedule | None = None,
        steps_per_epoch: int | None = None,
        seed: int = 0,
        prefetch: int = 2,
    ):
        if not sources:
            raise ValueError(
                message(
                    "`sources` must have at least one task.", sources=sources
                )
            )
        if steps_per_epoch is not None:
            check_positive(steps_per_epoch=steps_per_epoch)
        self.sources: dict[str, Source] = {
            name: open_source(name, data) for name, data in sources.items()
        }
        self.names = tuple(sources)
        _check_schedule(schedule, seed)
        # A copy: one schedule may serve several mixtures.
        self.schedule = copy.copy(schedule or Weighted()).bind(
            self.names, seed, sizes(self.sources)
        )
        self.steps_per_epoch = steps_per_epoch
        if not isinstance(prefetch, int) or prefetch < 0:
            raise ValueError(
                message(
                    "`prefetch` must be a number of batches, 0 or more.",
                    prefetch=prefetch,
                )
            )
        self.prefetch = prefetch
        self.is_sequential = False
        self.is_together = False

    @classmethod
    def sequential(
        cls, sources: dict[str, Any], prefetch: int = 2
    ) -> "TaskMixture":
        """All batches of each task once, one task after the other.

        For `validation_data` and `evaluate`.

        Args:
            sources: Data of each task by name; each must end. A stream that
                does not tell its number of batches is read once to count them.
            prefetch: Batches to hold ready.

        Returns:
            The mixture.

        Example:
            >>> import numpy as np, keras_imp
            >>> batch = ({"image": np.zeros((2, 8, 8, 3))}, np.array([0, 1]))
            >>> mixture = keras_imp.TaskMixture.sequential({"a": [batch] * 3})
            >>> len(list(mixture))
            3
        """
        mixture = cls(sources, prefetch=prefetch)
        mixture.is_sequential = True
        return mixture

    @classmethod
    def together(
        cls,
        sources: dict[str, Any],
        steps_per_epoch: int | None = None,
        prefetch: int = 2,
    ) -> "TaskMixture":
        """One batch of every task in each item, for `CombinedModel`.

        Args:
            sources: Data of each task by name.
            steps_per_epoch: Steps of an epoch; that of `fit` comes before it.
            prefetch: Items to hold ready.

        Returns:
            The mixture.

        Example:
            >>> import numpy as np, keras_imp
            >>> batch = ({"image": np.zeros((2, 8, 8, 3))}, np.array([0, 1]))
            >>> mixture = keras_imp.TaskMixture.together(
            ...     {"a": [batch], "b": [batch]}, steps_per_epoch=2)
            >>> [list(item) for item in mixture]
            [['a', 'b'], ['a', 'b']]
        """
        mixture = cls(
            sources, steps_per_epoch=steps_per_epoch, prefetch=prefetch
        )
        mixture.is_together = True
        return mixture

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Batches as `{task: (x, y[, sample_weight])}` of NumPy arrays."""
        return self.items()

    @property
    def num_batches(self) -> int | None:
        """Items of an epoch; None if nothing says how long one is."""
        if self.is_sequential:
            return sum(len(source) for source in self.sources.values())
        return self.steps_per_epoch

    def items(
        self, first_step: int = 0, skip: int = 0, prepare: Prepare | None = None
    ) -> Iterator[dict[str, tuple]]:
        """The batches of one epoch.

        Args:
            first_step: Step of the run of the first batch, from 0.
            skip: Steps by which the epoch is shorter, as they were taken.
            prepare: What to do with each batch when it was read.

        Yields:
            Batches by task: of one task, or of all of them.
        """
        for pairs in self._plan(first_step, skip):
            yield {
                name: self._read(name, index, prepare) for name, index in pairs
            }

    def batch_of_step(
        self, step: int, name: str, prepare: Prepare | None = None
    ) -> tuple | None:
        """Read the batch of a step once more.

        Args:
            step: Step of the run, from 0.
            name: Task of that step, or one of them.
            prepare: What to do with the batch when it was read.

        Returns:
            The batch, or None if the task's source cannot go back to it.
        """
        if not isinstance(self.sources[name], RandomAccessSource):
            return None
        index = step if self.is_together else self.schedule.counts(step)[name]
        return self._read(name, index, prepare)

    def _plan(
        self, first_step: int, skip: int
    ) -> Iterator[list[tuple[str, int]]]:
        """Task and number of each batch of each item."""
        if self.is_sequential:
            yield from itertools.islice(self._all_once(), skip, None)
            return
        steps = range(first_step, first_step + self._length() - skip)
        if self.is_together:
            for step in steps:
                yield [(name, step) for name in self.names]
            return
        counts = self.schedule.counts(first_step)
        for step in steps:
            name = self.schedule.task(step)
            yield [(name, counts[name])]
            counts[name] += 1

    def _all_once(self) -> Iterator[list[tuple[str, int]]]:
        for name, source in self.sources.items():
            for index in range(len(source)):
                yield [(name, index)]

    def _length(self) -> int:
        if self.steps_per_epoch is None:
            raise ValueError(
                message(
                    "A mixture must know how long an epoch is: a schedule has "
                    "no end.",
                    "Set `steps_per_epoch`, in `fit` or in the mixture.",
                    steps_per_epoch=None,
                )
            )
        return self.steps_per_epoch

    def _read(self, name: str, index: int, prepare: Prepare | None) -> tuple:
        try:
            batch = host_batch(self.sources[name].batch(index))
            return batch if prepare is None else prepare(name, batch)
        except Exception as error:
            error.add_note(f"In batch {index} of task {name!r}.")
            raise


def signature(batch: Any) -> str:
    """Shapes of a batch, as text.

    Args:
        batch: Nested arrays.

    Returns:
        Such as `"8x32x32x3_8"`.

    Example:
        >>> import numpy as np
        >>> from keras_imp.training.input.task_mixture import signature
        >>> signature(({"image": np.zeros((2, 4, 4, 3))}, np.zeros(2)))
        '2x4x4x3_2'
    """
    shapes = (a.shape for a in keras.tree.flatten(batch) if a is not None)
    return "_".join(map(_text_of, shapes))


@functools.lru_cache
def _text_of(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _check_schedule(schedule: Any, seed: Any) -> None:
    if schedule is not None and not isinstance(schedule, Schedule):
        raise TypeError(
            message(
                "`schedule` must be an instance of a subclass of "
                "keras_imp.schedules.Schedule.",
                "Use keras_imp.schedules.RoundRobin(), for example.",
                schedule=schedule,
            )
        )
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(
            message(
                "`seed` must be an integer of at least 0: without one, a "
                "resumed run could not draw the same tasks.",
                seed=seed,
            )
        )
