import numpy as np
import pytest

from keras_imp.validation.flags_of_alterations import altered_images
from tests.helpers.sketched import keys_of

pytestmark = pytest.mark.one_backend
TURNED = {
    "upside down": lambda fields: fields[::-1],
    "turned by half": lambda fields: fields[::-1, ::-1],
    "turned to the left": lambda fields: np.rot90(fields, 1),
    "turned to the right": lambda fields: np.rot90(fields, -1),
    "red for blue": lambda fields: fields[..., ::-1],
}


def images(kinds, spread=10.0):
    """Fields of images that lie around those of a kind each."""
    generator = np.random.default_rng(0)
    means = generator.uniform(60, 190, (max(kinds) + 1, 8, 8, 3))
    return [means[k] + generator.normal(0, spread, (8, 8, 3)) for k in kinds]


def told(fields, **columns):
    keys = keys_of(fields, **columns)
    return {(f.row, f.detail) for f in altered_images(keys)}


@pytest.mark.parametrize("how", TURNED)
def test_a_batch_that_was_turned_is_told_by_its_label(how):
    kinds = [0, 1] * 150
    fields = images(kinds)
    labels = [f"kind {kind}" for kind in kinds]
    assert told(fields, labels=labels) == set()
    for row in range(60, 90):
        fields[row] = TURNED[how](fields[row])
    assert told(fields, labels=labels) == {(row, how) for row in range(60, 90)}


def test_a_group_tells_before_a_label():
    """One label of all that points anywhere; of a group, all points one way."""
    kinds = np.repeat(np.arange(60), 6).tolist()
    fields = images(kinds)
    groups = [f"thing {kind}" for kind in kinds]
    labels = ["arrow"] * len(kinds)
    for row in range(0, len(kinds), 12):
        fields[row] = TURNED["red for blue"](fields[row])
    assert told(fields, labels=labels, groups=groups) == {
        (row, "red for blue") for row in range(0, len(kinds), 12)
    }
    assert told(fields, labels=labels) == set()


def test_a_few_are_none():
    fields = images([0] * 200)
    for row in range(10):
        fields[row] = TURNED["upside down"](fields[row])
    assert told(fields, labels=["a"] * 200) == set()


def test_things_that_stand_any_way_are_none():
    fields = images([0] * 400)
    generator = np.random.default_rng(1)
    fields = [np.rot90(f, generator.integers(4)) for f in fields]
    assert told(fields, labels=["cell"] * 400) == set()


def test_rows_without_label_and_group_are_compared_with_nothing():
    assert told(images([0] * 50)) == set()
    assert told([]) == set()
