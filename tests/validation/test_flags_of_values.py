import numpy as np
import pytest
import soundfile

import keras_imp
from keras_imp.validation import scan_and_flag
from tests.helpers.flagged import flags_of

pytestmark = pytest.mark.one_backend


def with_labels(*labels):
    return {
        "text": [f"text {number}" for number in range(len(labels))],
        "label": list(labels),
    }


@pytest.mark.parametrize(
    "wrong", ["Golden Eagle ", "golden_eagle", "golden eagel", "goldn eagle"]
)
def test_a_misspelled_label_is_told_with_the_one_that_was_meant(
    tmp_path, wrong
):
    labels = ["golden eagle"] * 30 + [wrong]
    manifest = keras_imp.data.Manifest(with_labels(*labels), root=tmp_path)
    (finding,) = scan_and_flag(manifest, tmp_path, workers=1).findings
    assert (finding.flag, finding.row) == ("label_variant", 30)
    assert "'golden eagle'" in finding.detail


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("class 1", "class 2"),
        ("a", "A"),
        ("cat", "bat"),
        ("left", "right"),
        ("10", "-10"),
        ("1-11", "11-1"),
    ],
)
def test_labels_that_differ_are_no_variants(tmp_path, first, second):
    labels = [first] * 30 + [second] * 3
    assert flags_of(tmp_path, with_labels(*labels)) == []


def test_frequent_labels_that_are_alike_are_two(tmp_path):
    labels = ["t-shirt"] * 20 + ["shirt"] * 20
    assert flags_of(tmp_path, with_labels(*labels)) == []


def test_a_label_of_one_row_is_rare_where_others_have_many(tmp_path):
    labels = ["cat"] * 40 + ["dog"] * 40 + ["7"]
    assert flags_of(tmp_path, with_labels(*labels)) == [("label_rare", 80)]
    labels = [f"species {letter}" for letter in "abcdefgh"]
    assert flags_of(tmp_path, with_labels(*labels)) == []


def test_a_word_among_numbers_is_no_class(tmp_path):
    labels = [f"{number}.5" for number in range(20)] + ["twelve", "2,5"]
    columns = with_labels(*labels)
    columns["split"] = ["train"] * 10 + ["test"] * 12
    assert flags_of(tmp_path, columns) == [
        ("label_number", 20),
        ("label_number", 21),
    ]


def test_a_weight_that_is_no_number_is_a_gap(tmp_path):
    columns = with_labels("a", "b", "a", "b")
    columns["weight"] = [1.0, 2.0, float("nan"), 0.5]
    assert flags_of(tmp_path, columns) == [("gap", 2)]


def test_a_gap_is_told_where_most_rows_have_a_value(tmp_path):
    for number in range(4):
        samples = np.random.default_rng(number).uniform(-1, 1, 16000)
        soundfile.write(tmp_path / f"{number}.wav", samples / 2, 16000)
    columns = {
        "audio": [f"{number}.wav" for number in range(4)],
        "text": ["a", "b", "c", ""],
        "label": ["x", "", "", "y"],
    }
    # Half of the rows have a label: two tasks, and no fault.
    assert flags_of(tmp_path, columns) == [("gap", 3)]


def test_a_text_of_many_rows_is_told_where_most_have_their_own(tmp_path):
    for number in range(60):
        samples = np.random.default_rng(number).uniform(-1, 1, 4000)
        soundfile.write(tmp_path / f"{number}.wav", samples / 2, 16000)
    audio = [f"{number}.wav" for number in range(60)]
    own = [f"text {number}" for number in range(40)]
    columns = {"audio": audio, "text": own + ["untitled"] * 20}
    found = flags_of(tmp_path, columns)
    assert found == [("text_repeated", row) for row in range(40, 60)]
    # Where all texts are of many rows, as those of classes, none is odd.
    columns["text"] = ["a cat"] * 20 + ["a dog"] * 40
    assert flags_of(tmp_path, columns) == []


def test_a_text_of_many_groups_is_told(tmp_path):
    """A usual one is of the eight images of one thing."""
    columns = {
        "text": [f"thing {k // 8}" for k in range(400)],
        "group": [f"group {k // 8}" for k in range(400)],
        "label": [f"label {k}" for k in range(400)],
    }
    rows = range(0, 400, 16)
    for row in rows:
        columns["text"][row] = "untitled"
    found = [f for f in flags_of(tmp_path, columns) if f[0] == "text_repeated"]
    assert found == [("text_repeated", row) for row in rows]


def test_a_few_values_of_many_rows_are_numbers_too(tmp_path):
    columns = with_labels(*["0.5", "1.25"] * 30, "twelve", "2,5")
    assert flags_of(tmp_path, columns) == [
        ("label_number", 60),
        ("label_number", 61),
    ]


def test_a_start_that_is_no_number_is_told(tmp_path):
    """It would be read as the start of the file."""
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 32000)
    soundfile.write(tmp_path / "a.wav", samples, 16000)
    columns = {
        "audio": ["a.wav"] * 4,
        "text": ["a", "b", "c", "d"],
        "start": [0.0, 0.5, np.nan, 1.0],
        "end": [0.4, 0.9, 1.0, 1.5],
    }
    assert flags_of(tmp_path, columns) == [("gap", 2)]


def test_a_segment_that_ends_after_its_file_is_told(tmp_path):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 32000)
    soundfile.write(tmp_path / "a.wav", samples, 16000)
    columns = {
        "audio": ["a.wav"] * 3,
        "text": ["a", "b", "c"],
        "start": [0.0, 1.0, 0.0],
        "end": [1.0, 2.05, 2000.0],
    }
    assert flags_of(tmp_path, columns) == [("past_end", 2)]


@pytest.mark.parametrize("wrong", [-1.0, 31_000.0])
def test_a_number_far_from_the_others_is_told(tmp_path, wrong):
    labels = [str(0.5 * number) for number in range(1, 61)] + [str(wrong)]
    assert flags_of(tmp_path, with_labels(*labels)) == [("label_number", 60)]


@pytest.mark.parametrize(
    "values",
    [
        [0.5 * number for number in range(-40, 61)],
        [-1.5, -3.5, 0.0, *(0.5 * number for number in range(1, 100))],
        [0.1] * 100 + [1.0] * 100 + [20.0] * 10,
        [*np.random.default_rng(0).pareto(1.5, 500) + 0.01],
    ],
    ids=["both signs", "some below zero", "scales", "heavy tail"],
)
def test_usual_numbers_are_none(tmp_path, values):
    assert flags_of(tmp_path, with_labels(*map(str, values))) == []


def test_a_label_with_an_entity_is_the_one_that_was_meant(tmp_path):
    labels = ["salt & pepper"] * 40 + ["salt &amp; pepper"] * 9
    found = flags_of(tmp_path, with_labels(*labels))
    assert found == [("label_variant", row) for row in range(40, 49)]


def test_a_label_of_five_rows_is_rare_beside_one_of_600(tmp_path):
    labels = ["cat"] * 600 + ["dog"] * 600 + ["t-shirt/top"] * 5
    found = flags_of(tmp_path, with_labels(*labels))
    assert found == [("label_rare", row) for row in range(1200, 1205)]


def test_a_rare_class_is_one(tmp_path):
    labels = ["fine"] * 2000 + ["fraud"] * 15
    assert flags_of(tmp_path, with_labels(*labels)) == []


def groups_of_four(*labels):
    """Rows of a text of their own, four in a group, all with one label."""
    columns = with_labels(*[label for label in labels for _ in range(4)])
    columns["group"] = [f"group {row // 4}" for row in range(4 * len(labels))]
    return columns


def test_another_label_than_that_of_the_group_is_told(tmp_path):
    columns = groups_of_four(*["drum", "organ"] * 15)
    columns["label"][5] = "drum"
    assert flags_of(tmp_path, columns) == [("group_label", 5)]
    # Where groups have several labels, it is no fault.
    columns["label"][::4] = ["drum"] * 30
    assert flags_of(tmp_path, columns) == []


def test_groups_with_another_slash_are_one(tmp_path):
    columns = groups_of_four(*["a label"] * 6)
    columns["group"] = [f"en/{name}" for name in columns["group"]]
    columns["group"][3] = columns["group"][3].replace("/", "\\")
    columns["split"] = ["train"] * 3 + ["test"] + ["train"] * 12 + ["test"] * 8
    assert flags_of(tmp_path, columns) == [("leak_group", 3)]


def test_a_split_of_hardly_a_row_is_told(tmp_path):
    columns = with_labels(*["cat", "dog"] * 100)
    columns["split"] = ["train"] * 150 + ["holdout"] * 49 + ["dog"]
    found = [f for f in flags_of(tmp_path, columns) if f[0] == "split_rare"]
    assert found == [("split_rare", 199)]
    # A whole table of a split of its own, beside much more data.
    own = with_labels(*["cat", "dog"] * 3)
    own["split"] = ["production"] * 6
    scan = scan_and_flag(
        keras_imp.data.Manifest(own, root=tmp_path),
        tmp_path,
        against=keras_imp.data.Manifest(
            with_labels(*["cat", "dog"] * 500), root=tmp_path
        ),
        workers=1,
    )
    assert "split_rare" not in scan.counts()


def test_a_split_without_a_label_that_it_should_have_is_told(tmp_path):
    columns = with_labels(*["cat", "dog", "fox"] * 100)
    columns["split"] = ["train"] * 240 + ["test"] * 60
    assert flags_of(tmp_path, columns) == []
    kept = [
        row for row in range(300) if row < 240 or columns["label"][row] != "fox"
    ]
    columns = {name: [v[row] for row in kept] for name, v in columns.items()}
    assert flags_of(tmp_path, columns) == [("label_missing", 240)]
    # Of one group, one draw would have left them out.
    columns["group"] = [
        "foxes" if label == "fox" else f"group {row}"
        for row, label in enumerate(columns["label"])
    ]
    assert flags_of(tmp_path, columns) == []


def without_a_label(*splits):
    """Two labels of 12, in rows of these splits only where it is `train`."""
    names = [f"class {letter}" for letter in "abcdefghijkl"]
    rows = [
        (label, split)
        for split, times in splits
        for label in names * times
        if split == "train" or label not in names[:2]
    ]
    columns = with_labels(*(label for label, _ in rows))
    columns["split"] = [split for _, split in rows]
    return columns


def test_each_split_tells_all_labels_that_it_has_not(tmp_path):
    columns = without_a_label(("train", 60), ("validation", 30), ("test", 30))
    manifest = keras_imp.data.Manifest(columns, root=tmp_path)
    first, second = scan_and_flag(manifest, tmp_path, workers=1).findings
    assert (first.row, second.row) == (720, 720 + 300)
    assert first.detail == (
        "no row of 'validation' has 'class a' (60 of 'train'), 'class b' (60 "
        "of 'train')"
    )
    assert "no row of 'test' has" in second.detail


def test_other_data_tells_the_labels_that_it_has_not(tmp_path):
    trained = without_a_label(("train", 60))
    own = without_a_label(("test", 30))
    del trained["split"], own["split"]
    scan = scan_and_flag(
        keras_imp.data.Manifest(own, root=tmp_path),
        tmp_path,
        against=keras_imp.data.Manifest(trained, root=tmp_path),
        workers=1,
    )
    (finding,) = [f for f in scan.findings if f.flag == "label_missing"]
    assert finding.row == 720
    assert scan.counts()["label_missing"] == 1
    assert "no row of 'all' has 'class a' (60 of 'against')" in finding.detail


def test_classes_that_are_meant_to_be_new_are_not_missing(tmp_path):
    columns = with_labels(*[f"class {row % 10}" for row in range(300)])
    columns["split"] = [
        "train" if row % 10 < 7 else "test" for row in range(300)
    ]
    assert {flag for flag, _ in flags_of(tmp_path, columns)} == {"label_unseen"}


def test_many_whole_numbers_are_targets_as_in_training(tmp_path):
    """Prices: a test row may have one that training has not."""
    prices = np.random.default_rng(0).permutation(2000)[:200]
    columns = with_labels(*map(str, prices))
    columns["split"] = ["train"] * 150 + ["test"] * 50
    assert flags_of(tmp_path, columns) == []


def test_several_numbers_of_a_row_are_classes(tmp_path):
    """As the ids of tags, of which there are many."""
    ids = np.random.default_rng(0).integers(0, 90, (200, 3))
    columns = with_labels(*([*map(str, row)] for row in ids))
    columns["label"][199] = ["7", "99"]
    columns["split"] = ["train"] * 199 + ["test"]
    assert ("label_unseen", 199) in flags_of(tmp_path, columns)


def test_classes_with_a_decimal_point_are_classes(tmp_path):
    """As a table writes whole numbers with a gap among them."""
    columns = with_labels(*["0.0", "1.0", "2.0"] * 10, "3.0")
    columns["split"] = ["train"] * 30 + ["test"]
    assert ("label_unseen", 30) in flags_of(tmp_path, columns)
