"""Batches from arrays in memory, each a pure function of its number."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_imp._arrays import as_array
from keras_imp._errors import check_integer, message
from keras_imp.data.description import describe_array
from keras_imp.data.order import Order
from keras_imp.data.ordered_batches import Augment, OrderedBatches, batch_of


class Arrays(OrderedBatches):
    """Batches of arrays, shuffled anew in each pass.

    Batch `i` is a pure function of (seed, i): as a source of a `TaskMixture`,
    a resumed run reads the very batches that come next. Works alone, too, as a
    Keras `PyDataset`, whose epochs are then the passes, one after the other,
    from the first one on in each process. Each `evaluate` or `predict` is a
    pass as well: give `shuffle=False` for data that is not trained on, so that
    every one has all rows in the same order.

    Args:
        x: Inputs by modality, arrays with one row per example; columns of a
            data frame and nested lists are made arrays.
        y: Targets with one row per example, or a dict of them, or None.
        sample_weight: Weight of each example, or None.
        batch_size: Examples of a batch.
        shuffle: Whether to shuffle each pass.
        augment: Called as `augment(batch, generator)`; the generator depends
            on the seed and the batch's number only. For
            `data.augment.Compose`, what happens to a row depends on the seed,
            the batch's number and the row only.
        seed: Seed of the shuffling and of `augment`.
        drop_last: Whether a pass leaves out the rest that fills no batch. In
            training a smaller last batch would be one more shape to compile,
            and a shuffled pass leaves out others each time; in an evaluation
            every example should count, unless a loss depends on the size of
            the batch, as a contrastive one does. Defaults to `shuffle`.
        groups: Group of each example, such as the image that several captions
            are of. In shuffled passes, two examples of a group are not in one
            batch, where that can be avoided: to a contrastive loss one would
            be a wrong answer for the other. Defaults to no groups.
        **kwargs: Arguments of `keras.utils.PyDataset`, such as `workers`; see
            `OrderedBatches` for several.

    Raises:
        TypeError: If `x` is no dict, or `augment` no function.
        ValueError: If rows do not agree or differ in length, values are
            masked, there are fewer rows than a batch and the rest is left out,
            or the batch size or the seed is no integer.

    Example:
        >>> import numpy as np
        >>> from keras_imp.data.arrays import Arrays
        >>> data = Arrays({"audio": np.zeros((10, 8, 8))}, np.arange(10),
        ...               batch_size=4)
        >>> len(data)
        2
        >>> x, y = data[0]
        >>> x["audio"].shape, sorted(set(y)) == sorted(y)
        ((4, 8, 8), True)
    """

    def __init__(
        self,
        x: dict[str, np.ndarray],
        y: np.ndarray | dict[str, np.ndarray] | None = None,
        sample_weight: np.ndarray | None = None,
        batch_size: int = 32,
        shuffle: bool = True,
        augment: Augment | None = None,
        seed: int = 0,
        drop_last: bool | None = None,
        groups: np.ndarray | None = None,
        **kwargs,
    ):
        super().__init__(augment, **kwargs)
        check_integer(batch_size=batch_size)
        check_integer(0, seed=seed)
        self.x = _inputs(x)
        self.y = _each(functools.partial(_rows_of, "`y`"), y)
        self.sample_weight = _each(
            functools.partial(_rows_of, "`sample_weight`"), sample_weight
        )
        self.rows = _count_rows(self.x, self.y, sample_weight)
        self.groups = groups
        self.order = Order(
            self.rows,
            batch_size,
            shuffle=shuffle,
            drop_last=drop_last,
            seed=seed,
            groups=groups,
        )

    def batch_at(self, index: int) -> tuple:
        """Batch `index`, counted over all passes through the data.

        Args:
            index: From 0, without end.

        Returns:
            `(x,)`, `(x, y)` or `(x, y, sample_weight)`.
        """
        return self._batch_of(self.order.rows_at(index), index)

    def describe(self) -> dict[str, Any]:
        """What decides the batches, for `Backup`: it refuses other data.

        Returns:
            What JSON can hold.
        """
        facts = {
            **self._describe_order(),
            "x": {name: describe_array(v) for name, v in self.x.items()},
            "y": _each(describe_array, self.y),
            "sample_weight": _each(describe_array, self.sample_weight),
        }
        if self.groups is not None:
            facts["groups"] = describe_array(self.groups)
        return facts

    def _batch_of(self, rows: np.ndarray, index: int) -> tuple:
        """The examples in these rows, augmented for batch `index`."""
        weights = self.sample_weight
        batch = batch_of(
            {name: values[rows] for name, values in self.x.items()},
            _each(lambda values: values[rows], self.y),
            None if weights is None else weights[rows],
        )
        return self._augmented(batch, rows, index)


def _inputs(x: Any) -> dict[str, np.ndarray]:
    """Inputs by modality, each with one row per example, checked."""
    if not isinstance(x, dict):
        raise TypeError(
            message(
                "`x` must be a dict from modality to its array.",
                'Name the modality: Arrays({"image": x}, y).',
                type=type(x).__name__,
            )
        )
    if not x:
        raise ValueError(message("`x` must have at least one modality.", x=x))
    return {name: _rows_of(f"`x[{name!r}]`", x[name]) for name in x}


def _rows_of(name: str, values: Any) -> np.ndarray:
    array = as_array(values, name)
    if not array.ndim:
        raise ValueError(
            message(
                f"{name} must be an array with one row per example.",
                type=type(values).__name__,
            )
        )
    return array


def _each(function: Callable[[Any], Any], y: Any) -> Any:
    """Apply a function to all targets: one array, a dict of them, or None."""
    if isinstance(y, dict):
        return {name: function(values) for name, values in y.items()}
    return None if y is None else function(y)


def _count_rows(x, y, sample_weight) -> int:
    counts = {name: len(values) for name, values in x.items()}
    if isinstance(y, dict):
        counts |= {f"y[{name!r}]": len(values) for name, values in y.items()}
    elif y is not None:
        counts["y"] = len(y)
    if sample_weight is not None:
        counts["sample_weight"] = len(sample_weight)
    if len(set(counts.values())) != 1:
        raise ValueError(
            message("All arrays must have equally many rows.", **counts)
        )
    if not all(counts.values()):
        raise ValueError(
            message("There must be at least one example.", **counts)
        )
    return next(iter(counts.values()))
