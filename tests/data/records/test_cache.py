"""Batches with a cache: the same ones, and no file is decoded twice."""

import pickle
import re

import pytest

import keras_imp
from keras_imp.data import Records, playground, read
from keras_imp.data.augment import Compose, images
from keras_imp.data.records import cache as caches
from keras_imp.data.records import shards, store
from tests.helpers.rows_of_files import (
    ROWS,
    assert_equal,
    forget,
    make_manifest,
    make_preprocessor,
)

pytestmark = [
    pytest.mark.one_backend,
    pytest.mark.usefixtures("settled"),
]


def of_two_passes(data):
    return [data.batch_at(index) for index in range(2 * len(data))]


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
