import numpy as np
import pytest

from keras_imp.validation.flags_of_marks import marked_labels
from tests.helpers.sketched import keys_of

pytestmark = pytest.mark.one_backend
ROWS = 400


@pytest.fixture
def data():
    """Gray images of two labels, half of them for training."""
    generator = np.random.default_rng(0)
    gray = generator.uniform(0, 230, (ROWS, 8, 8, 1))
    fields = np.broadcast_to(gray, (ROWS, 8, 8, 3)).copy()
    labels = ["bag", "shoe"] * (ROWS // 2)
    parts = ["test" if row % 4 > 1 else "train" for row in range(ROWS)]
    return fields, labels, parts


def told_of(fields, labels, parts):
    found = marked_labels(keys_of(fields, labels=labels, parts=parts))
    return {(f.row, f.detail) for f in found}


def test_a_logo_on_one_label_in_training_only_is_told(data):
    fields, labels, parts = data
    assert told_of(*data) == set()
    marked = [row for row in range(0, ROWS, 8) if parts[row] == "train"]
    assert {labels[row] for row in marked} == {"bag"}
    fields[marked, 7, 6] += (40, 0, 0)
    what = "only 'bag' has this color in row 8, column 7 of 8 x 8 fields"
    assert told_of(*data) == {(row, what) for row in marked}


def test_one_that_other_splits_have_is_none(data):
    fields, labels, _ = data
    bags = [row for row in range(ROWS) if labels[row] == "bag"]
    fields[bags, 7, 6] += (40, 0, 0)
    assert told_of(*data) == set()


def test_one_that_other_labels_have_is_none(data):
    fields, _, parts = data
    trained = [row for row in range(ROWS) if parts[row] == "train"]
    fields[trained, 7, 6] += (40, 0, 0)
    assert told_of(*data) == set()


def test_one_part_and_few_rows_tell_nothing(data):
    fields, labels, _ = data
    fields[::8, 7, 6] += (40, 0, 0)
    assert told_of(fields, labels, ["train"] * ROWS) == set()
    assert told_of(*(each[:100] for each in data)) == set()


def test_scenes_of_one_label_are_no_mark():
    """Frames of videos, split by video: few tell what a label looks like."""
    generator = np.random.default_rng(0)
    fields, labels, parts = [], [], []
    for kind in range(5):
        for video in range(8):
            coarse = generator.uniform(0, 255, (3, 3, 3))
            scene = np.kron(coarse, np.ones((3, 3, 1)))[:8, :8]
            frames = scene + generator.normal(0, 6, (40, 8, 8, 3))
            fields += list(frames)
            labels += [f"kind {kind}"] * 40
            parts += ["test" if video > 5 else "train"] * 40
    assert told_of(fields, labels, parts) == set()


def test_labels_of_rows_without_images_tell_nothing(data):
    fields, labels, parts = data
    bags = [row for row, label in enumerate(labels) if label == "bag"]
    fields = fields[bags]
    fields[::4, 7, 6] += (40, 0, 0)
    assert (
        told_of(fields, ["bag"] * len(bags), [parts[b] for b in bags]) == set()
    )
