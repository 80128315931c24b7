"""What counts as a right answer to a search."""

import numpy as np
import pytest

from keras_imp.data import Manifest
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
