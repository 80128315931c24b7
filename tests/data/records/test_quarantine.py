"""Several quarantines share a file, and parts of one share its rows."""

import json

import pytest

from keras_imp.data import Manifest
from keras_imp.data.decoding import BadFile
from keras_imp.data.records import Quarantine, TooManyBadFilesError
from keras_imp.data.records.targets import targets_of

pytestmark = pytest.mark.one_backend


def test_quarantines_with_other_labels_share_a_file(tmp_path):
    path = tmp_path / "quarantine.jsonl"
    first = Quarantine(100, path, task="a")
    second = Quarantine(100, path, task="b")
    first.add(3, "t.csv, line 5", BadFile("empty", "a.png"))
    second.add(7, "t.csv, line 9", BadFile("damaged", "b.png"))
    assert [json.loads(x)["task"] for x in path.read_text().splitlines()] == [
        "a",
        "b",
    ]
    assert Quarantine(100, path, task="a").bad_rows == [3]
    assert Quarantine(100, path, task="b").bad_rows == [7]
    assert Quarantine(100, path).bad_rows == [3, 7]


def test_a_line_that_is_no_object_is_told(tmp_path):
    path = tmp_path / "quarantine.jsonl"
    path.write_text("[1]\n")
    with pytest.raises(ValueError, match="must be a JSON object"):
        Quarantine(100, path, task="a")


def test_a_part_has_the_numbers_of_the_whole():
    whole = Quarantine(100)
    part = whole.part([50, 60, 70])
    part.add(1, "line 62", BadFile("empty", "a.png"))
    assert whole.bad_rows == [60]
    assert [row in part for row in range(3)] == [False, True, False]
    assert len(part) == 1
    assert len(whole.part([1, 2])) == 0


def test_a_part_counts_against_the_rows_of_the_whole():
    part = Quarantine(100, max_bad=0.01).part([5, 6])
    part.add(0, "line 7", BadFile("empty"))
    with pytest.raises(TooManyBadFilesError, match="bad=2, rows=100"):
        part.add(1, "line 8", BadFile("empty"))


def test_the_first_rows_of_each_reason_are_named():
    quarantine = Quarantine(100, max_bad=0.5)
    for row in (9, 3, 5):
        quarantine.add(row, f"line {row}", BadFile("empty", f"{row}.png"))
    quarantine.add(1, "line 1", BadFile("damaged", "1.png"))
    assert quarantine.first(2) == [
        "line 1: damaged, '1.png'",
        "line 3: empty, '3.png'",
        "line 5: empty, '5.png'",
    ]


def test_rows_of_one_file_match_whatever_their_group_is():
    columns = {
        "image": ["a.png", "b.png", "a.png"],
        "text": ["x", "y", "z"],
        "group": ["1", "1", "2"],
    }
    manifest = Manifest(columns)
    a, b, again = targets_of(manifest, "file").tolist()
    assert a == again != b
    one, same, other = targets_of(manifest, "group").tolist()
    assert one == same != other
    texts = Manifest({"text": ["x", "y"], "label": ["1", "2"]})
    assert len(set(targets_of(texts, "file").tolist())) == 2
