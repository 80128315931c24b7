"""Rows are scanned and split once, and what is wrong with them is told."""

import json
import re
import shutil

import numpy as np
import pytest

from keras_imp.data import Manifest, read
from keras_imp.evaluation.own_data import look
from keras_imp.evaluation.own_data import scan as scanning
from keras_imp.evaluation.own_data.choices import choose_sizes
from keras_imp.evaluation.own_data.inference import infer
from keras_imp.evaluation.own_data.recipe import DataRecipe, TaskRecipe
from keras_imp.evaluation.own_data.rows import Limits, fix_rows
from keras_imp.evaluation.own_data.show import told_of
from keras_imp.evaluation.run_folder import RunError
from tests.data.odd_files import make_odd_files
from tests.helpers import own_files

pytestmark = pytest.mark.one_backend
LOOSE = Limits(max_bad=0.5)


def fix(tmp_path, manifest, limits=LOOSE, task=None, **choices):
    """The rows of one task on a manifest."""
    recipe = DataRecipe({"a": TaskRecipe("x", **(task or {}))}, **choices)
    manifests = {"a": manifest}
    recipe = choose_sizes(infer(recipe, manifests), manifests)
    folder = tmp_path / "run"
    folder.mkdir(exist_ok=True)
    return fix_rows(recipe, manifests, folder, limits)["a"]


@pytest.fixture
def photos(tmp_path):
    return own_files.captions(tmp_path / "photos")


def spoil(path):
    """Cut an image off after its header."""
    path.write_bytes(path.read_bytes()[:300])


# The scan ---------------------------------------------------------------------


def test_bad_files_are_left_out_and_listed_by_file_row_and_reason(
    tmp_path, photos
):
    spoil(photos.parent / "images/3.jpg")
    (photos.parent / "images/5.jpg").write_bytes(b"")
    (photos.parent / "images/6.jpg").unlink()
    with photos.open("a") as table:
        table.write("images/7.jpg,\n")
    rows = fix(tmp_path, read(photos))
    assert rows.scan.reasons == {"missing": 1, "truncated": 1, "empty": 1}
    assert rows.scan.incomplete == {"no_text": 1}
    used = {*rows.train.numbers.tolist(), *rows.validation.numbers.tolist()}
    # Some images have two rows, so row numbers are not those of the images.
    assert used == {*range(37)} - {*rows.scan.bad} - {36}
    lines = (tmp_path / "run" / "quarantine.jsonl").read_text().splitlines()
    listed = [json.loads(line) for line in lines]
    assert [(each["file"][-5:], each["reason"]) for each in listed] == [
        ("6.jpg", "missing"),
        ("3.jpg", "truncated"),
        ("5.jpg", "empty"),
    ]
    assert all(each["task"] == "a" for each in listed)
    assert listed[1]["where"].endswith("photos.csv, line 6")
    told = "\n".join(told_of(rows))
    assert "photos.csv, line 6: truncated" in told
    assert "no_text" in told


def test_rows_stay_as_the_first_scan_left_them(tmp_path, photos):
    spoil(photos.parent / "images/3.jpg")
    first = fix(tmp_path, read(photos))
    # Mended, and another one broken: both too late for this run.
    shutil.copy(photos.parent / "images/7.jpg", photos.parent / "images/3.jpg")
    (photos.parent / "images/9.jpg").unlink()
    again = fix(tmp_path, read(photos))
    for part in ("train", "validation"):
        np.testing.assert_array_equal(
            getattr(first, part).numbers, getattr(again, part).numbers
        )
    assert len(again.quarantine) == 1


def test_a_scan_that_was_killed_is_done_anew(tmp_path, photos):
    spoil(photos.parent / "images/3.jpg")
    fix(tmp_path, read(photos))
    (tmp_path / "run" / scanning.FILE).unlink()
    rows = fix(tmp_path, read(photos))
    assert rows.scan.reasons == {"truncated": 1}
    lines = (tmp_path / "run" / "quarantine.jsonl").read_text().splitlines()
    assert len(lines) == 1


def test_of_rows_beyond_the_first_only_the_first_bytes_are_read(
    tmp_path, photos
):
    spoil(photos.parent / "images/3.jpg")
    (photos.parent / "images/4.jpg").write_bytes(b"")
    (photos.parent / "images/5.jpg").write_text("This is no image.")
    rows = fix(tmp_path, read(photos), LOOSE._replace(scanned=1))
    assert rows.scan.decoded == 1
    assert rows.scan.reasons == {"empty": 1, "not_image": 1}


def test_too_many_bad_files_stop_the_run_with_their_number(tmp_path, photos):
    spoil(photos.parent / "images/3.jpg")
    told = "Task 'a': At most a fraction of 0.01 of the rows may be bad."
    with pytest.raises(RunError, match=re.escape(told)):
        fix(tmp_path, read(photos), Limits())


def test_strict_stops_at_the_first_bad_file(tmp_path, photos):
    spoil(photos.parent / "images/3.jpg")
    with pytest.raises(RunError, match=r"photos\.csv, line 6: The file is cut"):
        fix(tmp_path, read(photos), LOOSE._replace(strict=True))


def test_a_file_that_crashes_a_decoder_is_one_more_bad_file(
    tmp_path, photos, monkeypatch
):
    target = "tests.validation.faults:crash_on_three"
    monkeypatch.setattr(look, "TARGET", target)
    rows = fix(tmp_path, read(photos))
    assert rows.scan.reasons == {"crash": 1}
    (line,) = (tmp_path / "run" / "quarantine.jsonl").read_text().splitlines()
    listed = json.loads(line)
    assert (listed["file"], listed["detail"]) == ("images/3.jpg", "SIGSEGV")
    assert len(rows.train) + len(rows.validation) == 35


def test_a_copy_in_the_other_split_of_the_data_is_told(tmp_path, photos):
    folder = photos.parent / "images"
    shutil.copy(folder / "1.jpg", folder / "30.jpg")
    lines = photos.read_text().splitlines()
    splits = ["split", *["train"] * 20, *["test"] * 16]
    photos.write_text("\n".join(map(",".join, zip(lines, splits))))
    rows = fix(tmp_path, read(photos))
    number, (line, *_) = rows.scan.alike["leak_image"]
    assert number == 1
    assert line.endswith("photos.csv, line 4")
    assert "leak_image, as" in line
    told = "\n".join(told_of(rows))
    assert "1 of 36 decoded rows are 'leak_image': The image is one" in told
    # Two images may have one caption.
    assert rows.scan.alike["leak_text"][0] == 16


@pytest.mark.parametrize("seed", range(4))
def test_copies_are_not_parted_by_a_drawn_split(tmp_path, photos, seed):
    folder = photos.parent / "images"
    for number in range(2, 32, 2):
        shutil.copy(folder / "1.jpg", folder / f"{number}.jpg")
    rows = fix(tmp_path, read(photos), seed=seed, validation_fraction=0.4)
    assert rows.scan.alike["duplicate"][0] > 10
    files = [
        {
            part.manifest.source(row, "image").read_bytes()
            for row in range(len(part))
        }
        for part in (rows.train, rows.validation)
    ]
    assert not files[0] & files[1]
    again = fix(tmp_path, read(photos), seed=seed, validation_fraction=0.4)
    np.testing.assert_array_equal(rows.train.numbers, again.train.numbers)


def test_one_content_with_two_labels_is_told_where_labels_are_learned(tmp_path):
    folder = own_files.class_folders(tmp_path / "classes")
    shutil.copy(folder / "red" / "1.png", folder / "blue" / "1.png")
    rows = fix(tmp_path, read(folder))
    assert {n: count for n, (count, _) in rows.scan.alike.items()} == {
        "label_conflict": 1,
        "duplicate": 1,
    }


def test_blank_images_are_no_copies_of_each_other(tmp_path):
    folder = own_files.class_folders(tmp_path / "classes")
    for path in folder.rglob("*.png"):
        own_files.Image.new("RGB", (40, 40)).save(path)
    rows = fix(tmp_path, read(folder))
    assert rows.scan.notes == {"blank": 24}
    assert rows.scan.alike == {}


def test_videos_without_audio_are_left_out_where_audio_is_learned(tmp_path):
    make_odd_files(tmp_path)
    folder = tmp_path / "data" / "video"
    names = []
    for number in range(12):
        source = "silent_track" if number % 4 == 0 else "good"
        names.append(f"{number}.mp4")
        shutil.copy(folder / f"{source}.mp4", tmp_path / names[-1])
    splits = ["train"] * 6 + ["test"] * 6
    manifest = Manifest({"video": names, "split": splits}, root=tmp_path)
    rows = fix(tmp_path, manifest, Limits())
    assert rows.inputs == ("video", "audio")
    assert rows.scan.incomplete == {"no_audio": 3}
    assert rows.scan.reasons == {}
    used = {*rows.train.numbers.tolist(), *rows.validation.numbers.tolist()}
    assert used == {*range(12)} - {0, 4, 8}


def test_odd_files_are_counted_by_their_note(tmp_path):
    folder = own_files.class_folders(tmp_path / "classes")
    own_files.Image.new("RGB", (40, 40)).save(folder / "red" / "0.png")
    rows = fix(tmp_path, read(folder))
    assert rows.scan.notes == {"blank": 1}
    assert "1 of 24 decoded rows are 'blank'" in "\n".join(told_of(rows))


# The split --------------------------------------------------------------------


def texts(**given):
    rows = len(next(iter(given.values())))
    return Manifest({"text": [f"text {n}" for n in range(rows)], **given})


def test_a_split_of_the_data_is_kept(tmp_path):
    rows = fix(
        tmp_path,
        texts(
            label=["x", "y", "x", "y", "x", "y"],
            split=["train", "train", "validation", "test", "validation", None],
        ),
    )
    assert rows.train.numbers.tolist() == [0, 1]
    assert rows.validation.numbers.tolist() == [2, 4]
    assert rows.split == (
        "'validation' of the column `split` is held out. Not used: "
        "1 of 'none', 1 of 'test'."
    )


def test_without_validation_rows_those_of_test_are_held_out(tmp_path):
    rows = fix(
        tmp_path, texts(label=["x", "y", "x"], split=["train"] * 2 + ["test"])
    )
    assert rows.validation.numbers.tolist() == [2]


def test_groups_are_not_parted(tmp_path):
    groups = [str(number // 4) for number in range(80)]
    rows = fix(tmp_path, texts(label=["x", "y"] * 40, group=groups))
    train, held_out = (
        {groups[row] for row in part.numbers}
        for part in (rows.train, rows.validation)
    )
    assert held_out
    assert not train & held_out


def test_a_label_that_only_held_out_rows_would_have_stays_in_training(tmp_path):
    labels = [str(number) for number in range(60)] + ["x", "y"] * 30
    rows = fix(tmp_path, texts(label=labels), task={"kind": "classification"})
    seen = {labels[row] for row in rows.train.numbers}
    assert {labels[row] for row in rows.validation.numbers} <= seen
    assert "rows stay in training" in rows.split


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (
            {
                "label": ["cat", "dog", "cot"],
                "split": ["train", "train", "test"],
            },
            "Task 'a': labels of validation rows must occur in training. The "
            "first one that does not is in ., row 3. Received: "
            "labels=['cot']. Did you mean 'cat'?",
        ),
        (
            {"label": ["x"] * 20},
            "Task 'a' needs two classes or more in its training rows.",
        ),
        (
            {"label": ["x", "y"]},
            "Task 'a' needs rows to train on and others to validate with",
        ),
        (
            {"label": ["x", "y"], "split": ["test", "training set"]},
            "A column `split` must have rows of 'train'.",
        ),
        ({"label": ["1.5"] * 20}, "Task 'a' needs different numbers"),
    ],
)
def test_what_cannot_be_trained_on_is_told(tmp_path, columns, told):
    with pytest.raises(RunError, match=re.escape(told)):
        fix(tmp_path, texts(**columns))


def test_a_word_among_numbers_is_told_with_its_row(tmp_path):
    manifest = texts(label=["1.5", "2.5", "three"] * 9)
    told = "the label must be a finite number. Received: label='three'."
    with pytest.raises(RunError, match=re.escape(told)):
        fix(tmp_path, manifest, task={"kind": "regression"})


def test_no_usable_row_is_told_with_the_reasons(tmp_path):
    manifest = Manifest({"text": ["a", "b", "c"], "label": [None] * 3})
    told = (
        "Task 'a' has no row that can be used. The first ones: ., row 1: "
        "no_label; ., row 2: no_label; ., row 3: no_label. Received: rows=3, "
        "no_label=3. Mend the data, or name other columns in a recipe."
    )
    with pytest.raises(RunError, match=re.escape(told)):
        fix(tmp_path, manifest)


def test_texts_that_are_all_equal_are_refused(tmp_path):
    table = own_files.captions(tmp_path / "photos")
    lines = table.read_text().splitlines()
    same = [line.split(",")[0] + ",a photo" for line in lines[1:]]
    table.write_text("\n".join([lines[0], *same]))
    with pytest.raises(RunError, match="needs different texts to tell apart"):
        fix(tmp_path, read(table))


def test_fewer_rows_than_a_batch_make_a_smaller_batch(tmp_path, photos):
    rows = fix(tmp_path, read(photos), task={"batch_size": 64})
    assert rows.batch_size == len(rows.train)
    told = "fewer rows to train on than a batch of 64, so batches have"
    assert told in "\n".join(told_of(rows))


def test_mended_files_are_used_after_a_scan_that_failed(tmp_path, photos):
    spoil(photos.parent / "images/3.jpg")
    strict = LOOSE._replace(strict=True)
    with pytest.raises(RunError, match="The file is cut"):
        fix(tmp_path, read(photos), strict)
    with pytest.raises(RunError, match="The file is cut"):
        fix(tmp_path, read(photos), strict)
    shutil.copy(photos.parent / "images/7.jpg", photos.parent / "images/3.jpg")
    rows = fix(tmp_path, read(photos), strict)
    assert rows.scan.bad == []


def test_other_rows_than_those_that_were_scanned_are_refused(tmp_path, photos):
    fix(tmp_path, read(photos))
    with photos.open("a") as file:
        file.write("images/7.jpg,one more\n")
    told = "The rows of task 'a' must be those of the run. Received: rows="
    with pytest.raises(RunError, match=re.escape(told)):
        fix(tmp_path, read(photos))


def test_other_tasks_than_those_that_were_scanned_are_refused(tmp_path, photos):
    fix(tmp_path, read(photos))
    folder = tmp_path / "run"
    found = json.loads((folder / scanning.FILE).read_text())
    found["b"] = found.pop("a")
    (folder / scanning.FILE).write_text(json.dumps(found))
    with pytest.raises(RunError, match="The tasks of a run must be those"):
        fix(tmp_path, read(photos))
