import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from keras_imp.data import read
from keras_imp.data.decoding.errors import BadFile
from keras_imp.data.reading import ReadError, hugging_face, parquet
from tests.helpers.files import png, touch, write

pytestmark = pytest.mark.one_backend
COLORS = ("red", "green", "blue", "white")


def store(path, columns, features=None, **kwargs):
    table = pa.table(columns)
    if features:
        info = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": info})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **kwargs)
    return path


def images():
    return [{"bytes": png(c), "path": f"{c}.png"} for c in COLORS]


CLASSES = {
    "label": {"names": ["cat", "dog"], "_type": "ClassLabel"},
    "image": {"_type": "Image"},
}


def test_files_may_be_named(tmp_path):
    touch(tmp_path, "a.jpg", "b.jpg")
    path = store(
        tmp_path / "t.parquet",
        {
            "file_name": ["a.jpg", "b.jpg"],
            "captions": [["one", "two"], None],
            "weight": [1, 2],
        },
    )
    manifest = read(path)
    assert manifest.row(0) == {
        "image": "a.jpg",
        "text": ("one", "two"),
        "weight": 1.0,
    }
    assert manifest.source(1, "image") == tmp_path / "b.jpg"
    assert str(manifest.where(1)) == f"{path}, row 2"


def test_bytes_of_any_row_are_read_from_its_group(tmp_path):
    path = store(
        tmp_path / "t.parquet",
        {"image": images(), "label": [0, 1, -1, 0]},
        CLASSES,
        row_group_size=1,
    )
    manifest = read(path)
    assert list(manifest.column("label")) == ["cat", "dog", None, "cat"]
    assert list(manifest.column("image")) == [f"{c}.png" for c in COLORS]
    for row in (3, 0, 2, 1, 3):
        assert manifest.source(row, "image") == png(COLORS[row])
    taken = manifest.select(label="cat")
    assert taken.source(1, "image") == png("white")


def test_a_column_of_plain_bytes_has_rows_for_names(tmp_path):
    path = store(
        tmp_path / "t.parquet",
        {"audio": [b"one", None], "text": ["a", "b"]},
    )
    manifest = read(path)
    assert manifest.row(0)["audio"] == "row 1"
    assert manifest.source(0, "audio") == b"one"
    with pytest.raises(BadFile) as error:
        manifest.source(1, "audio")
    assert error.value.reason == "empty"


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_texts_without_the_mark_of_utf_8_are_read(tmp_path, kind):
    path = store(
        tmp_path / "t.parquet",
        {
            "image": [png("red"), png("blue")],
            "text": pa.array(["naïve ☃".encode(), None], kind),
            "label": pa.array([b"cat", b"dog"], kind),
            "group": pa.array([b"a", b"b"], kind),
            "split": pa.array([b"train", b"val"], kind),
        },
    )
    manifest = read(path)
    assert manifest.row(0) == {
        "image": "row 1",
        "text": "naïve ☃",
        "label": "cat",
        "group": "a",
        "split": "train",
    }
    assert manifest.row(1)["text"] is None
    assert manifest.row(1)["split"] == "validation"
    assert manifest.source(1, "image") == png("blue")


def test_several_captions_may_lack_the_mark_of_utf_8(tmp_path):
    columns = {"captions": pa.array([[b"one", b"two"], []])}
    manifest = read(store(tmp_path / "t.parquet", columns))
    assert list(manifest.column("text")) == [("one", "two"), None]


@pytest.mark.parametrize("name", ["path", "file_name", "image_path"])
def test_names_of_files_may_lack_the_mark_of_utf_8(tmp_path, name):
    touch(tmp_path, "a.jpg", "b.jpg")
    columns = {name: [b"a.jpg", b"b.jpg"], "text": [b"one", b"two"]}
    manifest = read(store(tmp_path / "t.parquet", columns))
    assert manifest.row(0) == {"image": "a.jpg", "text": "one"}
    assert manifest.source(1, "image") == tmp_path / "b.jpg"


@pytest.mark.parametrize("is_saved", [False, True])
def test_bytes_of_files_are_not_read_for_a_name_in_their_columns(
    tmp_path, monkeypatch, is_saved
):
    """A group of rows of a Parquet file may have gigabytes of them."""
    one = hugging_face._Mapped if is_saved else parquet._Parquet
    read_batches, names = one.batches, []

    def noted(self, columns, *size):
        names.extend(columns)
        return read_batches(self, columns, *size)

    monkeypatch.setattr(one, "batches", noted)
    noise = np.random.default_rng(0).bytes
    columns = {"audio_file": [noise(9000), noise(9000)], "label": ["a", "b"]}
    if is_saved:
        manifest = read(save_to_disk(tmp_path / "saved", columns))
    else:
        manifest = read(store(tmp_path / "t.parquet", columns))
    assert manifest.source(1, "audio") == columns["audio_file"][1]
    assert set(names) == {"label"}


def test_a_text_without_the_mark_that_is_no_utf_8_is_named(tmp_path):
    columns = {"text": [b"one", "café".encode("latin-1")]}
    path = store(tmp_path / "t.parquet", columns)
    with pytest.raises(ReadError) as error:
        read(path)
    assert error.value.reason == "encoding"
    assert str(error.value) == (
        "Texts of the table must be in UTF-8. "
        f"Received: path={str(path)!r}, row=2, byte='0xe9'. "
        "Name their encoding, as in encoding='latin-1', or save them as UTF-8."
    )
    named = read(path, encoding="latin-1")
    assert list(named.column("text")) == ["one", "café"]


def test_a_table_of_bytes_alone_has_rows(tmp_path):
    path = store(tmp_path / "t.parquet", {"image": [png(c) for c in COLORS]})
    manifest = read(path)
    assert list(manifest.column("image")) == [f"row {n}" for n in (1, 2, 3, 4)]
    assert manifest.source(3, "image") == png("white")


def test_a_table_of_bytes_alone_that_is_empty_is_refused(tmp_path):
    path = store(tmp_path / "t.parquet", {"image": pa.array([], pa.binary())})
    with pytest.raises(ReadError, match="must have rows"):
        read(path)


def test_a_row_without_a_pair_has_no_image(tmp_path):
    columns = {"image": [*images()[:1], None], "text": ["a", "b"]}
    manifest = read(store(tmp_path / "t.parquet", columns))
    assert manifest.column("image")[1] is None
    (problem,) = manifest.problems()
    assert problem.reason == "no_image"


@pytest.mark.parametrize("folder", ["", "data"])
def test_shards_named_for_splits_are_one_data_set(tmp_path, folder):
    for name, rows in (
        ("train-00000-of-00002", [0, 1]),
        ("train-00001-of-00002", [2]),
        ("validation-00000-of-00001", [3]),
    ):
        columns = {
            "image": [images()[row] for row in rows],
            "text": [COLORS[row] for row in rows],
        }
        store(tmp_path / folder / f"{name}.parquet", columns)
    manifest = read(tmp_path)
    assert list(manifest.values("split")) == ["train"] * 3 + ["validation"]
    for row, color in enumerate(manifest.values("text")):
        assert manifest.source(row, "image") == png(color)
    _, validation = (manifest.select(split=s) for s in ("train", "validation"))
    assert validation.source(0, "image") == png("white")


def test_shards_that_were_pushed_with_a_hash_in_the_name_have_splits(tmp_path):
    for split, digest in (
        ("train", "a09b74b3ef9c3b56"),
        ("test", "0123456789abcdef"),
    ):
        name = f"data/{split}-00000-of-00001-{digest}.parquet"
        store(tmp_path / name, {"text": [split]})
    manifest = read(tmp_path)
    assert list(manifest.column("split")) == ["test", "train"]
    assert list(manifest.column("text")) == ["test", "train"]


def test_a_shard_that_is_named_for_no_split_is_in_the_notes(tmp_path):
    for name in ("extra", "test", "train"):
        store(tmp_path / f"{name}.parquet", {"text": [name]})
    manifest = read(tmp_path)
    assert manifest.columns == ("text",)
    assert manifest.summary().notes == [
        "Splits in names of files are not used, since these name none: "
        "'extra.parquet'."
    ]


def test_shards_that_have_a_column_of_splits_need_none_in_their_names(
    tmp_path,
):
    for name in ("extra", "train"):
        columns = {"text": [name], "split": ["test"]}
        store(tmp_path / f"{name}.parquet", columns)
    manifest = read(tmp_path)
    assert list(manifest.column("split")) == ["test", "test"]
    assert manifest.summary().notes == []


@pytest.mark.parametrize("keep", [0, 10, 300])
def test_a_cut_file_is_refused(tmp_path, keep):
    path = store(tmp_path / "t.parquet", {"text": ["a"] * 99})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ReadError) as error:
        read(path)
    assert error.value.reason == "syntax"


def test_random_bytes_inside_end_in_an_error_or_in_rows(tmp_path):
    path = store(
        tmp_path / "t.parquet",
        {"text": [f"text {n}" for n in range(500)], "image": images() * 125},
    )
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    outcomes = []
    for _ in range(60):
        data = bytearray(whole)
        at = int(rng.integers(0, len(data) - 20))
        data[at : at + 20] = rng.bytes(20)
        path.write_bytes(data)
        try:
            outcomes.append(len(read(path)))
        except ReadError as error:
            outcomes.append(error.reason)
    assert set(outcomes) <= {500, "syntax", "columns", "empty"}
    assert {500, "syntax"} <= set(outcomes)


def test_an_empty_table_is_refused(tmp_path):
    path = store(tmp_path / "t.parquet", {"text": pa.array([], pa.string())})
    with pytest.raises(ReadError, match="must have rows"):
        read(path)


def save_to_disk(folder, columns, features=None, chunks=1):
    """Write what `datasets.Dataset.save_to_disk` writes."""
    table = pa.table(columns)
    info = json.dumps({"info": {"features": features or {}}})
    table = table.replace_schema_metadata({"huggingface": info})
    size = -(-len(table) // chunks)
    names = [f"data-{n:05}-of-{chunks:05}.arrow" for n in range(chunks)]
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        part = table.slice(number * size, size)
        with pa.ipc.new_stream(str(folder / name), part.schema) as stream:
            stream.write_table(part)
    files = [{"filename": name} for name in names]
    write(folder, {"state.json": json.dumps({"_data_files": files})})
    return folder


def test_a_saved_data_set_is_mapped_and_read_by_row(tmp_path):
    save_to_disk(
        tmp_path,
        {"image": images(), "label": [1, 0, 1, 0]},
        CLASSES,
        chunks=2,
    )
    manifest = read(tmp_path)
    assert list(manifest.column("label")) == ["dog", "cat", "dog", "cat"]
    for row in (3, 0, 2, 1):
        assert manifest.source(row, "image") == png(COLORS[row])


def test_a_saved_data_set_may_have_bytes_alone_or_texts_without_a_mark(
    tmp_path,
):
    save_to_disk(tmp_path / "a", {"image": [png(c) for c in COLORS]}, chunks=2)
    assert read(tmp_path / "a").source(3, "image") == png("white")
    save_to_disk(tmp_path / "b", {"text": [b"one", b"two"]})
    assert list(read(tmp_path / "b").column("text")) == ["one", "two"]


def test_a_saved_dictionary_has_splits(tmp_path):
    save_to_disk(tmp_path / "train", {"image": images(), "text": [*COLORS]})
    save_to_disk(tmp_path / "dev", {"image": images()[:1], "text": ["one"]})
    names = json.dumps({"splits": ["train", "dev"]})
    write(tmp_path, {"dataset_dict.json": names})
    manifest = read(tmp_path)
    assert list(manifest.values("split")) == ["train"] * 4 + ["validation"]
    assert manifest.source(4, "image") == png("red")


def test_files_that_a_saved_data_set_names_must_be_in_its_folder(tmp_path):
    state = {"_data_files": [{"filename": "../other.arrow"}]}
    write(tmp_path, {"state.json": json.dumps(state)})
    with pytest.raises(ReadError) as error:
        read(tmp_path)
    assert error.value.reason == "outside"


def test_a_saved_file_that_is_cut_is_refused(tmp_path):
    folder = save_to_disk(tmp_path, {"text": ["a"] * 999})
    file = next(folder.glob("*.arrow"))
    file.write_bytes(file.read_bytes()[:600])
    with pytest.raises(ReadError) as error:
        read(tmp_path)
    assert error.value.reason == "syntax"
