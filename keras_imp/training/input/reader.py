"""What one `fit` or `evaluate` reads: a mixture, and where it is in it.

All that changes while a model reads is here, so that the mixture itself stays
as its user made it. Keras gets each item as a dict with a key for each batch,
`"<task>@<shapes>"`: the key is static structure, so that every backend compiles
once for each task and shape and finds the graph again.
"""

import collections
import copy
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from keras_imp._errors import message
from keras_imp._keras_private import DataAdapter
from keras_imp.tasks.task import count_examples
from keras_imp.training.input.prefetch import prefetch, wait_for
from keras_imp.training.input.sources import sizes
from keras_imp.training.input.task_mixture import (
    SEPARATOR,
    SKIP,
    Prepare,
    TaskMixture,
    signature,
)


class MixtureReader(DataAdapter):
    """One reading of a mixture by a model.

    Args:
        mixture: The mixture. It is copied, with its schedule; the data is not.
        prepare: From task name and batch to the batch to train on: checks and
            trims it before it is moved. Defaults to the batch itself.
        placement: Puts an item on several devices; None for one device.
        steps_per_epoch: Steps of an epoch, instead of those of the mixture.

    Attributes:
        batch_sizes: Numbers of examples of the batches that were read, by task.

    Example:
        >>> import numpy as np, keras_imp
        >>> from keras_imp.training.input.reader import MixtureReader
        >>> batch = ({"image": np.zeros((2, 8, 8, 3))}, np.array([0, 1]))
        >>> mixture = keras_imp.TaskMixture({"a": [batch]}, steps_per_epoch=2)
        >>> reader = MixtureReader(mixture, steps_per_epoch=1)
        >>> [list(item) for item in reader.get_numpy_iterator()]
        [['a@2x8x8x3_2']]
        >>> mixture.steps_per_epoch
        2
    """

    def __init__(
        self,
        mixture: TaskMixture,
        prepare: Prepare | None = None,
        placement: Any = None,
        steps_per_epoch: int | None = None,
    ):
        self.mixture = copy.copy(mixture)
        schedule = copy.copy(mixture.schedule)
        self.mixture.schedule = schedule.bind(
            mixture.names, schedule.seed, sizes(mixture.sources)
        )
        if steps_per_epoch is not None:
            self.mixture.steps_per_epoch = steps_per_epoch
        self.first_step = 0
        self.skip = 0
        self.batch_sizes: dict[str, set[int]] = collections.defaultdict(set)
        self._prepare = prepare
        self._placement = placement
        self._placed: collections.deque = collections.deque()
        self._open: weakref.WeakSet = weakref.WeakSet()

    def start(self, step: int, skip: int = 0) -> None:
        """Set where the next epoch begins to read.

        Args:
            step: Step of the run of its first batch.
            skip: Steps of this epoch that were taken before a resume. `fit`
                gets an empty item for each, so that the epoch keeps its
                length and its batches their numbers.

        Raises:
            ValueError: If the epoch has fewer steps.
        """
        if self.num_batches is not None and skip > self.num_batches:
            raise ValueError(
                message(
                    "An epoch cannot resume after more steps than it has.",
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

    def batch_of_step(self, step: int, name: str) -> tuple | None:
        """Read the batch of a step once more.

        Args:
            step: Step of the run, from 0.
            name: Task of that step, or one of them.

        Returns:
            The batch, or None if the task's source cannot go back to it.
        """
        return self.mixture.batch_of_step(step, name, self._prepare)

    # What Keras asks of a DataAdapter ---------------------------------------

    @property
    def num_batches(self) -> int | None:
        # A stream may have to be read for its length.
        return wait_for(lambda: self.mixture.num_batches)

    @property
    def batch_size(self) -> None:
        return None

    @property
    def has_partial_batch(self) -> bool:
        return False

    @property
    def partial_batch_size(self) -> None:
        return None

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

    # Helpers ----------------------------------------------------------------

    def _tokens(self, placement: Any) -> Iterator[np.ndarray]:
        """Equal tokens, each for a batch on the devices: `devices/jax.py`."""
        placed = self._placed = collections.deque()
        for item in self._keyed(placement):
            placed.append(item)
            yield np.zeros(placement.parts, "int32")

    def _keyed(self, convert: Callable[[Any], Any]) -> Iterator:
        """Prefetched items, each a dict whose keys tell task and shapes."""
        items = prefetch(self._keyed_items(), convert, self.mixture.prefetch)
        self._open.add(items)
        return items

    def _keyed_items(self) -> Iterator[dict[str, tuple]]:
        for _ in range(self.skip):
            yield {SKIP: ()}
        items = self.mixture.items(self.first_step, self.skip, self._prepare)
        for item in items:
            for name, batch in item.items():
                self.batch_sizes[name].add(count_examples(batch[0]))
            yield {
                f"{name}{SEPARATOR}{signature(batch)}": batch
                for name, batch in item.items()
            }
