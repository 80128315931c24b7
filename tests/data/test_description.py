import functools
import json

import numpy as np
import pytest

from keras_imp.data.description import (
    content_difference,
    describe_array,
    describe_function,
)

pytestmark = pytest.mark.one_backend

LABELS = np.arange(1000) % 7
IMAGES = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3)).astype("uint8")
FLOATS = IMAGES.astype("float32")


def difference(first, second):
    return content_difference(
        describe_array(first)["content"], describe_array(second)["content"]
    )


def changed(array, place, value):
    array = array.copy()
    array[place] = value
    return array


def test_type_and_shape_are_told():
    found = describe_array(IMAGES)
    assert found["dtype"] == "uint8"
    assert found["shape"] == [9, 8, 8, 3]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (LABELS, changed(LABELS, 500, 6)),
        (LABELS, LABELS[::-1]),
        (IMAGES, 255 - IMAGES),
        (FLOATS, FLOATS[::-1]),
        (FLOATS, 2 * FLOATS),
        (np.array(["a cat", "a dog"]), np.array(["a cat", "a cow"])),
        (
            np.array(["a cat", "a dog"], object),
            np.array(["a cat", "a cow"], object),
        ),
        (np.array([1.0, np.nan]), np.array([1.0, 2.0])),
    ],
    ids=["label", "order", "images", "floats", "size", "text", "object", "NaN"],
)
def test_other_content_is_told(first, second):
    assert difference(first, second) is not None
    assert difference(first, first.copy()) is None


@pytest.mark.parametrize(
    ("first", "second"),
    [(FLOATS, FLOATS * np.float32(1 + 1e-4)), (IMAGES, IMAGES | 1)],
    ids=["computed", "decoded"],
)
def test_last_digits_may_differ_from_machine_to_machine(first, second):
    assert (first != second).any()
    assert difference(first, second) is None


def test_a_description_does_not_depend_on_the_layout_in_memory():
    strided = np.asfortranarray(LABELS.reshape(-1, 2))
    assert describe_array(strided) == describe_array(LABELS.reshape(-1, 2))


def test_of_a_large_array_few_rows_are_read():
    large = np.broadcast_to(np.int64(3), (1 << 40, 2))  # 16 TiB, one number.
    assert describe_array(large)["shape"] == [1 << 40, 2]


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((0, 3)),
        np.array(3.0),
        np.array([1 + 2j]),
        np.array([None, object()]),
        np.array([np.nan, np.inf]),
        [[1, 2], [3, 4]],
    ],
    ids=["empty", "scalar", "complex", "objects", "not finite", "list"],
)
def test_any_array_has_a_description_for_json(values):
    found = describe_array(values)
    text = json.dumps(found)
    again = json.loads(text)
    assert content_difference(found["content"], again["content"]) is None


def test_a_function_is_known_by_its_name():
    class Flip:
        def __call__(self, batch, generator):
            return batch

    name = describe_function(changed)
    assert name == "changed"
    assert describe_function(functools.partial(changed, place=1)) == name
    assert describe_function(Flip()).endswith("Flip")
    assert describe_function(None) is None
