import numpy as np
import pytest

from keras_imp.validation.flags_of_neighbors import unlike_labels
from tests.helpers import sketched

pytestmark = pytest.mark.one_backend


def keys_of(labels, centers, spread=12.0):
    """Rows whose sketches lie around those of a kind each."""
    generator = np.random.default_rng(0)
    means = generator.uniform(60, 190, (max(centers) + 1, 192))
    drawn = [
        means[center] + generator.normal(0, spread, 192) for center in centers
    ]
    return sketched.keys_of(drawn[: len(labels)], labels)


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


def ten_kinds(rows=400):
    """Rows of ten kinds in no order."""
    kinds = np.random.default_rng(2).integers(0, 10, rows).tolist()
    return [f"kind {kind}" for kind in kinds], kinds


@pytest.mark.parametrize("step", [-1, 1])
def test_a_block_with_the_labels_of_the_rows_beside_is_told(step):
    labels, kinds = ten_kinds()
    assert list(unlike_labels(keys_of(labels, kinds))) == []
    given = list(labels)
    for row in range(100, 160):
        given[row] = labels[row + step]
    wrong = {r for r in range(100, 160) if given[r] != labels[r]}
    found = list(unlike_labels(keys_of(given, kinds)))
    rows = {f.row for f in found if f.flag == "label_shifted"}
    assert rows <= wrong
    assert len(rows) > 0.9 * len(wrong)
    # The label that was meant is told.
    meant = {f.row: f.detail for f in found if f.flag == "label_shifted"}
    row = min(rows)
    assert meant[row] == f"{given[row]!r}, like {labels[row]!r}"


def test_rows_in_the_order_of_their_labels_are_not_shifted():
    labels, kinds = zip(*sorted(zip(*ten_kinds())))
    assert list(unlike_labels(keys_of(labels, kinds))) == []


def test_a_run_of_one_label_is_told_where_rows_do_not_look_like_it():
    labels, kinds = ten_kinds()
    labels[200:240] = ["kind 3"] * 40
    found = list(unlike_labels(keys_of(labels, kinds)))
    runs = {f.row for f in found if f.flag == "label_run"}
    assert runs >= {*range(200, 240)}
    assert len(runs) <= 42
    assert "rows in succession have 'kind 3'" in found[-1].detail


def test_a_run_of_rows_with_their_label_is_none():
    labels, kinds = ten_kinds()
    labels[200:240], kinds[200:240] = ["kind 3"] * 40, [3] * 40
    assert list(unlike_labels(keys_of(labels, kinds))) == []


def test_rows_in_the_order_of_wrong_labels_have_no_run():
    """Sorted rows tell nothing by their order."""
    labels, _ = zip(*sorted(zip(*ten_kinds())))
    _, kinds = ten_kinds()
    found = list(unlike_labels(keys_of(labels, kinds)))
    assert [f for f in found if f.flag == "label_run"] == []


def test_a_part_without_labels_has_no_run():
    labels, _ = ten_kinds()
    generator = np.random.default_rng(0)
    fields = generator.uniform(60, 190, (400, 192))
    labels[300:] = [None] * 100
    parts = ["train"] * 300 + ["test"] * 100
    found = unlike_labels(sketched.keys_of(fields, labels, parts=parts))
    assert [f for f in found if f.flag == "label_run"] == []


@pytest.mark.parametrize("seed", range(4))
def test_two_labels_that_look_alike_are_not_shifted(seed):
    """Half of the rows beside have the other label, by chance."""
    generator = np.random.default_rng(seed)
    kinds = generator.integers(0, 2, 3000)
    fields = 120 + 0.8 * kinds[:, None] + generator.normal(0, 30, (3000, 192))
    labels = [f"kind {kind}" for kind in kinds]
    assert list(unlike_labels(sketched.keys_of(fields, labels))) == []


def test_a_run_of_things_that_differ_is_none():
    """Such as "other", at the end of rows in no order."""
    labels, kinds = ten_kinds()
    generator = np.random.default_rng(3)
    other = generator.integers(0, 10, 60).tolist()
    labels, kinds = labels + ["other"] * 60, kinds + other
    found = list(unlike_labels(keys_of(labels, kinds)))
    assert [f for f in found if f.flag == "label_run"] == []
