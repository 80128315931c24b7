import numpy as np
import pytest

from keras_imp.validation.flags_of_neighbors import unlike_labels
from keras_imp.validation.rows import RowKeys

pytestmark = pytest.mark.one_backend


def keys_of(labels, centers, spread=12.0):
    """Rows whose sketches lie around those of a kind each."""
    generator = np.random.default_rng(0)
    means = generator.uniform(60, 190, (max(centers) + 1, 192))
    keys = RowKeys()
    for label, center in zip(labels, centers):
        drawn = means[center] + generator.normal(0, spread, 192)
        keys.add(
            0,
            {
                "kind": "image",
                "places": {},
                "is_segment": False,
                "hashes": {},
                "sketches": {"image": drawn.astype("uint8").tobytes().hex()},
                "texts": [],
                "labels": [label] if label else [],
            },
        )
    return keys


def two_kinds():
    return ["bag"] * 200 + ["shoe"] * 200, [0] * 200 + [1] * 200


def test_a_batch_with_swapped_labels_is_told():
    labels, kinds = two_kinds()
    assert list(unlike_labels(keys_of(labels, kinds))) == []
    for row in range(40, 55):
        labels[row] = "shoe"
    for row in range(300, 312):
        labels[row] = "bag"
    found = list(unlike_labels(keys_of(labels, kinds)))
    rows = {finding.row for finding in found}
    assert rows <= {*range(40, 55), *range(300, 312)}
    assert len(rows) > 20
    assert {f.detail for f in found} == {
        "'shoe', like 'bag'",
        "'bag', like 'shoe'",
    }


def test_labels_that_look_alike_tell_nothing():
    labels, _ = two_kinds()
    generator = np.random.default_rng(1)
    generator.shuffle(labels)
    assert list(unlike_labels(keys_of(labels, [0] * 400))) == []


def test_a_few_odd_ones_are_no_batch():
    labels, kinds = two_kinds()
    labels[40:45] = ["shoe"] * 5
    assert list(unlike_labels(keys_of(labels, kinds))) == []


def test_rows_without_one_label_and_numbers_are_left_out():
    labels, kinds = two_kinds()
    labels[40:55] = [None] * 15
    assert list(unlike_labels(keys_of(labels, kinds))) == []
    numbers = [f"{0.5 + kind}" for kind in kinds]
    numbers[40:55] = ["1.5"] * 15
    assert list(unlike_labels(keys_of(numbers, kinds))) == []
    assert list(unlike_labels(keys_of([], [0]))) == []


def test_copies_are_neighbors_too():
    labels, kinds = two_kinds()
    assert list(unlike_labels(keys_of(labels, kinds, spread=0.0))) == []
