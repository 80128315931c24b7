"""What counts as a right answer to a search."""

from types import SimpleNamespace

import numpy as np
import pytest

from keras_imp.data import Manifest
from keras_imp.evaluation.own_data import scores
from keras_imp.evaluation.own_data.evaluation import REPORTS
from keras_imp.evaluation.own_data.examples import Examples
from keras_imp.evaluation.own_data.measures import contents_of, matching
from keras_imp.evaluation.own_data.rows import Part

pytestmark = pytest.mark.one_backend


def test_rows_with_one_sound_or_one_text_answer_each_other():
    sounds = np.array([[0.1, 0.2], [0.3, 0.4], [0.1, 0.2], [0.5, 0.6]])
    manifest = Manifest({"text": ["a", "b", "c", "b"]})
    part = Part(manifest, np.arange(4))
    ids = np.zeros((4, 3), "int32")
    found = contents_of(Examples(part, {"audio": sounds, "text": ids}))
    assert found["audio"].tolist() == [0, 1, 0, 2]
    # By the texts themselves: ids of other words may be equal.
    assert found["text"].tolist() == [0, 1, 2, 1]
    matches = matching(np.arange(4), found["audio"], found["text"])
    assert [np.flatnonzero(row).tolist() for row in matches] == [
        [0, 2],
        [1, 3],
        [0, 2],
        [1, 3],
    ]


def test_equal_scores_rank_the_wrong_rows_first():
    labels = np.array([[1], [1], [0], [0]])
    found = scores.mean_precision(np.zeros((4, 1)), labels)
    assert found == pytest.approx((1 / 3 + 2 / 4) / 2)


def test_an_interval_of_precision_holds_it_and_can_be_drawn(tmp_path):
    """Of rare classes: drawn anew, most would rank higher."""
    labels = np.eye(60)
    predicted = np.roll(labels, 1, axis=0) + 0.5 * labels
    rows = SimpleNamespace(name="tags")
    report = REPORTS["multi-label"](rows, predicted, labels)
    found = report.values["mean average precision"]
    assert found.value == pytest.approx(0.5)
    assert found.low <= found.value <= found.high
    report.plot(tmp_path / "tags.png")
