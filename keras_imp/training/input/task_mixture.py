"""The data of all tasks as one thing that `fit` takes.

Each item is one batch of one task, or of every task (`together`). Keras gets it
as a dict with a key for each batch, `"<task>@<shapes>"`: the key is static
structure, so that every backend compiles once for each task and shape and finds
the graph again.
"""

import collections
import copy
import itertools
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from keras_imp._errors import check_positive, message
from keras_imp._keras_private import DataAdapter
from keras_imp.training.input.prefetch import prefetch
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


class TaskMixture(DataAdapter):
    """Alternate between the data of several tasks.

    Args:
        sources: Data of each task by name: a `keras.utils.PyDataset`, a list
            of batches, `keras_imp.data.Arrays`, a `tf.data.Dataset`, an
            iterable, or a function that returns one. A batch is `(x,)`,
            `(x, y)` or `(x, y, sample_weight)`; `x` is a dict of arrays by
            modality.
        schedule: Which task gets the next step. Defaults to
            `schedules.Weighted()`, equal shares.
        steps_per_epoch: Steps of an epoch; `fit` may set it too.
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
        self.first_step = 0
        self.skip = 0
        self._open: weakref.WeakSet = weakref.WeakSet()
        self._sequential = False
        self.is_together = False
        self._prepare: Callable[[str, Any], Any] = lambda name, batch: batch
        self._placement: Callable[[Any], Any] | None = None
        self._placed: collections.deque = collections.deque()

    @classmethod
    def sequential(
        cls, sources: dict[str, Any], prefetch: int = 2
    ) -> "TaskMixture":
        """All batches of each task once, one task after the other.

        For `validation_data` and `evaluate`.

        Args:
            sources: Data of each task by name; each must end.
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
        mixture._sequential = True
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
            steps_per_epoch: Steps of an epoch; `fit` may set it too.
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
        yield from self._items()

    @property
    def num_batches(self) -> int | None:
        if self._sequential:
            return sum(len(source) for source in self.sources.values())
        return self.steps_per_epoch

    @property
    def batch_size(self) -> None:
        return None

    @property
    def has_partial_batch(self) -> bool:
        return False

    @property
    def partial_batch_size(self) -> None:
        return None

    def bind(
        self,
        prepare: Callable[[str, Any], Any],
        placement: Callable[[Any], Any] | None = None,
    ) -> None:
        """Let a model check and trim every batch before it is moved.

        Args:
            prepare: From task name and batch to the batch to train on.
            placement: Puts an item on several devices; None for one device.
        """
        self._prepare = prepare
        self._placement = placement

    def start(self, step: int, skip: int = 0) -> None:
        """Set where the next epoch begins to read.

        Args:
            step: Global step of its first batch.
            skip: Steps of this epoch that were taken before a resume. `fit`
                gets an empty item for each, so that the epoch keeps its
                length and its batches their numbers.

        Raises:
            ValueError: If the epoch has fewer steps.
        """
        if self.num_batches is not None and skip > self.num_batches:
            raise ValueError(
                message(
                    "An epoch cannot go on after more steps than it has.",
                    "Give `steps_per_epoch` the value of the run that was "
                    "stopped.",
                    steps_per_epoch=self.num_batches,
                    steps_taken=skip,
                )
            )
        self.first_step, self.skip = step, skip

    def close(self) -> None:
        """Stop all threads that read ahead; `fit` does so at its end."""
        for items in list(self._open):
            items.close()
        self.skip = 0

    def batch_of_step(self, step: int, name: str) -> tuple | None:
        """Read the batch of a global step once more.

        Args:
            step: Global step, from 0.
            name: Task of that step, or one of them.

        Returns:
            The batch, or None if the task's source cannot go back to it.
        """
        if not isinstance(self.sources[name], RandomAccessSource):
            return None
        if self.is_together:
            return self._read(name, step)
        return self._read(name, self.schedule.counts(step)[name])

    def get_numpy_iterator(self) -> Iterator:
        return self._keyed(lambda item: item)

    def get_jax_iterator(self) -> Iterator:
        if self._placement is None:
            return self._keyed(lambda item: item)
        return self._tokens(self._placement)

    def take_placed(self) -> dict[str, Any]:
        """The batch that the oldest token of `get_jax_iterator` stands for."""
        return self._placed.popleft()

    def get_tf_dataset(self) -> Any:
        from keras_imp.training.step.tensorflow import one_at_a_time

        return one_at_a_time(self._keyed, self._placement)

    def get_torch_dataloader(self) -> Any:
        from keras_imp.training.step.torch import one_at_a_time

        return one_at_a_time(self._keyed)

    def _tokens(self, placement: Any) -> Iterator[np.ndarray]:
        """Equal tokens, each for a batch on the devices: `devices/jax.py`."""
        placed = self._placed = collections.deque()
        for item in self._keyed(placement):
            placed.append(item)
            yield np.zeros(placement.parts, "int32")

    def _keyed(self, convert: Callable[[Any], Any]) -> Iterator:
        """Prefetched items, each a dict whose keys tell task and shapes."""
        items = prefetch(self._keyed_items(), convert, self.prefetch)
        self._open.add(items)
        return items

    def _keyed_items(self) -> Iterator[dict[str, tuple]]:
        for _ in range(self.skip):
            yield {SKIP: ()}
        for item in self._items():
            yield {
                f"{name}{SEPARATOR}{signature(batch)}": batch
                for name, batch in item.items()
            }

    def _items(self) -> Iterator[dict[str, tuple]]:
        """Batches by task: of one task, or of all of them."""
        if self.is_together:
            for step in self._steps():
                yield {name: self._read(name, step) for name in self.names}
            return
        plan = self._all_once() if self._sequential else self._scheduled()
        for name, index in plan:
            yield {name: self._read(name, index)}

    def _all_once(self) -> Iterator[tuple[str, int]]:
        everything = (
            (name, index)
            for name, source in self.sources.items()
            for index in range(len(source))
        )
        return itertools.islice(everything, self.skip, None)

    def _scheduled(self) -> Iterator[tuple[str, int]]:
        counts = self.schedule.counts(self.first_step)
        for step in self._steps():
            name = self.schedule.task(step)
            yield name, counts[name]
            counts[name] += 1

    def _steps(self) -> range:
        """Global steps of the epoch."""
        if self.steps_per_epoch is None:
            raise ValueError(
                message(
                    "A mixture must know how long an epoch is: a schedule has "
                    "no end.",
                    "Set `steps_per_epoch`, in `fit` or in the mixture.",
                    steps_per_epoch=None,
                )
            )
        steps = self.steps_per_epoch - self.skip
        return range(self.first_step, self.first_step + steps)

    def _read(self, name: str, index: int) -> tuple:
        try:
            batch = self.sources[name].batch(index)
            if isinstance(batch, list):  # A torch DataLoader's.
                batch = tuple(batch)
            batch = batch if isinstance(batch, tuple) else (batch,)
            batch = keras.tree.map_structure(_to_numpy, batch)
            return self._prepare(name, batch)
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
    return "_".join("x".join(map(str, shape)) for shape in shapes)


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


def _to_numpy(leaf: Any) -> np.ndarray | None:
    return None if leaf is None else np.asarray(leaf)
