"""What all data with rows in an order have in common, arrays and files."""

import os
import threading
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_imp._errors import message
from keras_imp._repr import ShowsArguments
from keras_imp.data.augment.compose import Compose
from keras_imp.data.augment.draws import Draws
from keras_imp.data.description import describe_function
from keras_imp.data.order import Order

Augment = Callable[[tuple, np.random.Generator], tuple]
# The stream of random numbers of `augment`; an `Order` has the others.
_AUGMENT = 1


class OrderedBatches(ShowsArguments, keras.utils.PyDataset):
    """Batches whose rows an `Order` tells, augmented by their number.

    A subclass sets `order` and has `batch_at(index)`, the batch of any number
    over all passes. Keras only asks for the batches of one pass, by
    `data[index]`, and does not say of which, nor for what. So where a model of
    Keras reads the data itself:

    - Each epoch has the batches of the next pass, and so has each `evaluate`
      or `predict`: give `shuffle=False` for these, so that all have the same
      rows in the same order. After one, `data[index]` is what it has read.
    - An epoch with fewer steps than a pass has continues where the last one
      stopped, in the same pass.
    - A new process begins with the first pass, also with `initial_epoch`. A
      `TaskMixture` continues.
    - With several `workers`, Keras reads ahead, and on JAX it mixes what was
      read before it has built a model into its first epoch or `predict`, out
      of order: build the model before, or keep to one worker.

    Args:
        augment: As for `Arrays`.
        **kwargs: Arguments of `keras.utils.PyDataset`, such as `workers`.

    Attributes:
        order: Which rows each batch has.
        augment: The function, or None.

    Raises:
        TypeError: If `augment` is no function.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data import Arrays
        >>> from keras_imp.data.ordered_batches import OrderedBatches
        >>> data = Arrays({"audio": np.zeros((10, 8, 8))}, batch_size=4)
        >>> isinstance(data, OrderedBatches), data.batch_size, len(data)
        (True, 4, 2)
    """

    order: Order
    batch_at: Callable[[int], tuple]

    def __init__(self, augment: Augment | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        # Of a model of Keras: a `TaskMixture` does not ask for passes.
        self._passes = _Passes()
        if augment is not None and not callable(augment):
            raise TypeError(
                message(
                    "`augment` must be a function (batch, generator) -> batch.",
                    augment=augment,
                )
            )
        self.augment = augment

    @property
    def batch_size(self) -> int:
        """Examples of a batch, of the largest one if sizes differ."""
        return self.order.batch_size

    @property
    def shuffle(self) -> bool:
        """Whether each pass is shuffled."""
        return self.order.shuffle

    @property
    def drop_last(self) -> bool:
        """Whether a pass leaves out the rest that fills no batch."""
        return self.order.drop_last

    @property
    def seed(self) -> int:
        """Seed of the shuffling and of `augment`."""
        return self.order.seed

    @property
    def num_examples(self) -> int:
        """All rows, with those that a pass leaves out."""
        return self.order.rows

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> tuple:
        reads_ahead = self.workers > 1 or (
            self.workers and self.use_multiprocessing
        )
        number = self._passes.of(index, len(self), bool(reads_ahead))
        return self.batch_at(number * len(self) + index)

    def on_epoch_begin(self) -> None:
        """Begin the next pass; Keras calls it."""
        self._passes.begin()

    def on_epoch_end(self) -> None:
        """End the pass; Keras calls it, once more before the first one."""
        self._passes.end()

    def _describe_order(self) -> dict[str, Any]:
        """What decides the rows of all batches, and what is done to them."""
        return {
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
            "seed": self.seed,
            "augment": describe_function(self.augment),
        }

    def _augmented(self, batch: tuple, rows: np.ndarray, index: int) -> tuple:
        """Batch `index`, whose rows are these, augmented."""
        if self.augment is None:
            return batch
        if isinstance(self.augment, Compose):
            draws = Draws(self.seed, index, rows)
            return self.augment.augment_rows(batch, draws)
        return self.augment(batch, self.order.generator(_AUGMENT, index))


class _Passes:
    """Which pass is meant where Keras asks for a batch of one."""

    def __init__(self) -> None:
        self._begun = 0
        self._ended = 0
        # What was read of the pass of the last epoch.
        self._read: set[int] = set()
        # The epoch of the last batch that was read.
        self._epoch = 0
        # Who begins and ends epochs. Workers of Keras do not.
        self._caller: tuple[int, int] | None = None

    def begin(self) -> None:
        self._begun += 1
        self._caller = _here()

    def end(self) -> None:
        self._ended = self._begun
        self._caller = _here()

    def of(self, index: int, length: int, reads_ahead: bool) -> int:
        """The pass of a batch: after an epoch, still that of the epoch.

        So what `predict` has seen can be read once more, for its targets.

        Args:
            index: Of the batch, in its pass.
            length: Batches of a pass.
            reads_ahead: Whether workers of Keras read; they begin before an
                epoch is said to begin.
        """
        if reads_ahead:
            is_worker = self._caller != _here()
            return self._ended if is_worker else max(0, self._begun - 1)
        if self._epoch != self._begun:
            # Fewer steps than a pass has: the next epoch continues with it.
            if self._epoch and 0 < len(self._read) < length:
                self._begun = self._epoch
            else:
                self._read.clear()
            self._epoch = self._begun
        self._read.add(index)
        return max(0, self._begun - 1)


def _here() -> tuple[int, int]:
    """The process and the thread that this is."""
    return os.getpid(), threading.get_ident()


def batch_of(x: dict[str, Any], y: Any, sample_weight: Any) -> tuple:
    """A batch as Keras takes it, without what is None at its end.

    Args:
        x: Inputs by modality.
        y: Targets, or None.
        sample_weight: Weight of each example, or None.

    Returns:
        `(x,)`, `(x, y)` or `(x, y, sample_weight)`.

    Example:
        >>> from keras_imp.data.ordered_batches import batch_of
        >>> batch_of({}, None, None), batch_of({}, None, [0.5])
        (({},), ({}, None, [0.5]))
    """
    if sample_weight is not None:
        return (x, y, sample_weight)
    return (x,) if y is None else (x, y)
