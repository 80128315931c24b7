"""A cache never has what a file held before."""

import os
import tarfile

import pytest
from PIL import Image

import keras_imp
from keras_imp.data import Manifest, Records, read
from keras_imp.data.manifest import identity
from keras_imp.data.manifest.media import Members
from keras_imp.data.records import row_reader
from tests.helpers.rows_of_files import forget

pytestmark = [
    pytest.mark.one_backend,
    pytest.mark.usefixtures("settled"),
]


def one_image(folder, **arguments):
    manifest = Manifest({"image": ["a.bmp"]}, root=folder)
    return Records(
        manifest,
        keras_imp.IMPPreprocessor(image=(8, 8)),
        batch_size=1,
        shuffle=False,
        cache=folder / "cache",
        **arguments,
    )


def color_of(data):
    return data.batch_at(0)[0]["image"][0, 0, 0].tolist()


RED, BLUE = [255, 0, 0], [0, 0, 255]


@pytest.mark.parametrize("new", [False, True])
def test_a_file_that_changes_is_decoded_anew(tmp_path, new):
    path = tmp_path / "a.bmp"
    Image.new("RGB", (8, 8), "red").save(path)
    before = path.stat()
    data = one_image(tmp_path)
    assert color_of(data) == color_of(data) == RED
    # As long as the clock of the file system needs to see it.
    while path.stat().st_ctime_ns == before.st_ctime_ns:
        Image.new("RGB", (8, 8), "blue").save(path)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert after.st_size == before.st_size
    assert after.st_mtime_ns == before.st_mtime_ns
    if new:
        del data
        forget()
        data = one_image(tmp_path)
    assert color_of(data) == BLUE


def test_a_file_that_is_replaced_by_an_older_one_is_decoded_anew(tmp_path):
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "b.bmp")
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a.bmp")
    state = (tmp_path / "a.bmp").stat()
    data = one_image(tmp_path)
    assert color_of(data) == RED
    os.utime(tmp_path / "b.bmp", ns=(state.st_atime_ns, state.st_mtime_ns))
    (tmp_path / "b.bmp").replace(tmp_path / "a.bmp")
    assert color_of(data) == BLUE


def test_a_file_that_was_just_written_is_not_kept(
    tmp_path, decoded, monkeypatch
):
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a.bmp")
    data = one_image(tmp_path)
    monkeypatch.setattr(identity, "SETTLED", 60_000_000_000)
    assert color_of(data) == color_of(data) == RED
    assert decoded == {"decode_image": 2}
    monkeypatch.setattr(identity, "SETTLED", 0)
    assert color_of(data) == color_of(data) == RED
    assert decoded == {"decode_image": 3}


def test_what_changes_while_it_is_decoded_is_not_kept(tmp_path, monkeypatch):
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a.bmp")
    decode = row_reader.decode_image

    def decode_then_write(*arguments):
        found = decode(*arguments)
        Image.new("RGB", (9, 8), "blue").save(tmp_path / "a.bmp")
        return found

    data = one_image(tmp_path)
    monkeypatch.setattr(row_reader, "decode_image", decode_then_write)
    assert color_of(data) == RED
    monkeypatch.setattr(row_reader, "decode_image", decode)
    assert color_of(data) == BLUE


def test_files_of_two_folders_with_one_name_are_two(tmp_path):
    for name in ("red", "blue"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8), name).save(tmp_path / name / "a.bmp")
    found = []
    for name in ("red", "blue"):
        manifest = Manifest({"image": ["a.bmp"]}, root=tmp_path / name)
        data = Records(
            manifest,
            keras_imp.IMPPreprocessor(image=(8, 8)),
            batch_size=1,
            shuffle=False,
            cache=tmp_path / "cache",
        )
        found.append(color_of(data))
    assert found == [RED, BLUE]


def test_members_of_an_archive_that_changes_are_decoded_anew(
    tmp_path, monkeypatch
):
    path = tmp_path / "a.tar"
    found = []
    for color in ("red", "blue"):
        Image.new("RGB", (8, 8), color).save(tmp_path / "0.bmp")
        before = path.stat().st_ctime_ns if path.exists() else 0
        while not path.exists() or path.stat().st_ctime_ns == before:
            with tarfile.open(path, "w") as archive:
                archive.add(tmp_path / "0.bmp", "0.bmp")
                (tmp_path / "0.txt").write_text("an image")
                archive.add(tmp_path / "0.txt", "0.txt")
        data = Records(
            read(path),
            keras_imp.IMPPreprocessor(image=(8, 8)),
            batch_size=1,
            inputs=("image",),
            shuffle=False,
            cache=tmp_path / "cache",
        )
        found += [color_of(data), color_of(data)]
    assert found == [RED, RED, BLUE, BLUE]
    # What is kept is not read from the archive.
    monkeypatch.setattr(Members, "source", None)
    assert color_of(data) == BLUE


def test_bytes_in_a_table_are_known_by_themselves(tmp_path, decoded):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    for name in ("a", "b"):
        files = []
        for color in ("red", "blue"):
            Image.new("RGB", (8, 8), color).save(tmp_path / "0.bmp")
            files.append((tmp_path / "0.bmp").read_bytes())
        table = pa.table({"image": files, "text": ["red", "blue"]})
        pq.write_table(table, tmp_path / f"{name}.parquet")
        data = Records(
            read(tmp_path / f"{name}.parquet"),
            keras_imp.IMPPreprocessor(image=(8, 8)),
            batch_size=2,
            inputs=("image",),
            shuffle=False,
            cache=tmp_path / "cache",
        )
        x = data.batch_at(0)[0]["image"]
        assert x[:, 0, 0].tolist() == [RED, BLUE]
    assert decoded == {"decode_image": 2}
