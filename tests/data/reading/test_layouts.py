"""Layouts of well-known data sets, by small copies of their files."""

import json

import pytest

from keras_imp.data import read
from keras_imp.data.reading import ReadError
from tests.helpers.files import touch, write

pytestmark = pytest.mark.one_backend


def rows(manifest):
    return [tuple(row.values()) for row in manifest]


def test_coco_has_one_row_per_image_with_all_captions(tmp_path):
    def captions(first):
        return json.dumps(
            {
                "images": [
                    {"id": first, "file_name": f"{first}.jpg"},
                    {"id": first + 1, "file_name": f"{first + 1}.jpg"},
                ],
                "annotations": [
                    {"image_id": first, "id": 1, "caption": "one"},
                    {"image_id": first + 1, "id": 2, "caption": "two"},
                    {"image_id": first, "id": 3, "caption": "three"},
                ],
            }
        )

    write(
        tmp_path,
        {
            "annotations/captions_train2017.json": captions(1),
            "annotations/captions_val2017.json": captions(8),
            "annotations/instances_val2017.json": "{}",
        },
    )
    touch(tmp_path, "train2017/1.jpg", "train2017/2.jpg", "val2017/8.jpg")
    manifest = read(tmp_path)
    assert manifest.columns == ("image", "text", "split")
    assert rows(manifest)[0] == ("train2017/1.jpg", ("one", "three"), "train")
    assert rows(manifest)[3] == ("val2017/9.jpg", ("two",), "validation")
    assert str(manifest.where(3)).endswith(
        "annotations/captions_val2017.json, image 2"
    )
    (problem,) = manifest.problems()
    assert (problem.reason, problem.rows.tolist()) == ("missing", [3])


def test_coco_captions_of_no_image_are_refused(tmp_path):
    data = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "annotations": [{"image_id": 2, "caption": "a"}],
    }
    write(tmp_path, {"captions.json": json.dumps(data)})
    with pytest.raises(ReadError, match=r"'annotation 1: image_id 2'"):
        read(tmp_path / "captions.json")


def test_flickr8k_has_one_row_per_image_and_its_splits(tmp_path):
    write(
        tmp_path,
        {
            "Flickr8k.token.txt": "a.jpg#0\tone\na.jpg#1\ttwo\nb.jpg#0\tx y\n",
            "Flickr_8k.trainImages.txt": "a.jpg\n",
            "Flickr_8k.devImages.txt": "b.jpg\n",
        },
    )
    touch(tmp_path, "Flicker8k_Dataset/a.jpg", "Flicker8k_Dataset/b.jpg")
    manifest = read(tmp_path)
    assert rows(manifest) == [
        ("a.jpg", ("one", "two"), "train"),
        ("b.jpg", ("x y",), "validation"),
    ]
    assert manifest.source(0, "image").parent.name == "Flicker8k_Dataset"
    assert not manifest.problems()


def test_known_captions_have_fixed_columns(tmp_path):
    write(tmp_path, {"tokens.txt": "a.jpg#0\tone\n"})
    with pytest.raises(ReadError, match="Leave `columns` out"):
        read(tmp_path / "tokens.txt", columns={"label": "x"})


def test_a_broken_line_of_flickr8k_is_named(tmp_path):
    write(tmp_path, {"tokens.txt": "a.jpg#0\tone\nb.jpg two\n"})
    with pytest.raises(ReadError, match="line=2"):
        read(tmp_path / "tokens.txt")


def test_esc_50_takes_the_category_and_groups_by_recording(tmp_path):
    table = (
        "filename,fold,target,category,esc10,src_file,take\n"
        "1-100032-A-0.wav,1,0,dog,True,100032,A\n"
        "1-100032-B-0.wav,1,0,dog,True,100032,B\n"
        "2-100210-A-36.wav,2,36,vacuum_cleaner,False,100210,A\n"
    )
    write(tmp_path, {"meta/esc50.csv": table})
    touch(
        tmp_path,
        "audio/1-100032-A-0.wav",
        "audio/1-100032-B-0.wav",
        "audio/2-100210-A-36.wav",
    )
    manifest = read(tmp_path)
    assert rows(manifest)[0] == ("1-100032-A-0.wav", "dog", "100032")
    assert not manifest.problems()
    groups = manifest.groups()
    assert groups[0] == groups[1] != groups[2]
    folds = read(tmp_path, columns={"split": "fold"})
    assert len(folds.select(split="2")) == 1


KINETICS = (
    "label,youtube_id,time_start,time_end,split\n"
    "riding a bike,---0dWlqevI,19,29,train\n"
    "surfing,-0WZKTu0xRk,7,17,validate\n"
    "surfing,gone0000000,1,11,validate\n"
)


def test_kinetics_finds_parts_and_whole_videos(tmp_path):
    write(tmp_path, {"kinetics.csv": KINETICS})
    touch(
        tmp_path,
        "train/riding a bike/---0dWlqevI_000019_000029.mp4",
        "videos/-0WZKTu0xRk.mkv",
    )
    manifest = read(tmp_path / "kinetics.csv")
    assert manifest.row(0) == {
        "video": "train/riding a bike/---0dWlqevI_000019_000029.mp4",
        "label": "riding a bike",
        "split": "train",
        "start": None,
        "end": None,
    }
    assert manifest.row(1) == {
        "video": "videos/-0WZKTu0xRk.mkv",
        "label": "surfing",
        "split": "validation",
        "start": 7.0,
        "end": 17.0,
    }
    (problem,) = manifest.problems()
    assert (problem.reason, problem.rows.tolist()) == ("missing", [2])


def test_metadata_beside_files_names_them(tmp_path):
    write(
        tmp_path,
        {
            "metadata.jsonl": '{"file_name": "clips/a.wav", "text": "hello"}\n',
            "clips/a.wav": b"",
        },
    )
    manifest = read(tmp_path)
    assert rows(manifest) == [("clips/a.wav", "hello")]
    assert manifest.source(0, "audio") == tmp_path / "clips/a.wav"


def test_metadata_in_the_folder_of_a_split_names_files_there(tmp_path):
    write(
        tmp_path,
        {
            "train/metadata.csv": "file_name,caption\na.jpg,one\n",
            "train/a.jpg": b"",
            "val/metadata.csv": "file_name,caption\nb.jpg,two\n",
            "val/b.jpg": b"",
        },
    )
    manifest = read(tmp_path)
    assert rows(manifest) == [
        ("train/a.jpg", "one", "train"),
        ("val/b.jpg", "two", "validation"),
    ]
    assert not manifest.problems()
    assert str(manifest.where(1)).endswith("val/metadata.csv, line 2")


def test_tables_named_for_splits_are_one_data_set(tmp_path):
    write(
        tmp_path,
        {"train.csv": "text,label\na,x\n", "test.csv": "text\nb\n"},
    )
    manifest = read(tmp_path)
    assert rows(manifest) == [("b", None, "test"), ("a", "x", "train")]


def tables_of_splits(folder, train, test):
    """Tables for two splits, with bare names of files."""
    tables = {"train.csv": train, "test.csv": test}
    return write(
        folder,
        {
            name: "image,label\n" + "".join(f"{file},x\n" for file in files)
            for name, files in tables.items()
        },
    )


def test_tables_for_splits_may_have_their_files_in_folders_of_splits(tmp_path):
    tables_of_splits(tmp_path, ["a.jpg", "b.jpg"], ["c.jpg", "d.jpg"])
    touch(tmp_path, "train/a.jpg", "train/b.jpg", "test/c.jpg", "test/d.jpg")
    manifest = read(tmp_path)
    assert rows(manifest) == [
        ("test/c.jpg", "x", "test"),
        ("test/d.jpg", "x", "test"),
        ("train/a.jpg", "x", "train"),
        ("train/b.jpg", "x", "train"),
    ]
    assert manifest.source(0, "image") == tmp_path / "test/c.jpg"
    assert not manifest.problems()
    assert manifest.summary().notes == [
        "Files of 'test.csv' are in the folder 'test', of 'train.csv' in "
        "'train', so their names are read from there."
    ]


def test_files_of_one_name_in_two_splits_are_those_of_their_tables(tmp_path):
    tables_of_splits(tmp_path, ["0.jpg", "1.jpg"], ["0.jpg", "1.jpg"])
    touch(
        tmp_path, *[f"{s}/{n}.jpg" for s in ("training", "test") for n in "01"]
    )
    names = list(read(tmp_path).column("image"))
    assert names == [
        "test/0.jpg",
        "test/1.jpg",
        "training/0.jpg",
        "training/1.jpg",
    ]
    manifest = read(tmp_path / "train.csv")
    assert manifest.source(0, "image") == tmp_path / "training/0.jpg"


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train_images", "test_images"),
        ("images.train2017", "images.test2017"),
        # The folder of another split comes last.
        ("photos", "dev-and-test"),
        ("training set", "a photos"),
    ],
)
def test_a_folder_may_have_a_split_in_its_name(tmp_path, train, test):
    tables_of_splits(tmp_path, ["0.jpg", "1.jpg"], ["0.jpg"])
    touch(tmp_path, *[f"{s}/{n}.jpg" for s in (train, test) for n in "01"])
    names = list(read(tmp_path).column("image"))
    assert names == [f"{test}/0.jpg", f"{train}/0.jpg", f"{train}/1.jpg"]


def test_a_folder_is_looked_for_in_the_root_that_is_given(tmp_path):
    tables_of_splits(tmp_path / "tables", ["a.jpg"], ["b.jpg"])
    touch(tmp_path / "data", "train/a.jpg", "test/b.jpg")
    manifest = read(tmp_path / "tables", root=tmp_path / "data")
    assert list(manifest.column("image")) == ["test/b.jpg", "train/a.jpg"]
    assert not manifest.problems()


def test_tables_for_splits_may_have_their_files_in_one_folder(tmp_path):
    tables_of_splits(tmp_path, ["a.jpg"], ["gone.jpg"])
    touch(tmp_path, "photos/a.jpg", "other/b.jpg")
    manifest = read(tmp_path)
    assert list(manifest.column("image")) == ["gone.jpg", "a.jpg"]
    assert manifest.source(1, "image") == tmp_path / "photos/a.jpg"
    assert "the folder 'photos', so" in manifest.summary().notes[0]


def test_several_tables_of_other_names_are_refused(tmp_path):
    write(tmp_path, {"a.csv": "text\na\n", "b.csv": "text\nb\n"})
    with pytest.raises(ReadError, match=r"tables=\['a\.csv', 'b\.csv'\]"):
        read(tmp_path)


def test_a_stray_table_beside_folders_of_classes_is_told(tmp_path):
    write(tmp_path, {"classes.csv": "number,latin\n1,canis\n"})
    touch(tmp_path, "cat/a.jpg", "dog/b.jpg")
    manifest = read(tmp_path)
    assert rows(manifest) == [("cat/a.jpg", "cat"), ("dog/b.jpg", "dog")]
    assert "Not read: 'classes.csv'" in manifest.summary().notes[-1]
