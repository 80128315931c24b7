"""What sources give, as NumPy arrays."""

import numpy as np
import pytest

from keras_imp.training.input.host_batch import host_batch


class Column:
    """A column of a data frame: an array with an index of its own."""

    iloc = None

    def __init__(self, values):
        self.values = np.asarray(values)

    def __array__(self, dtype=None, copy=None):
        return self.values if dtype is None else self.values.astype(dtype)


@pytest.mark.parametrize(
    "batch",
    [
        ({"text": np.array([[1, 2], [3, 0]])}, np.array([4, 5])),
        [{"text": [[1, 2], [3, 0]]}, [4, 5]],
        ({"text": Column([[1, 2], [3, 0]])}, Column([4, 5])),
        ({"text": [np.array([1, 2]), np.array([3, 0])]}, (4, 5)),
    ],
    ids=["arrays", "lists", "columns", "lists of arrays"],
)
def test_the_parts_are_arrays(batch):
    x, y = host_batch(batch)
    np.testing.assert_array_equal(x["text"], [[1, 2], [3, 0]])
    np.testing.assert_array_equal(y, [4, 5])


def test_inputs_alone_are_a_batch():
    (x,) = host_batch({"patches": {"a": [1.0]}})
    assert x["patches"]["a"].shape == (1,)


def test_a_part_may_be_missing():
    assert host_batch(([1], None, [2.0]))[1] is None


def test_a_column_of_rows_is_stacked():
    rows = np.empty(2, object)
    rows[:] = [[1, 2], [3, 4]]
    np.testing.assert_array_equal(host_batch(rows)[0], [[1, 2], [3, 4]])


def test_strings_stay_strings():
    assert host_batch((["a cat", "a dog"],))[0].dtype.kind == "U"
