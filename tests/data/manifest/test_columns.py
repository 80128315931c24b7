import numpy as np
import pytest

from keras_imp.data.manifest.columns import Lists, Strings

pytestmark = pytest.mark.one_backend

TEXTS = ["a", "", None, "NaN", "naïve ☃", "\udce9", "\ud800", "x\0y", "None"]


def test_any_text_comes_back_as_it_was():
    values = list(Strings.of(TEXTS))
    missing = {"", "NaN", None}
    assert values == [None if text in missing else text for text in TEXTS]


def test_rows_may_be_taken_again_and_again():
    column = Strings.of(TEXTS).take([8, 4, 4, 0]).take([1, 3])
    assert list(column) == ["naïve ☃", "a"]
    lists = Lists.of([["a", "b"], [], ["c", ""]]).take([2, 0])
    assert list(lists) == [("c",), ("a", "b")]


def test_to_take_rows_copies_no_text():
    column = Strings.of(["x" * 1_000_000] * 3)
    taken = column.take([0, 1])
    assert np.shares_memory(column._buffer, taken._buffer)


def test_sizes_are_those_of_the_longest_text():
    assert Strings.of(["ab", None, "ä"]).sizes().tolist() == [2, 0, 2]
    assert Lists.of([["a", "bcd"], []]).sizes().tolist() == [3, 0]
