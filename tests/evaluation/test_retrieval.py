import re

import numpy as np
import pytest

from keras_imp.evaluation import recall_at, same_text

pytestmark = pytest.mark.one_backend


def test_ranks_of_a_hand_made_table():
    similarities = np.array([[0.9, 0.5, 0.1], [0.8, 0.7, 0.2], [0.3, 0.2, 0.1]])
    # The right items rank first, second and third.
    found = recall_at(similarities, np.eye(3, dtype=bool), ks=(1, 2, 3))
    assert found == {
        "recall@1": pytest.approx(1 / 3),
        "recall@2": pytest.approx(2 / 3),
        "recall@3": 1.0,
        "median_rank": 2.0,
    }


def test_any_of_several_relevant_items_answers_a_query():
    similarities = np.array([[0.1, 0.9, 0.5]])
    relevant = np.array([[True, False, True]])
    assert recall_at(similarities, relevant, ks=(2,))["recall@2"] == 1.0


def test_a_tie_with_a_wrong_item_counts_against_the_query():
    found = recall_at(np.zeros((5, 5)), np.eye(5, dtype=bool), ks=(1,))
    assert found == {"recall@1": 0.0, "median_rank": 5.0}


def test_repeated_captions_answer_each_other():
    assert same_text(["a", "b"], ["a", "a", "b"]).tolist() == [
        [True, True, False],
        [False, False, True],
    ]


def test_shapes_must_agree():
    text = (
        "`similarities` and `relevant` must have the same shape. Received: "
        "similarities=(2, 3), relevant=(3, 2)."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        recall_at(np.zeros((2, 3)), np.zeros((3, 2), bool))


def test_a_query_without_any_answer_is_refused():
    text = "Each query must have at least one relevant item. Received: query=1."
    with pytest.raises(ValueError, match=re.escape(text)):
        recall_at(np.zeros((2, 2)), np.array([[True, False], [False, False]]))
