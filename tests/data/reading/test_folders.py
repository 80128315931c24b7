import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from keras_imp.data import read
from keras_imp.data.reading import ReadError
from keras_imp.data.reading.samples import LARGEST
from tests.helpers.files import touch, write

pytestmark = pytest.mark.one_backend


def rows(manifest):
    return [tuple(row.values()) for row in manifest]


def test_a_folder_per_class_gives_labels(tmp_path):
    manifest = read(touch(tmp_path, "dog/b.png", "cat/a.jpg", "cat/deep/c.gif"))
    assert rows(manifest) == [
        ("cat/a.jpg", "cat"),
        ("cat/deep/c.gif", "cat"),
        ("dog/b.png", "dog"),
    ]
    assert manifest.where(0).file == tmp_path / "cat/a.jpg"


def test_folders_named_for_splits_come_before_classes(tmp_path):
    manifest = read(
        touch(tmp_path, "train/cat/a.wav", "valid/cat/b.wav", "valid/dog/c.wav")
    )
    assert rows(manifest) == [
        ("train/cat/a.wav", "cat", "train"),
        ("valid/cat/b.wav", "cat", "validation"),
        ("valid/dog/c.wav", "dog", "validation"),
    ]


def test_a_class_may_be_named_as_a_split(tmp_path):
    manifest = read(touch(tmp_path, "train/a.jpg", "bus/b.jpg", "car/c.jpg"))
    assert set(manifest.values("label")) == {"train", "bus", "car"}
    assert "split" not in manifest.columns


def test_a_name_with_a_split_in_it_is_nothing_special(tmp_path):
    manifest = read(touch(tmp_path, "train_song.mp3", "test.mp3", "b.mp3"))
    assert manifest.columns == ("audio",)
    assert len(manifest) == 3


def test_a_text_of_the_same_name_has_a_caption_per_line(tmp_path):
    write(tmp_path, {"a.txt": "one\n\n two \n", "b.txt": "three"})
    touch(tmp_path, "a.jpg", "b.jpg", "c.jpg", "README.txt", "notes.doc")
    manifest = read(tmp_path)
    assert rows(manifest) == [
        ("a.jpg", ("one", "two")),
        ("b.jpg", ("three",)),
        ("c.jpg", None),
    ]
    assert manifest.summary().notes == [
        "Left out: 1 files of other kinds, 1 texts without a file."
    ]
    (problem,) = manifest.problems()
    assert (problem.reason, problem.rows.tolist()) == ("no_text", [2])


def test_files_of_one_name_are_one_row_and_of_one_kind_are_two(tmp_path):
    write(tmp_path, {"x/a.txt": "words"})
    touch(tmp_path, "x/a.jpg", "x/a.wav", "x/b.jpg", "x/b.png")
    assert rows(read(tmp_path)) == [
        ("x/a.jpg", "x/a.wav", "words", "x"),
        ("x/b.jpg", None, None, "x"),
        ("x/b.png", None, None, "x"),
    ]


def test_folders_named_for_what_they_hold_are_no_classes(tmp_path):
    write(tmp_path, {"texts/a.txt": "one", "texts/deep/b.txt": "two"})
    touch(tmp_path, "images/a.jpg", "images/deep/b.jpg")
    assert rows(read(tmp_path)) == [
        ("images/a.jpg", "one"),
        ("images/deep/b.jpg", "two"),
    ]


def test_a_json_beside_a_file_gives_columns_by_their_aliases(tmp_path):
    write(tmp_path, {"a.json": '{"caption": "one", "class": "x", "w": 2}'})
    touch(tmp_path, "a.jpg", "b.jpg")
    assert rows(read(tmp_path))[0] == ("a.jpg", "one", "x")


def test_what_is_empty_beside_a_file_says_nothing(tmp_path):
    write(tmp_path / "x", {"a.json": '{"text": "one"}', "d.json": "\n"})
    touch(tmp_path, "x/a.jpg", "x/a.txt", "x/b.jpg", "x/b.json")
    touch(tmp_path, "x/c.jpg", "x/c.cls", "x/d.jpg")
    assert rows(read(tmp_path)) == [
        ("x/a.jpg", "one", "x"),
        ("x/b.jpg", None, "x"),
        ("x/c.jpg", None, "x"),
        ("x/d.jpg", None, "x"),
    ]


def test_an_empty_text_among_texts_is_a_row_without_one(tmp_path):
    write(tmp_path, {"pos/1.txt": "good", "neg/1.txt": ""})
    manifest = read(tmp_path)
    assert rows(manifest) == [(None, "neg"), ("good", "pos")]
    (problem,) = manifest.problems()
    assert (problem.reason, problem.rows.tolist()) == ("no_text", [0])


def test_a_text_that_is_too_long_is_named(tmp_path):
    write(tmp_path, {"a.jpg": b"", "a.txt": b"x" * (LARGEST + 1)})
    with pytest.raises(ReadError) as error:
        read(tmp_path)
    assert error.value.reason == "unsupported"
    assert str(error.value) == (
        "Texts, labels and JSON must be files in the folder of the data, of "
        "up to 16777216 bytes. Received: path='a.txt'. The file would take "
        "more memory than is allowed. It has 16777217 bytes, and 16777216 are "
        "allowed."
    )


@pytest.mark.skipif(sys.platform == "win32", reason="needs links and pipes")
@pytest.mark.parametrize(
    ("kind", "reason"),
    [("outside", "outside"), ("missing", "missing"), ("pipe", "unsupported")],
)
def test_a_text_beside_a_file_that_cannot_be_read_is_named(
    tmp_path, kind, reason
):
    write(tmp_path, {"other.txt": "words", "data/a.jpg": b""})
    text = tmp_path / "data" / "a.txt"
    if kind == "pipe":
        os.mkfifo(text)
    else:
        target = {"outside": "other.txt", "missing": "data/none.txt"}[kind]
        text.symlink_to(tmp_path / target)
    with pytest.raises(ReadError, match=r"path='a\.txt'") as error:
        read(tmp_path / "data")
    assert error.value.reason == reason


def test_a_label_beside_a_file_comes_before_its_folder(tmp_path):
    write(tmp_path, {"part 1/a.cls": "dog", "part 1/a.jpg": b""})
    assert rows(read(tmp_path)) == [("part 1/a.jpg", "dog")]


def test_texts_alone_are_read_whole(tmp_path):
    write(tmp_path, {"pos/1.txt": "good\nvery good", "neg/1.txt": "bad"})
    assert rows(read(tmp_path)) == [
        ("bad", "neg"),
        ("good\nvery good", "pos"),
    ]


def test_a_folder_of_nothing_shows_its_first_names(tmp_path):
    touch(tmp_path, *[f"{number:02}.doc" for number in range(30)])
    with pytest.raises(ReadError) as error:
        read(tmp_path)
    assert error.value.reason == "empty"
    assert "'09.doc']" in str(error.value)
    assert "Left out: 30 files of other kinds." in str(error.value)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ReadError, match=r"names=\[\]"):
        read(tmp_path)


def test_a_text_in_another_encoding_is_named(tmp_path):
    write(tmp_path, {"a.txt": "café".encode("latin-1"), "a.jpg": b""})
    with pytest.raises(ReadError, match=r"path='a\.txt', byte='0xe9'"):
        read(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_a_link_to_a_folder_outside_is_refused_and_inside_left_out(tmp_path):
    data = touch(tmp_path / "data", "cat/a.jpg", "dog/b.jpg")
    touch(tmp_path / "outside", "c.jpg")
    (data / "again").symlink_to(data, target_is_directory=True)
    assert len(read(data)) == 2
    assert "1 links to folders" in read(data).summary().notes[0]
    (data / "away").symlink_to(tmp_path / "outside")
    with pytest.raises(ReadError, match="'away'"):
        read(data)
    # Allowed by name; the circle in there is not followed.
    (tmp_path / "outside" / "loop").symlink_to(tmp_path / "outside")
    manifest = read(data, links=[tmp_path / "outside"])
    assert rows(manifest)[0] == ("away/c.jpg", "away")
    assert len(manifest.usable()) == 3


READ_AS_NOBODY = """
import os, sys
from keras_imp.data.reading.read import read

def words():
    try:
        manifest = read(sys.argv[1])
        return [(p.reason, p.rows.tolist()) for p in manifest.problems()]
    except ValueError as error:
        return f"{error.reason} {error}"

# Imports all that is needed: nobody may enter a private environment.
words()
if os.geteuid() == 0:
    os.setuid(65534)
print(words())
"""


@pytest.fixture
def read_as_nobody():
    """A folder that one of two readers may enter, and a call to read it.

    Root may read everything, so another user reads, in another process.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        touch(folder, "cat/a.jpg", "dog/b.jpg")
        (folder / "dog").chmod(0)

        def call(path=""):
            command = [sys.executable, "-c", READ_AS_NOBODY, folder / path]
            done = subprocess.run(command, capture_output=True, text=True)
            return done.stdout.strip() or done.stderr

        yield folder, call
        (folder / "dog").chmod(0o755)


@pytest.mark.skipif(sys.platform == "win32", reason="needs permissions")
def test_a_folder_without_permission_is_named(read_as_nobody):
    folder, call = read_as_nobody
    assert call() == (
        "permission The data must be there, with the permission to read it. "
        f"Received: path={str(folder / 'dog')!r}. Permission denied."
    )


@pytest.mark.skipif(sys.platform == "win32", reason="needs permissions")
def test_a_file_in_a_folder_without_permission_is_left_out(read_as_nobody):
    folder, call = read_as_nobody
    write(folder, {"t.csv": "image,text\ncat/a.jpg,a\ndog/b.jpg,b\n"})
    assert call("t.csv") == "[('unreadable', [1])]"
