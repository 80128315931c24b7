"""TFRecords that TensorFlow wrote, read without it."""

import json

import numpy as np
import pytest

from keras_imp.data import read
from keras_imp.data.reading import ReadError
from tests.helpers.files import png, write

pytestmark = pytest.mark.one_backend
tf = pytest.importorskip("tensorflow")
COLORS = ("red", "green", "blue", "white")


def feature(value):
    values = value if isinstance(value, list) else [value]
    if isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def store(path, rows, options=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path), options) as writer:
        for row in rows:
            values = {name: feature(value) for name, value in row.items()}
            features = tf.train.Features(feature=values)
            example = tf.train.Example(features=features)
            writer.write(example.SerializeToString())
    return path


def rows(*colors):
    return [
        {
            "image": png(color),
            "label": COLORS.index(color) - 1,
            "caption": [color.encode(), "naïve ☃".encode()],
            "weight": 0.5,
        }
        for color in colors
    ]


def test_examples_are_rows_and_any_image_is_one_read(tmp_path):
    path = store(tmp_path / "a.tfrecord", rows(*COLORS))
    manifest = read(path)
    assert manifest.row(0) == {
        "image": "record 1",
        "text": ("red", "naïve ☃"),
        "label": "-1",
        "weight": 0.5,
    }
    for row in (3, 0, 2, 1):
        assert manifest.source(row, "image") == png(COLORS[row])
    assert str(manifest.where(2)) == f"{path}, record 3"


def test_a_feature_may_be_missing_in_some_rows(tmp_path):
    examples = [{"text": b"a", "label": b"x"}, {"text": b"b"}]
    manifest = read(store(tmp_path / "a.tfrecord", examples))
    assert list(manifest.column("label")) == ["x", None]


def test_shards_are_one_data_set_with_splits(tmp_path):
    store(tmp_path / "train.tfrecord-00000-of-00002", rows("red", "green"))
    store(tmp_path / "train.tfrecord-00001-of-00002", rows("blue"))
    store(tmp_path / "val.tfrecord-00000-of-00001", rows("white"))
    manifest = read(tmp_path)
    assert list(manifest.values("split")) == ["train"] * 3 + ["validation"]
    taken = manifest.select([3, 2])
    assert taken.source(0, "image") == png("white")
    assert str(taken.where(1)).endswith("00001-of-00002, record 1")


def test_a_shard_that_is_named_for_no_split_is_in_the_notes(tmp_path):
    store(tmp_path / "extra.tfrecord", rows("red"))
    store(tmp_path / "train.tfrecord", rows("blue"))
    manifest = read(tmp_path)
    assert "split" not in manifest.columns
    assert manifest.summary().notes == [
        "Splits in names of files are not used, since these name none: "
        "'extra.tfrecord'."
    ]


@pytest.mark.parametrize("folder", ["", "1.0.0", "variant/1.0.0"])
def test_a_prepared_data_set_has_names_of_classes(tmp_path, folder):
    here = tmp_path / folder
    store(here / "shapes-train.tfrecord-00000-of-00001", rows("red", "green"))
    store(here / "shapes-test.tfrecord-00000-of-00001", rows("blue"))
    write(
        here,
        {
            "features.json": json.dumps({}),
            "dataset_info.json": json.dumps({}),
            "label.labels.txt": "cat\ndog\n",
        },
    )
    manifest = read(tmp_path)
    # -1 stands for no label.
    assert list(manifest.column("label")) == ["dog", None, "cat"]
    assert list(manifest.column("split")) == ["test", "train", "train"]
    assert manifest.source(0, "image") == png("blue")
    assert manifest.found.layout == "TensorFlow Datasets, 2 files"


def test_several_versions_are_refused(tmp_path):
    for version in ("1.0.0", "2.0.0"):
        write(tmp_path / version, {"features.json": "{}"})
    with pytest.raises(ReadError, match=r"versions=\['1\.0\.0', '2\.0\.0'\]"):
        read(tmp_path)


def test_another_format_of_a_prepared_data_set_is_refused(tmp_path):
    files = {"features.json": "{}", "a-train.array_record-00000-of-00001": ""}
    with pytest.raises(ReadError, match="file_format='tfrecord'"):
        read(write(tmp_path, files))


@pytest.mark.parametrize(
    "row",
    [
        {"image": [b"a", b"b"], "text": b"a"},
        {"audio": [1, 2, 3], "text": b"a"},
    ],
)
def test_frames_and_samples_are_no_file(tmp_path, row):
    with pytest.raises(ReadError) as error:
        read(store(tmp_path / "a.tfrecord", [row]))
    assert error.value.reason == "unsupported"
    assert "record=1" in str(error.value)


def test_a_text_that_is_no_utf_8_is_named(tmp_path):
    path = store(tmp_path / "a.tfrecord", [{"text": b"a"}, {"text": b"\xe9"}])
    with pytest.raises(ReadError, match="record=2, byte='0xe9'"):
        read(path)


def test_a_compressed_file_is_refused(tmp_path):
    options = tf.io.TFRecordOptions(compression_type="GZIP")
    with pytest.raises(ReadError, match="gunzip"):
        read(store(tmp_path / "a.tfrecord", rows("red"), options))


@pytest.mark.parametrize("cut", [1, 5, 30, 100])
def test_a_cut_file_is_refused(tmp_path, cut):
    path = store(tmp_path / "a.tfrecord", rows("red", "green"))
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(ReadError, match="record=2"):
        read(path)


def test_an_empty_file_is_refused(tmp_path):
    with pytest.raises(ReadError, match="must have rows"):
        read(write(tmp_path, {"a.tfrecord": b""}) / "a.tfrecord")


def test_random_bytes_inside_end_in_an_error_or_in_rows(tmp_path):
    whole = store(tmp_path / "a.tfrecord", rows(*COLORS * 5)).read_bytes()
    path = tmp_path / "a.tfrecord"
    rng = np.random.default_rng(0)
    outcomes = []
    for _ in range(300):
        data = bytearray(whole)
        at = int(rng.integers(0, len(data) - 4))
        data[at : at + 4] = rng.bytes(4)
        path.write_bytes(data)
        try:
            outcomes.append(len(read(path)))
        except ReadError as error:
            outcomes.append(error.reason)
    assert set(outcomes) <= {
        20,
        "truncated",
        "columns",
        "unsupported",
        "encoding",
    }
    assert {20, "truncated"} <= set(outcomes)
