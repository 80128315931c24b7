"""What all data with rows in an order have in common, arrays and files."""

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
    `data[index]`: where a model of Keras reads the data itself, each epoch has
    the batches of the next pass, and so has each `evaluate` or `predict`.

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
    # Passes that a model of Keras began and ended, a `TaskMixture` none.
    _begun = 0
    _ended = 0

    def __init__(self, augment: Augment | None = None, **kwargs: Any):
        super().__init__(**kwargs)
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
        return self.batch_at(self._pass * len(self) + index)

    def on_epoch_begin(self) -> None:
        """Begin the next pass; Keras calls it."""
        self._begun += 1

    def on_epoch_end(self) -> None:
        """End the pass; Keras calls it, once more before the first one."""
        self._ended = self._begun

    @property
    def _pass(self) -> int:
        """The pass that indices mean: after one, still that one.

        So what `predict` has seen can be read once more, for its targets. But
        workers of Keras begin to read before a pass is said to begin.
        """
        if self.workers > 1 or (self.workers and self.use_multiprocessing):
            return self._ended
        return max(0, self._begun - 1)

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
