"""What every source of batches promises, one promise per test.

To put one under the contract, add a row to `CASES`.
"""

import inspect
import json
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp.data import (
    Arrays,
    Manifest,
    Records,
    ResizedArrays,
    Shape,
    Tokenizer,
)
from keras_imp.data.shapes.plan import PlannedShape
from keras_imp.training.input.sources import (
    RandomAccessSource,
    StreamSource,
    open_source,
)

pytestmark = pytest.mark.one_backend

ROWS = 11
X = {"text": np.arange(1, 1 + ROWS)[:, None] * np.ones((1, 3), int)}
Y = np.arange(ROWS)
BATCHES = [({"text": X["text"][i : i + 4]}, Y[i : i + 4]) for i in (0, 4, 8)]
# Over several passes.
COUNT = 8


class SourceCase(NamedTuple):
    """Data that a mixture takes.

    Attributes:
        make: Makes it; the argument tells two of them apart.
        source: What it is opened as.
        batches: Batches of a pass, if it tells them.
        examples: Examples of a pass, if it tells them.
        text: Its `repr`, of a class of the package.
        repeats: Whether each pass has the same batches.
        is_described: Whether its content is looked at without reading it all.
    """

    make: Callable[[int], Any]
    source: type
    batches: int | None = 3
    examples: int | None = None
    text: str | None = None
    repeats: bool = True
    is_described: bool = False


class Sequence(keras.utils.PyDataset):
    def __init__(self, number):
        super().__init__()
        self.number = number

    def __len__(self):
        return len(BATCHES)

    def __getitem__(self, index):
        return shifted(self.number)[index]


class Iterable:
    """Starts anew, without a length."""

    def __init__(self, number):
        self.number = number

    def __iter__(self):
        yield from shifted(self.number)


def shifted(number):
    return [({"text": x["text"] + number}, y) for x, y in BATCHES]


def resized(seed):
    shapes = [
        PlannedShape(
            *("a", Shape(text=length), size, 0.5),
            full={"text": length},
            kept={"text": length},
            flops_per_example=0,
            patchings={},
        )
        for length, size in ((3, 2), (2, 3))
    ]
    return ResizedArrays(X, Y, shapes=shapes, seed=seed)


def records(seed):
    texts = [f"number {row}" for row in range(ROWS)]
    tokenizer = Tokenizer.train(texts, 60, length=3)
    return Records(
        Manifest({"text": texts, "label": [str(row) for row in Y]}),
        keras_imp.IMPPreprocessor(tokenizer=tokenizer),
        batch_size=4,
        target="label",
        drop_last=False,
        seed=seed,
    )


CASES = {
    "list": SourceCase(shifted, RandomAccessSource, is_described=True),
    "PyDataset": SourceCase(Sequence, RandomAccessSource),
    "arrays": SourceCase(
        lambda seed: Arrays(X, Y, batch_size=4, drop_last=False, seed=seed),
        RandomAccessSource,
        examples=ROWS,
        text="Arrays(x={'text': <int64 (11, 3)>}, y=<int64 (11,)>, "
        "batch_size=4, drop_last=False)",
        repeats=False,
        is_described=True,
    ),
    "arrays in several shapes": SourceCase(
        resized,
        RandomAccessSource,
        batches=5,
        examples=ROWS,
        repeats=False,
        is_described=True,
    ),
    "rows of files": SourceCase(
        records,
        RandomAccessSource,
        examples=ROWS,
        repeats=False,
        is_described=True,
    ),
    "iterable": SourceCase(Iterable, StreamSource, batches=None),
    "function": SourceCase(
        lambda number: lambda: iter(shifted(number)), StreamSource, None
    ),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request):
    return request.param


def opened(case, number=0):
    return open_source("a", case.make(number))


def read(source, order=range(COUNT)):
    return [source.batch(index) for index in order]


def assert_same(first, second):
    for one, other in zip(first, second, strict=True):
        for a, b in zip(
            keras.tree.flatten(one), keras.tree.flatten(other), strict=True
        ):
            np.testing.assert_array_equal(a, b)


def test_every_exported_class_of_batches_has_a_case():
    exported = {
        getattr(keras_imp.data, name) for name in keras_imp.data.__all__
    }
    exported = {x for x in exported if hasattr(x, "batch_at")}
    made = {type(case.make(0)) for case in CASES.values()}
    assert exported == {x for x in made if x.__module__.startswith("keras_imp")}


def test_a_batch_depends_on_its_number_only(case):
    """What a resume needs, wherever it starts."""
    source = opened(case)
    assert isinstance(source, case.source)
    expected = read(source)
    assert_same(read(opened(case)), expected)
    backward = read(opened(case), reversed(range(COUNT)))
    assert_same(backward[::-1], expected)
    # Read on after going back.
    assert_same(read(source, (5, 6, 2)), [expected[i] for i in (5, 6, 2)])


def test_passes_follow_each_other_without_end(case):
    batches = read(opened(case), range(2 * (case.batches or 3)))
    first, second = batches[: len(batches) // 2], batches[len(batches) // 2 :]
    if case.repeats:
        assert_same(first, second)
        return
    other = [y.tolist() for _, y in read(opened(case, 1))]
    assert other != [y.tolist() for _, y in batches[:COUNT]]
    assert [y.tolist() for _, y in first] != [y.tolist() for _, y in second]


def test_its_length_is_told_where_it_is_known(case):
    source = opened(case)
    assert source.num_batches == case.batches
    assert source.num_examples == case.examples
    if case.batches is not None:
        assert len(source) == case.batches


def test_other_data_has_another_description(case):
    described = [
        json.dumps(opened(case, number).describe()) for number in (0, 0, 1)
    ]
    assert described[0] == described[1]
    assert " at 0x" not in described[0]
    if case.is_described:
        assert described[0] != described[2]


def test_it_prints_as_it_is_made(case):
    data = case.make(0)
    if type(data).__module__.startswith("keras_imp"):
        first = next(iter(inspect.signature(type(data)).parameters))
        assert repr(data).startswith(f"{type(data).__name__}({first}=")
        assert " at 0x" not in repr(data)
    if case.text is not None:
        assert repr(data) == case.text


def test_a_worker_reads_the_same(case):
    """A process of Keras, to which the data goes by pickle."""
    if case.source is StreamSource:
        pytest.skip("Streams are read in the process that makes them.")
    data = pickle.loads(pickle.dumps(case.make(0)))
    assert_same(read(open_source("a", data)), read(opened(case)))
