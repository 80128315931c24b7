import io
import json
import tarfile

import pytest

from keras_imp.data import read
from keras_imp.data.decoding import decode_image
from keras_imp.data.reading import ReadError
from tests.helpers.files import png, write

pytestmark = pytest.mark.one_backend


def pack(path, members):
    """Write an archive of (name, bytes); return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def members_of(path):
    with tarfile.open(path) as archive:
        return archive.getmembers()


def sample(number, color="red"):
    return [
        (f"{number:06}.png", png(color)),
        (f"{number:06}.txt", f"a {color} square\n".encode()),
        (f"{number:06}.cls", str(number % 2).encode()),
    ]


@pytest.fixture
def shards(tmp_path):
    pack(tmp_path / "train-000000.tar", sample(0) + sample(1, "blue"))
    pack(tmp_path / "train-000001.tar", sample(2, "green"))
    pack(tmp_path / "val-000000.tar", sample(3))
    return tmp_path


def test_a_sample_is_a_row_and_any_row_is_one_read(shards):
    manifest = read(shards / "train-000000.tar")
    assert manifest.row(1) == {
        "image": "000001.png",
        "text": "a blue square",
        "label": "1",
    }
    assert manifest.source(1, "image") == png("blue")
    assert decode_image(manifest.source(1, "image")).values[0, 0, 2] == 255
    assert str(manifest.where(1)) == (
        f"{shards / 'train-000000.tar'}, member 000001.png"
    )


def test_what_is_empty_beside_a_file_says_nothing(tmp_path):
    empty = [(f"a.{ending}", b"") for ending in ("txt", "cls", "json")]
    samples = [("a.png", b""), *empty, ("b.png", b""), ("b.txt", b"words")]
    manifest = read(pack(tmp_path / "a.tar", samples))
    assert [tuple(row.values()) for row in manifest] == [
        ("a.png", None),
        ("b.png", "words"),
    ]


def test_shards_of_a_folder_are_one_data_set_with_splits(shards):
    manifest = read(shards)
    assert list(manifest.values("split")) == ["train"] * 3 + ["validation"]
    taken = manifest.select([3, 2])
    assert taken.source(1, "image") == png("green")
    assert taken.where(1).file == shards / "train-000001.tar"


def test_shards_in_folders_of_splits_have_those(tmp_path):
    pack(tmp_path / "train" / "a.tar", sample(0))
    pack(tmp_path / "test" / "a.tar", sample(1))
    assert list(read(tmp_path).values("split")) == ["test", "train"]


def test_an_archive_that_is_named_for_no_split_is_in_the_notes(shards):
    pack(shards / "extra.tar", sample(4))
    manifest = read(shards)
    assert "split" not in manifest.columns
    assert manifest.summary().notes == [
        "Splits in names of files are not used, since these name none: "
        "'extra.tar'."
    ]


def test_json_gives_columns_and_texts_come_first(tmp_path):
    values = {"caption": "from json", "key": 7, "speaker": 12}
    path = pack(
        tmp_path / "a.tar",
        [
            ("x/1.flac", b"f"),
            ("x/1.json", json.dumps(values).encode()),
            ("x/2.flac", b"f"),
            ("x/2.json", json.dumps(values).encode()),
            ("x/2.txt", b"from text"),
        ],
    )
    manifest = read(path)
    assert list(manifest.values("text")) == ["from json", "from text"]
    assert list(manifest.values("group")) == ["12", "12"]
    keyed = read(path, columns={"label": "key"})
    assert list(keyed.values("label")) == ["7", "7"]


def test_a_wanted_key_that_no_sample_has_is_told(tmp_path):
    values = json.dumps({"category": "cat"}).encode()
    path = pack(tmp_path / "a.tar", [("1.png", png("red")), ("1.json", values)])
    with pytest.raises(ReadError, match="Did you mean 'category'"):
        read(path, columns={"label": "categroy"})


def test_of_two_images_one_must_be_named(tmp_path):
    path = pack(
        tmp_path / "a.tar",
        [("1.input.png", png("red")), ("1.target.png", png("blue"))],
    )
    with pytest.raises(ReadError, match=r"endings=\['input.png', 'target.png"):
        read(path)
    manifest = read(path, columns={"image": "target.png"})
    assert manifest.source(0, "image") == png("blue")


def test_pickles_are_counted_and_never_read(tmp_path):
    members = [("1.png", png("red")), ("1.pyd", b"x"), ("1.emb.pth", b"x")]
    manifest = read(pack(tmp_path / "a.tar", members))
    assert manifest.columns == ("image",)
    assert manifest.summary().notes == [
        "Left out: 2 members that may be pickles."
    ]


def test_names_that_leave_the_archive_are_only_names(tmp_path):
    path = pack(tmp_path / "a.tar", [("../../1.png", png("red"))])
    assert read(path).source(0, "image") == png("red")
    assert list(tmp_path.iterdir()) == [path]


def test_links_and_hidden_members_are_left_out(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("0.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        for name in ("._1.png", "1.png"):
            info = tarfile.TarInfo(name)
            info.size = 1
            archive.addfile(info, io.BytesIO(b"x"))
    manifest = read(path)
    assert list(manifest.column("image")) == ["1.png"]
    assert "2 hidden members and links" in manifest.summary().notes[0]


@pytest.mark.parametrize("cut", [0.2, 0.5, 0.7, 0.9])
def test_a_cut_archive_is_refused(tmp_path, cut):
    path = pack(tmp_path / "a.tar", [*sample(0), ("1.png", bytes(20_000))])
    last = members_of(path)[-1]
    end = last.offset_data + last.size
    path.write_bytes(path.read_bytes()[: int(end * cut)])
    with pytest.raises(ReadError) as error:
        read(path)
    assert error.value.reason == "truncated"


def test_a_damaged_header_in_the_middle_is_refused(tmp_path):
    path = pack(tmp_path / "a.tar", sample(0) + sample(1))
    data = bytearray(path.read_bytes())
    at = members_of(path)[3].offset
    data[at : at + 100] = b"\xff" * 100
    path.write_bytes(data)
    with pytest.raises(ReadError) as error:
        read(path)
    assert error.value.reason == "truncated"


def test_archives_that_were_put_together_are_refused(tmp_path):
    first = pack(tmp_path / "a.tar", sample(0)).read_bytes()
    write(tmp_path, {"both.tar": first + first})
    with pytest.raises(ReadError, match="another archive"):
        read(tmp_path / "both.tar")


@pytest.mark.parametrize("data", [b"", b"hello" * 300, b"\x1f\x8b" + bytes(99)])
def test_what_is_no_archive_is_refused(tmp_path, data):
    with pytest.raises(ReadError) as error:
        read(write(tmp_path, {"a.tar": data}) / "a.tar")
    assert error.value.reason in ("truncated", "empty")


def test_an_archive_without_samples_is_refused(tmp_path):
    with pytest.raises(ReadError, match="1 members of other kinds"):
        read(pack(tmp_path / "a.tar", [("a.xyz", b"x")]))
