import re
import types

import keras
import numpy as np
import pytest

from keras_imp.training.input.sources import (
    StreamSource,
    open_source,
    sizes,
)

pytestmark = pytest.mark.one_backend

BATCHES = [("x0",), ("x1",), ("x2",)]


class Shuffled:
    """Like `keras_imp.data.Arrays`: another order in each pass."""

    def __len__(self):
        return len(BATCHES)

    def __getitem__(self, index):
        raise IndexError("batch_at is there")

    def batch_at(self, index):
        epoch, place = divmod(index, len(BATCHES))
        return BATCHES[(place + epoch) % len(BATCHES)]


class Again:
    """An iterable that starts anew, without a length."""

    def __init__(self):
        self.starts = 0

    def __iter__(self):
        self.starts += 1
        yield from BATCHES


def generator():
    yield from BATCHES


def test_batch_at_gives_batches_beyond_one_pass():
    source = open_source("a", Shuffled())
    assert [source.batch(i) for i in (0, 3, 5)] == [("x0",), ("x1",), ("x0",)]


def test_a_stream_is_read_once_for_each_pass():
    data = Again()
    source = open_source("a", data)
    for index in range(3):
        source.batch(index)
    assert data.starts == 1


def test_a_stream_may_restart_with_other_batches():
    passes = iter([[("a",)], [("b",)], [("c",)]])
    source = open_source("a", lambda: next(passes))
    assert [source.batch(i) for i in range(3)] == [("a",), ("b",), ("c",)]


class OneIterator:
    """Starts its one iterator again, as a DataLoader whose workers live on."""

    def __init__(self):
        self.iterator = self.Iterator()

    def __iter__(self):
        self.iterator.rest = list(BATCHES)
        return self.iterator

    class Iterator:
        def __iter__(self):
            return self

        def __next__(self):
            if not self.rest:
                raise StopIteration
            return self.rest.pop(0)


def test_a_stream_may_start_its_one_iterator_again():
    source = open_source("a", OneIterator())
    assert len(source) == 3
    assert [source.batch(i) for i in (0, 1, 2, 3, 0)] == [
        ("x0",), ("x1",), ("x2",), ("x0",), ("x0",),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "wrap", [lambda data: data, lambda data: lambda: iter(data)],
    ids=["itself", "function"],
)  # fmt: skip
def test_a_stream_that_does_not_tell_its_length_is_counted_once(wrap):
    data = Again()
    source = open_source("a", wrap(data))
    assert source.num_batches is None
    assert [len(source), len(source)] == [3, 3]
    assert source.batch(2) == ("x2",)
    assert data.starts == 2


@pytest.mark.parametrize("wrap", [False, True], ids=["itself", "function"])
def test_a_generator_that_cannot_restart_is_not_counted(wrap):
    data = generator()
    source = open_source("a", (lambda: data) if wrap else data)
    kind = "function" if wrap else "generator"
    text = (
        "The source of task 'a' must tell its number of batches, or be read "
        f"twice: to count them, and to use them. Received: {kind}. Give it "
        "`__len__`, or give the function that makes the generator, not the "
        "generator itself."
    )
    for _ in range(2):
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            len(source)
    assert source.batch(0) == ("x0",)


class Restarting:
    """Its own iterator, which starts again, as that of some loaders."""

    def __init__(self):
        self.starts = 0

    def __iter__(self):
        self.starts += 1
        self.rest = list(BATCHES)
        return self

    def __next__(self):
        if not self.rest:
            raise StopIteration
        return self.rest.pop(0)


@pytest.mark.parametrize("wrap", [False, True], ids=["itself", "function"])
def test_a_loader_that_starts_again_is_counted_and_read(wrap):
    data = Restarting()
    source = open_source("a", (lambda: data) if wrap else data)
    assert len(source) == 3
    for _ in range(2):
        assert [source.batch(i)[0] for i in range(3)] == ["x0", "x1", "x2"]
    assert data.starts == 3
    # Within a pass it would give the batches that follow.
    source.batch(4)
    with pytest.raises(ValueError, match="cannot go back to batch 1"):
        source.batch(1)


def test_a_function_is_called_once_to_count():
    calls = []

    def make():
        calls.append(None)
        return iter(BATCHES)

    assert len(open_source("a", make)) == 3
    assert len(calls) == 1


def test_an_iterator_that_does_not_start_again_is_refused_when_it_is_read():
    source = open_source("a", iter(BATCHES))
    assert len(source) == 3
    text = (
        "The source of task 'a' must tell its number of batches, or be read "
        "twice: to count them, and to use them. Received: list_iterator. Give "
        "it `__len__`, or give the function that makes the generator, not the "
        "generator itself."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        source.batch(0)


class OfOnes(keras.utils.PyDataset):
    """A PyDataset without an end."""

    def __getitem__(self, index):
        return (np.ones(1),)


class ToldEndless(OfOnes):
    num_batches = None


@pytest.mark.parametrize("kind", [OfOnes, ToldEndless])
@pytest.mark.parametrize("wrap", [False, True], ids=["itself", "function"])
def test_a_pydataset_without_an_end_is_not_counted(kind, wrap):
    data = kind()
    source = open_source("a", (lambda: data) if wrap else data)
    text = (
        "The source of task 'a' must end, to be read once. Received: "
        f"type={kind.__name__!r}. Give it the property `num_batches`, of a "
        "number."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        len(source)
    source.batch(5)


def test_an_empty_stream_is_refused_when_it_is_counted():
    text = (
        "Task 'a' has an empty source: its iterator gave no batch. Give it "
        "data."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        len(open_source("a", lambda: []))


NEEDS_TENSORFLOW = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="needs TensorFlow"
)


@NEEDS_TENSORFLOW
def test_a_tf_dataset_of_unknown_length_is_counted():
    import tensorflow as tf

    data = tf.data.Dataset.range(9).filter(lambda i: i % 2 == 0)
    assert len(open_source("a", data)) == 5


@NEEDS_TENSORFLOW
@pytest.mark.parametrize("wrap", [False, True], ids=["itself", "function"])
def test_a_tf_dataset_without_an_end_is_not_counted(wrap):
    import tensorflow as tf

    data = tf.data.Dataset.range(9).repeat()
    source = open_source("a", (lambda: data) if wrap else data)
    text = (
        "The source of task 'a' must end, to be read once. Received: "
        "type='_RepeatDataset'. Leave out `repeat()`, or give `take(count)` "
        "of it."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        len(source)


@NEEDS_TENSORFLOW
def test_a_tf_dataset_is_a_stream():
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices(
        ({"image": np.arange(6.0)}, np.arange(6))
    ).batch(2)
    source = open_source("a", data)
    assert isinstance(source, StreamSource)
    assert len(source) == 3
    x, y = source.batch(4)
    np.testing.assert_array_equal(x["image"], [2.0, 3.0])
    np.testing.assert_array_equal(y, [2, 3])


def test_an_empty_list_is_refused():
    text = (
        "Task 'a' has an empty source: it needs at least one batch. Received: "
        "len(source)=0. Give it data, or a smaller batch size."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        open_source("a", [])


@pytest.mark.parametrize(
    "data", [lambda: [], iter([])], ids=["function", "iterator"]
)
def test_an_empty_stream_is_refused_when_it_is_read(data):
    text = (
        "Task 'a' has an empty source: its iterator gave no batch. Give it "
        "data."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        open_source("a", data).batch(0)


def test_a_generator_that_cannot_restart_is_refused_at_its_end():
    source = open_source("a", generator())
    assert source.batch(2) == ("x2",)
    text = (
        "The source of task 'a' is exhausted after 3 batches and cannot be "
        "started again. Received: generator. Give the function that makes the "
        "generator, not the generator itself."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        source.batch(3)


@pytest.mark.parametrize("wrap", [False, True], ids=["itself", "function"])
def test_a_generator_that_cannot_go_back_is_refused(wrap):
    # What was read ahead of a stop is read again after it.
    data = generator()
    source = open_source("a", (lambda: data) if wrap else data)
    assert source.batch(1) == ("x1",)
    kind = "function" if wrap else "generator"
    text = (
        "The source of task 'a' has given 2 batches and cannot go back to "
        f"batch 1. Received: {kind}. Give the function that makes the "
        "generator, not the generator itself."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        source.batch(1)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ((np.zeros((4, 2)), np.zeros(4)), "tuple"),
        ({"image": np.zeros((4, 2))}, "dict"),
        (np.zeros((4, 2)), "ndarray"),
        (types.SimpleNamespace(iloc=None), "SimpleNamespace"),
        ("photos", "str"),
    ],
    ids=["a tuple", "a dict", "an array", "a data frame", "a folder"],
)
def test_arrays_without_a_batch_size_are_refused(data, kind):
    text = (
        f"The source of task 'a' must give batches. Received: type={kind!r}. "
        "Wrap the arrays: keras_imp.data.Arrays({modality: x}, y, "
        "batch_size=32)."
    )
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        open_source("a", data)


@pytest.mark.parametrize("now", [0, 2, 4])
def test_data_that_changes_its_length_is_refused(now):
    batches = [0, 1, 2]
    source = open_source("a", batches)
    assert source.batch(4) == 1
    batches[:] = range(now)
    text = (
        "The source of task 'a' must keep its number of batches. Received: "
        f"before=3, now={now}. Make another mixture of other data, and do not "
        "change a list that one reads."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        source.batch(1)


def test_anything_else_is_refused():
    text = (
        "The source of task 'a' must be a PyDataset, a list of batches, an "
        "iterable, or a function that returns one. Received: type='int'."
    )
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        open_source("a", 3)


# Sizes ----------------------------------------------------------------------


class Told:
    """A stream that tells its number of examples."""

    num_examples = 77

    def __iter__(self):
        raise AssertionError("read")


def sized(**data):
    return sizes({name: open_source(name, d) for name, d in data.items()})


def test_sizes_have_one_unit():
    assert sized(a=Told(), b=Told()) == {"a": 77, "b": 77}
    assert sized(a=[()] * 3, b=[()]) == {"a": 3, "b": 1}
    assert sized(a=Told(), b=[()] * 5) == {"a": None, "b": 5}


def test_a_length_that_cannot_be_told_is_unknown():
    class Endless:
        def __len__(self):
            raise TypeError("The dataset is infinite.")

        def __iter__(self):
            raise AssertionError("read")

    assert sized(a=Endless(), b=[()]) == {"a": None, "b": 1}
