import itertools

import numpy as np
import pytest
from PIL import Image

import keras_imp
from keras_imp.validation import FLAGS, findings, scan_and_flag

pytestmark = pytest.mark.one_backend


@pytest.fixture
def images(tmp_path):
    """Writes images that differ; the same number gives the same image."""

    def write(*numbers):
        names = []
        for place, number in enumerate(numbers):
            rng = np.random.default_rng(number)
            pixels = rng.integers(0, 255, (16, 16, 3), "uint8")
            names.append(f"{place}-{number}.png")
            Image.fromarray(pixels).save(tmp_path / names[-1])
        return names

    return write


def flags_of(tmp_path, columns, against=None):
    manifest = keras_imp.data.Manifest(columns, root=tmp_path)
    scan = scan_and_flag(manifest, tmp_path, against=against, workers=1)
    return [(f.flag, f.row, f.other) for f in scan.findings]


def test_a_copy_in_another_split_is_a_leak_of_the_later_one(tmp_path, images):
    columns = {
        "image": images(1, 2, 1, 1),
        "split": ["validation", "train", "train", "test"],
    }
    assert flags_of(tmp_path, columns) == [
        ("leak_image", 0, 2),
        ("leak_image", 3, 2),
    ]


def test_a_copy_in_one_split_is_a_duplicate(tmp_path, images):
    columns = {"image": images(1, 2, 1), "text": ["a", "b", "c"]}
    assert flags_of(tmp_path, columns) == [("duplicate", 2, 0)]


def test_one_file_with_two_captions_is_no_duplicate(tmp_path, images):
    (name,) = images(1)
    columns = {"image": [name, name], "text": ["a", "b"]}
    assert flags_of(tmp_path, columns) == []


def test_equal_rows_are_duplicates(tmp_path):
    assert flags_of(tmp_path, {"text": ["a", "b", "a"]}) == [
        ("duplicate", 2, None)
    ]


def test_other_bytes_with_the_same_pixels_are_a_copy(tmp_path, images):
    (name,) = images(1)
    Image.open(tmp_path / name).save(tmp_path / "same.bmp")
    found = flags_of(tmp_path, {"image": [name, "same.bmp"]})
    assert found == [("duplicate", 1, 0)]


def test_texts_alone_leak_as_an_error(tmp_path):
    columns = {"text": ["A dog.", "a  dog"], "split": ["train", "test"]}
    manifest = keras_imp.data.Manifest(columns, root=tmp_path)
    (finding,) = scan_and_flag(manifest, tmp_path).findings
    assert (finding.flag, finding.row, finding.severity) == (
        "leak_text",
        1,
        "error",
    )


def test_a_caption_of_two_images_is_a_warning(tmp_path, images):
    columns = {
        "image": images(1, 2),
        "text": ["a dog", "a dog"],
        "split": ["train", "test"],
    }
    manifest = keras_imp.data.Manifest(columns, root=tmp_path)
    (finding,) = scan_and_flag(manifest, tmp_path, workers=1).findings
    assert (finding.flag, finding.severity) == ("leak_text", "warning")


def test_a_group_in_two_splits_is_a_leak(tmp_path):
    columns = {
        "text": list("abc"),
        "group": ["x", "", "x"],
        "split": ["train", "train", "test"],
    }
    assert flags_of(tmp_path, columns) == [("leak_group", 2, 0)]


def test_a_label_of_another_split_only_is_unseen(tmp_path):
    columns = {
        "text": list("abcd"),
        "label": ["x", "y", ["x", "z"], "y"],
        "split": ["train", "train", "test", "test"],
    }
    assert flags_of(tmp_path, columns) == [("label_unseen", 2, None)]


def test_numbers_are_no_unseen_labels(tmp_path):
    columns = {
        "text": list("abc"),
        "label": ["0.5", "1", "2.25"],
        "split": ["train", "train", "test"],
    }
    assert flags_of(tmp_path, columns) == []
    # Of whole numbers nothing is said: they may be numbers of classes.
    columns["label"] = ["1", "1", "2"]
    assert flags_of(tmp_path, columns) == [("label_unseen", 2, None)]


def test_one_image_with_two_labels_is_a_conflict(tmp_path, images):
    columns = {"image": images(1, 2, 1), "label": ["x", "x", "y"]}
    assert ("label_conflict", 2, 0) in flags_of(tmp_path, columns)


def test_other_data_is_what_is_compared_with(tmp_path, images):
    names = images(1, 2, 3)
    trained = keras_imp.data.Manifest(
        {"image": names[:2], "label": ["x", "y"]}, root=tmp_path
    )
    columns = {"image": [names[1], names[2]], "label": ["y", "z"]}
    # Rows of the other data are counted first.
    assert flags_of(tmp_path, columns, trained) == [
        ("leak_image", 2, 1),
        ("label_unseen", 3, None),
    ]


def test_data_without_splits_has_no_leaks(tmp_path):
    columns = {"text": ["a", "b"], "label": ["x", "y"], "group": ["g", "g"]}
    assert flags_of(tmp_path, columns) == []


def test_segments_of_one_recording_in_two_splits_are_a_leak(tmp_path):
    import soundfile

    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "a.wav", rng.uniform(-0.5, 0.5, 32000), 16000)
    columns = {
        "audio": ["a.wav"] * 3,
        "start": [0.0, 0.5, 1.0],
        "end": [0.5, 1.0, 1.5],
        "label": ["x", "x", "x"],
        "split": ["train", "train", "test"],
    }
    assert flags_of(tmp_path, columns) == [("leak_audio", 2, 0)]


def test_a_row_without_a_label_is_incomplete(tmp_path, images):
    columns = {"image": images(1, 2), "label": ["x", ""]}
    assert flags_of(tmp_path, columns) == [("incomplete", 1, None)]


def test_a_damaged_file_is_unreadable_and_no_warning(tmp_path):
    (tmp_path / "a.gif").write_bytes(b"GIF87a")
    manifest = keras_imp.data.Manifest({"image": ["a.gif"]}, root=tmp_path)
    (finding,) = scan_and_flag(manifest, tmp_path, workers=1).findings
    assert (finding.flag, finding.severity, finding.detail) == (
        "unreadable",
        "error",
        "damaged",
    )


def test_a_row_without_a_file_is_incomplete(tmp_path, images):
    columns = {"audio": [None, None], "image": [*images(1), None]}
    columns["text"] = ["a", "b"]
    assert flags_of(tmp_path, columns) == [("incomplete", 1, None)]


def test_of_many_findings_the_first_are_kept_and_all_are_counted(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(findings, "KEPT", 2)
    columns = {"image": [f"{number}.png" for number in range(5)]}
    other = keras_imp.data.Manifest({"image": ["6.png"]}, root=tmp_path)
    manifest = keras_imp.data.Manifest(columns, root=tmp_path)
    scan = scan_and_flag(manifest, tmp_path, against=other)
    # The row of the other data is row 0, and not told.
    assert [f.row for f in scan.findings] == [1, 2]
    assert scan.counts() == {"unreadable": 5}
    assert scan.counts("warning") == {}
    assert [r["flags"]["unreadable"] for r in scan.records()] == [1] * 6


def test_flags_have_a_severity_and_a_sentence():
    for severity, sentence in FLAGS.values():
        assert severity in ("error", "warning")
        assert sentence.endswith(".")
    severities = [severity for severity, _ in FLAGS.values()]
    # Errors first, as they are shown.
    assert [key for key, _ in itertools.groupby(severities)] == [
        "error",
        "warning",
    ]


def test_blank_images_of_two_splits_are_no_leak(tmp_path, images):
    for name in ("x.png", "y.png"):
        Image.new("RGB", (16, 16), "white").save(tmp_path / name)
    columns = {
        "image": ["x.png", *images(1), "y.png"],
        "split": ["train", "train", "test"],
    }
    assert flags_of(tmp_path, columns) == [
        ("blank", 0, None),
        ("blank", 2, None),
    ]


def test_labels_conflict_where_the_first_copy_has_none(tmp_path, images):
    columns = {
        "image": images(1, 1, 1),
        "text": ["x", "y", "z"],
        "label": [None, "cat", "dog"],
    }
    found = flags_of(tmp_path, columns)
    assert ("label_conflict", 2, 1) in found
