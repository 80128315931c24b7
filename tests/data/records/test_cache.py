"""Batches with a cache: the same ones, and no file is decoded twice."""

import gc
import os
import pickle
import re
import tarfile

import pytest
from PIL import Image

import keras_imp
from keras_imp.data import Manifest, Records, playground, read
from keras_imp.data.augment import Compose, images
from keras_imp.data.manifest import identity
from keras_imp.data.records import cache as caches
from keras_imp.data.records import row_reader, shards, store
from tests.helpers.rows_of_files import (
    ROWS,
    assert_equal,
    make_manifest,
    make_preprocessor,
)

pytestmark = pytest.mark.one_backend


@pytest.fixture(autouse=True)
def _settled(monkeypatch):
    """The files of these tests are new, and nobody writes to them."""
    monkeypatch.setattr(identity, "SETTLED", 0)


@pytest.fixture
def decoded(monkeypatch):
    """Counts of files that are decoded, by function."""
    counts = {}

    def counting(name):
        decode = getattr(row_reader, name)

        def count(*arguments, **settings):
            counts[name] = counts.get(name, 0) + 1
            return decode(*arguments, **settings)

        return count

    for name in ("decode_image", "decode_audio", "decode_video"):
        monkeypatch.setattr(row_reader, name, counting(name))
    return counts


def of_two_passes(data):
    return [data.batch_at(index) for index in range(2 * len(data))]


def forget():
    """What a new process does: read what is in the folder."""
    gc.collect()
    store._STORES.clear()


def whole(**arguments):
    """A preprocessor that reads all of each recording."""
    return make_preprocessor(audio_seconds=2.0, **arguments)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("seconds", [0.5, 1.1, 2.0])
def test_batches_are_the_same_with_a_cache(manifest, folder, training, seconds):
    def data(cache):
        return Records(
            manifest,
            make_preprocessor(audio_seconds=seconds),
            batch_size=5,
            target="label",
            training=training,
            crop="center",
            augment=Compose(image=[images.flip, images.contrast]),
            seed=3,
            cache=cache,
        )

    expected = of_two_passes(data(None))
    for _ in range(2):
        cached = data(folder / "cache")
        for batch, same in zip(expected, of_two_passes(cached), strict=True):
            assert_equal(batch, same)
        del cached
        forget()


def test_each_file_is_decoded_once(manifest, folder, decoded):
    def data():
        return Records(
            manifest,
            whole(),
            batch_size=4,
            crop="center",
            cache=folder / "cache",
        )

    of_two_passes(data())
    assert decoded == {"decode_image": ROWS, "decode_audio": ROWS}
    forget()
    of_two_passes(data())
    assert decoded == {"decode_image": ROWS, "decode_audio": ROWS}


def test_an_evaluation_takes_images_of_training_and_its_own_audio(
    manifest, folder, decoded
):
    def data(training):
        return Records(
            manifest,
            whole(),
            batch_size=4,
            training=training,
            crop="center",
            cache=folder / "cache",
        )

    of_two_passes(data(True))
    of_two_passes(data(False))
    assert decoded == {"decode_image": ROWS, "decode_audio": 2 * ROWS}


def test_a_random_part_of_long_audio_is_decoded_each_time(
    manifest, folder, decoded
):
    # Of 1 s to 1.29 s, in steps of 1/80 s: nine are not longer than 1.1 s.
    data = Records(
        manifest,
        make_preprocessor(audio_seconds=1.1),
        batch_size=4,
        inputs=("audio",),
        cache=folder / "cache",
    )
    of_two_passes(data)
    assert decoded == {"decode_audio": ROWS + (ROWS - 9)}


@pytest.mark.parametrize("frames", [8, 4])
def test_videos_are_kept_unless_a_part_is_drawn(tmp_path, decoded, frames):
    playground.write_files(tmp_path / "playground", limit=1)
    manifest = read(tmp_path / "playground" / "clips.csv")

    def data(cache):
        return Records(
            manifest,
            keras_imp.IMPPreprocessor(video=(frames, 16, 16)),
            batch_size=len(manifest),
            inputs=("video",),
            crop="center",
            cache=cache,
        )

    expected = of_two_passes(data(None))
    decoded.clear()
    for batch, same in zip(expected, of_two_passes(data(tmp_path / "cache"))):
        assert_equal(batch, same)
    passes = 1 if frames == 8 else 2
    assert decoded == {"decode_video": passes * len(manifest)}


def test_a_part_that_a_table_gives_is_kept_as_another_one(folder, decoded):
    starts = [0.1 * (i % 5) for i in range(ROWS)]
    rows = {"start": starts, "end": [start + 0.5 for start in starts]}
    manifest = make_manifest(
        folder, audio=[f"{i // 5}.wav" for i in range(ROWS)], **rows
    )

    def data(cache):
        return Records(
            manifest,
            make_preprocessor(),
            batch_size=4,
            inputs=("audio",),
            cache=cache,
        )

    expected = of_two_passes(data(None))
    decoded.clear()
    for batch, same in zip(expected, of_two_passes(data(folder / "cache"))):
        assert_equal(batch, same)
    assert decoded == {"decode_audio": ROWS}


# --- Files that change --------------------------------------------------------


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


def test_members_of_an_archive_that_changes_are_decoded_anew(tmp_path):
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


# --- Settings -----------------------------------------------------------------


def test_each_size_has_files_of_its_own(manifest, folder, monkeypatch):
    def batch(size, cache=folder / "cache", **arguments):
        data = Records(
            manifest,
            keras_imp.IMPPreprocessor(image=size, **arguments),
            batch_size=4,
            training=False,
            cache=cache,
        )
        return data.batch_at(0)

    ways = [
        ((16, 24), {}),
        ((24, 16), {}),
        ((16, 24), {"crop_to_aspect_ratio": False}),
    ]
    for _ in range(2):
        for size, arguments in ways:
            expected = batch(size, None, **arguments)
            assert_equal(batch(size, **arguments), expected)
    assert len([*(folder / "cache").iterdir()]) == 3
    # Another version of Pillow, which may return other values.
    monkeypatch.setattr(caches, "_versions", lambda name: {"pillow": "0"})
    batch((16, 24))
    assert len([*(folder / "cache").iterdir()]) == 4


@pytest.mark.parametrize("crop", ["inception", "place"])
def test_random_parts_of_images_are_refused(manifest, folder, crop):
    arguments = (manifest, make_preprocessor(), 4)
    told = (
        "With a cache, images and videos must be cut in the center: a random "
        "part of a file is another one in each pass, and made from all of its "
        f"pixels. Received: inputs=['image'], crop='{crop}'. Use "
        'crop="center", and vary what is decoded by `augment`, such as '
        "images.affine; or do without a cache."
    )
    with pytest.raises(ValueError, match=re.escape(told)):
        Records(*arguments, crop=crop, cache=folder / "cache")
    # An evaluation cuts in the middle; of audio, there is no crop.
    Records(*arguments, crop=crop, cache=folder / "cache", training=False)
    Records(*arguments, crop=crop, cache=folder / "cache", inputs=("audio",))


def test_a_folder_that_cannot_be_written_to_is_refused(manifest, folder):
    (folder / "note.txt").touch()
    told = "The folder of a cache must be one that can be written to. Received"
    for name in ("note.txt", "note.txt/cache"):
        with pytest.raises(ValueError, match=told):
            Records(
                manifest,
                make_preprocessor(),
                4,
                crop="center",
                cache=folder / name,
            )


def test_data_with_a_cache_is_sent_to_processes(manifest, folder, decoded):
    data = Records(manifest, whole(), 4, crop="center", cache=folder / "cache")
    expected = data.batch_at(0)
    for reader in data._readers:
        reader._cache.write()
    decoded.clear()
    forget()
    assert_equal(pickle.loads(pickle.dumps(data)).batch_at(0), expected)
    assert decoded == {}


def test_a_bad_file_is_replaced_as_without_a_cache(folder):
    names = ["damaged.png", *(f"{i}.png" for i in range(1, ROWS))]

    def data(cache):
        return Records(
            make_manifest(folder, image=names),
            make_preprocessor(),
            batch_size=6,
            crop="center",
            quarantine=keras_imp.data.Quarantine(ROWS, max_bad=0.1),
            cache=cache,
        )

    expected, cached = data(None), data(folder / "cache")
    for index in range(8):
        assert_equal(cached.batch_at(index), expected.batch_at(index))
    assert cached.quarantine.bad_rows == expected.quarantine.bad_rows == [0]


def test_a_folder_that_is_removed_is_made_again(manifest, folder, monkeypatch):
    monkeypatch.setattr(store, "WRITTEN_SECONDS", 0.0)
    monkeypatch.setattr(store, "OPEN_FILES", 1)
    data = Records(
        manifest,
        make_preprocessor(),
        batch_size=4,
        crop="center",
        shuffle=False,
        training=False,
        cache=folder / "cache",
    )
    expected = [data.batch_at(index) for index in range(len(data))]
    for path in sorted((folder / "cache").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    for index, batch in enumerate(expected):
        assert_equal(data.batch_at(index), batch)
    assert [*(folder / "cache").rglob(f"*{shards.SUFFIX}")]
