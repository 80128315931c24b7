"""One way to read every kind of data source: batch i of a task.

Random access (a `PyDataset`, a list of batches, `keras_imp.data.Arrays`) gives
any batch at once. A stream (a `tf.data.Dataset`, a generator function, any
iterable) is read in order, started again when it ends, and skipped forward
after a resume.

Data may have a method `describe()` that tells, as what JSON can hold, what
decides its batches. `Backup` refuses to resume a run with other data by it, and
by what can be known of any data without reading it.
"""

from collections.abc import Callable, Iterator
from types import GeneratorType
from typing import Any, Protocol

import keras
import numpy as np

from keras_imp._errors import message
from keras_imp._repr import shown
from keras_imp.data.description import describe_array

# `tf.data.INFINITE_CARDINALITY`.
ENDLESS = -1


class Source(Protocol):
    """Batches of one task, by number."""

    def batch(self, index: int) -> Any:
        """Batch `index`, counted over all passes through the data."""

    def __len__(self) -> int:
        """Batches in one pass."""

    @property
    def num_batches(self) -> int | None:
        """Batches in one pass, None if only reading them would tell."""

    @property
    def num_examples(self) -> int | None:
        """Examples in one pass, None if the data does not tell."""

    def describe(self) -> dict[str, Any]:
        """What is known of the data without reading it, for JSON."""


class RandomAccessSource:
    """Batches that can be read in any order.

    Args:
        task: Name of the task, for errors.
        data: Has `__getitem__` and `__len__`, or is a `PyDataset` with
            `num_batches`. May have `batch_at(index)` for an index beyond one
            pass, to shuffle each pass differently; or `on_epoch_begin()` and
            `on_epoch_end()`, called before and after each pass, as Keras does.

    Raises:
        ValueError: If it is empty.
    """

    def __init__(self, task: str, data: Any):
        self.task = task
        self.data = data
        # Where the data is, once it was read.
        self._pass: int | None = None
        self._length = len(self)
        if self._length == 0:
            raise ValueError(
                f"Task {task!r} has an empty source: it needs at least one "
                "batch. Received: len(source)=0. Give it data, or a smaller "
                "batch size."
            )

    def __repr__(self) -> str:
        return shown(self.data)

    def __len__(self) -> int:
        return _length_of(self.data) or 0

    @property
    def num_batches(self) -> int | None:
        return len(self)

    @property
    def num_examples(self) -> int | None:
        return getattr(self.data, "num_examples", None)

    def describe(self) -> dict[str, Any]:
        return _describe(self)

    def batch(self, index: int) -> Any:
        if len(self) != self._length:
            raise ValueError(
                message(
                    f"The source of task {self.task!r} must keep its number of "
                    "batches.",
                    "Make another mixture of other data, and do not change a "
                    "list that one reads.",
                    before=self._length,
                    now=len(self),
                )
            )
        if hasattr(self.data, "batch_at"):
            return self.data.batch_at(index)
        number, position = divmod(index, self._length)
        self._turn_to(number)
        return self.data[position]

    def _turn_to(self, number: int) -> None:
        """Tell the data which passes begin and end before one is read.

        A PyDataset may put its batches into another order there. A resumed run
        tells it of each pass that it goes over.
        """
        if self._pass is None or number < self._pass:
            # A run that starts again reads the first pass again.
            self._pass = 0 if self._pass is None else number
            self._tell("on_epoch_begin")
        while self._pass < number:
            self._tell("on_epoch_end")
            self._pass += 1
            self._tell("on_epoch_begin")

    def _tell(self, event: str) -> None:
        if hasattr(self.data, event):
            getattr(self.data, event)()


class StreamSource:
    """Batches that come in order, from an iterable or a generator function.

    Args:
        task: Name of the task, for errors.
        data: An iterable, or a function without arguments that returns one.
    """

    def __init__(self, task: str, data: Any):
        self.task = task
        self.data = data
        self._iterator: Iterator | None = None
        self._position = 0
        self._counted: int | None = None

    def __repr__(self) -> str:
        return shown(self.data)

    def __len__(self) -> int:
        """Batches in one pass; data that does not tell is read for it once.

        Raises:
            ValueError: If it never ends, gives no batch, or could not be read
                again after it was counted.
        """
        length = self.num_batches
        if length is None:
            if self._counted is None:
                self._counted = self._count()
            length = self._counted
        if length == 0:
            raise ValueError(self._empty())
        return length

    @property
    def num_batches(self) -> int | None:
        if not hasattr(self.data, "__len__"):
            return None
        try:
            return len(self.data)
        except TypeError:  # tf.data that is endless, or cannot tell.
            return None

    @property
    def num_examples(self) -> int | None:
        return getattr(self.data, "num_examples", None)

    def describe(self) -> dict[str, Any]:
        return _describe(self)

    def batch(self, index: int) -> Any:
        if index < self._position:
            again = self._iterable()
            if again is self._iterator and not self._may_start_again():
                raise ValueError(self._cannot_go_back(index))
            self._iterator, self._position = iter(again), 0
        while self._position < index:
            self._next()
        return self._next()

    def _next(self) -> Any:
        if self._iterator is None:
            self._iterator = self._open()
        try:
            item = next(self._iterator)
        except StopIteration:
            self._iterator = self._open()
            item = next(self._iterator, None)
            if item is None:
                raise ValueError(self._exhausted()) from None
        self._position += 1
        return item

    def _open(self) -> Iterator:
        return iter(self._iterable())

    def _iterable(self) -> Any:
        return self.data() if callable(self.data) else self.data

    def _count(self) -> int:
        batches = self._iterable()
        if _is_endless(batches):
            raise ValueError(self._endless(batches))
        # Another iterator may start again, as that of a DataLoader does. It
        # costs nothing to make a generator that is not read.
        if isinstance(batches, GeneratorType) and batches is self._iterable():
            raise ValueError(self._cannot_be_counted())
        return sum(1 for _ in batches)

    def _may_start_again(self) -> bool:
        """Whether the one iterator of the data is where a pass ends."""
        length = self.num_batches or self._counted
        is_generator = isinstance(self._iterator, GeneratorType)
        return bool(length and not is_generator and not self._position % length)

    def _endless(self, batches: Any) -> str:
        of_keras = isinstance(batches, keras.utils.PyDataset)
        return message(
            f"The source of task {self.task!r} must end, to be read once.",
            "Give it the property `num_batches`, of a number."
            if of_keras
            else "Leave out `repeat()`, or give `take(count)` of it.",
            type=type(batches).__name__,
        )

    def _cannot_be_counted(self) -> str:
        return (
            f"The source of task {self.task!r} must tell its number of "
            "batches, or be read twice: to count them, and to use them. "
            f"Received: {type(self.data).__name__}. Give it `__len__`, or give "
            "the function that makes the generator, not the generator itself."
        )

    def _cannot_go_back(self, index: int) -> str:
        return (
            f"The source of task {self.task!r} has given {self._position} "
            f"batches and cannot go back to batch {index}. Received: "
            f"{type(self.data).__name__}. Give the function that makes the "
            "generator, not the generator itself."
        )

    def _exhausted(self) -> str:
        if self._position == 0:
            counted = self._counted
            return self._cannot_be_counted() if counted else self._empty()
        return (
            f"The source of task {self.task!r} is exhausted after "
            f"{self._position} batches and cannot be started again. Received: "
            f"{type(self.data).__name__}. Give the function that makes the "
            "generator, not the generator itself."
        )

    def _empty(self) -> str:
        return (
            f"Task {self.task!r} has an empty source: its iterator gave no "
            "batch. Give it data."
        )


def _is_endless(data: Any) -> bool:
    """Whether it is a PyDataset or a `tf.data.Dataset` without an end."""
    if isinstance(data, keras.utils.PyDataset):
        return _length_of(data) is None
    if not (hasattr(data, "element_spec") and hasattr(data, "cardinality")):
        return False
    return int(data.cardinality()) == ENDLESS


def sizes(sources: dict[str, Source]) -> dict[str, int | None]:
    """What is known of the sizes of all sources without reading them.

    Args:
        sources: The sources by name of the task.

    Returns:
        Examples of one pass if each source tells them, else batches of one
        pass: one unit for all. None for a source that tells neither.

    Example:
        >>> from keras_imp.training.input.sources import open_source, sizes
        >>> sizes({"sounds": open_source("sounds", [("x0",), ("x1",)])})
        {'sounds': 2}
    """
    examples = {name: s.num_examples for name, s in sources.items()}
    if None not in examples.values():
        return examples
    return {name: s.num_batches for name, s in sources.items()}


def _describe(source: Any) -> dict[str, Any]:
    """What the data tells of itself, or what can be seen of it."""
    data = source.data
    facts: dict[str, Any] = {"examples": source.num_examples}
    told = data.describe() if hasattr(data, "describe") else None
    if isinstance(told, dict):
        return {**facts, **told}
    if isinstance(data, list):
        # The first batch, one in the middle, and the last one.
        places = sorted({0, len(data) // 2, len(data) - 1})
        return {**facts, **{f"batch_{i}": _arrays(data[i]) for i in places}}
    if isinstance(getattr(data, "batch_size", None), int):
        facts["batch_size"] = data.batch_size
    if hasattr(data, "element_spec"):  # tf.data
        facts["arrays"] = [
            f"{spec.dtype.name} {spec.shape}"
            for spec in keras.tree.flatten(data.element_spec)
            if hasattr(spec, "shape")
        ]
    return facts


def _arrays(batch: Any) -> list[dict[str, Any]]:
    arrays = (a for a in keras.tree.flatten(batch) if a is not None)
    return [describe_array(array) for array in arrays]


def open_source(task: str, data: Any) -> Source:
    """Wrap whatever a user gave as the data of a task.

    Args:
        task: Name of the task, for errors.
        data: Random access, iterable, or function that returns an iterable.

    Returns:
        The source.

    Raises:
        TypeError: If it is none of these, or arrays without a batch size.
        ValueError: If it is empty.

    Example:
        >>> from keras_imp.training.input.sources import open_source
        >>> open_source("sounds", [("x0",), ("x1",)]).batch(3)
        ('x1',)
    """
    if isinstance(data, tuple | dict | str | np.ndarray) or _is_frame(data):
        raise TypeError(
            message(
                f"The source of task {task!r} must give batches.",
                "Wrap the arrays: keras_imp.data.Arrays({modality: x}, y, "
                "batch_size=32).",
                type=type(data).__name__,
            )
        )
    # tf.data has a length, and since 2.16 something like indexing, but order
    # is what it promises.
    is_tf_data = hasattr(data, "element_spec")
    if (
        hasattr(data, "__getitem__")
        and not is_tf_data
        and _length_of(data) is not None
    ):
        return RandomAccessSource(task, data)
    if isinstance(data, Callable) or hasattr(data, "__iter__"):  # type: ignore[arg-type]
        return StreamSource(task, data)
    raise TypeError(
        message(
            f"The source of task {task!r} must be a PyDataset, a list of "
            "batches, an iterable, or a function that returns one.",
            type=type(data).__name__,
        )
    )


def _length_of(data: Any) -> int | None:
    """Batches of a pass of random access; None if it has no end, or none."""
    if hasattr(data, "__len__"):
        return len(data)
    if not isinstance(data, keras.utils.PyDataset):
        return None
    try:
        # What Keras reads; None where there is no end.
        return data.num_batches
    except NotImplementedError:
        return None


def _is_frame(data: Any) -> bool:
    """Whether it is a data frame or a column of pandas."""
    return hasattr(data, "iloc")
