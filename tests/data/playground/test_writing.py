"""The playground as files: what is decoded of them is what `load` returns."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from keras_imp.data import playground, read
from keras_imp.data.decoding import decode_audio, decode_image, decode_video
from keras_imp.data.playground import writing
from keras_imp.data.playground.clips import clips_of_split
from keras_imp.data.playground.tables import tables

pytestmark = pytest.mark.one_backend

LIMIT = 2
TABLES = {
    "objects.csv": "image",
    "captions.jsonl": "image",
    "sounds.jsonl": "audio",
    "clips.csv": "video",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files") / "playground"
    playground.write_files(folder, limit=LIMIT)
    return folder


def numbered(manifest, row, column):
    """Folder, split and number of a file, as its name has them."""
    path = Path(manifest.row(row)[column])
    split, number = path.stem.split("-")
    assert split == manifest.row(row)["split"]
    return path.parent.name, split, int(number)


def test_images_with_a_class_are_decoded_to_the_same_arrays(folder, splits):
    manifest = read(folder / "objects.csv")
    assert manifest.columns == ("image", "label", "split")
    assert len(manifest) == 10 * 3 * LIMIT
    for row in range(len(manifest)):
        _, split, number = numbered(manifest, row, "image")
        fashion = splits[split].fashion
        decoded = decode_image(manifest.source(row, "image"))
        np.testing.assert_array_equal(decoded.values, fashion.images[number])
        label = playground.FASHION_CLASSES[fashion.labels[number]]
        assert manifest.row(row)["label"] == label


def test_images_with_words_are_decoded_in_all_styles(folder, splits):
    manifest = read(folder / "captions.jsonl")
    styles = set()
    for row in range(len(manifest)):
        style, split, number = numbered(manifest, row, "image")
        emoji = splits[split].emoji
        image = emoji.images[number]
        if style != "noto":
            drawings = emoji.styles[style]
            place = np.searchsorted(drawings.rows, number)
            assert drawings.rows[place] == number
            image = drawings.images[place]
        styles.add(style)
        decoded = decode_image(manifest.source(row, "image"))
        np.testing.assert_array_equal(decoded.values, image)
        values = manifest.row(row)
        assert values["text"] == tuple(emoji.captions[number])
        assert values["label"] == emoji.categories[number]
        assert values["group"] == emoji.concepts[number]
    assert styles == {"noto", *splits["train"].emoji.styles}


def test_recordings_are_decoded_to_the_next_of_16_bits(folder, splits):
    manifest = read(folder / "sounds.jsonl")
    assert len(manifest) == len(playground.FAMILIES) * 3 * LIMIT
    for row in range(len(manifest)):
        _, split, number = numbered(manifest, row, "audio")
        sounds = splits[split].sounds
        decoded = decode_audio(manifest.source(row, "audio"))
        assert decoded.notes == ()
        samples = decoded.values * 32768
        expected = np.rint(sounds.waveforms[number] * 32768)
        np.testing.assert_array_equal(samples, expected.clip(-32768, 32767))
        values = manifest.row(row)
        assert values["text"] == tuple(sounds.captions[number])
        assert values["label"] == sounds.families[number]
        assert values["group"] == sounds.instruments[number]


def test_videos_are_decoded_to_the_same_frames(folder, splits):
    manifest = read(folder / "clips.csv")
    assert len(manifest) == len(playground.MOTIONS) * 3 * LIMIT
    rendered = {
        name: clips_of_split(name, split.emoji.images)
        for name, split in splits.items()
    }
    for row in range(len(manifest)):
        _, split, number = numbered(manifest, row, "video")
        emoji, (clips, motions) = splits[split].emoji, rendered[split]
        source = manifest.source(row, "video")
        for place in (0.0, 1.0):
            decoded = decode_video(source, 8, interval=0.04, place=place)
            np.testing.assert_array_equal(decoded.values, clips[number])
        (caption,) = playground.clip_captions(
            [emoji.names[number]], [motions[number]]
        )
        values = manifest.row(row)
        assert values["text"] == caption
        assert values["label"] == playground.MOTIONS[motions[number]]
        assert values["group"] == emoji.concepts[number]


def test_without_a_limit_the_tables_have_every_example(splits):
    counts = {
        name: {
            "objects.csv": len(split.fashion.images),
            "captions.jsonl": len(split.emoji.images)
            + sum(len(style.rows) for style in split.emoji.styles.values()),
            "sounds.jsonl": len(split.sounds.waveforms),
            "clips.csv": len(split.emoji.images),
        }
        for name, split in splits.items()
    }
    for table in tables():
        assert table.column == TABLES[table.name]
        assert len({row.file for row in table.rows}) == len(table.rows)
        for split in playground.SPLITS:
            rows = [row for row in table.rows if row.split == split]
            assert len(rows) == counts[split][table.name]


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_read_without_options_and_nothing_is_wrong(folder, name):
    manifest = read(folder / name)
    assert manifest.problems() == []
    groups, parts = manifest.groups(), manifest.column("split")
    assert {*parts} == {*playground.SPLITS}
    of_group = {}
    for group, split in zip(groups.tolist(), parts):
        assert of_group.setdefault(group, split) == split


def test_licenses_and_a_recipe_are_beside_the_tables(folder):
    names = {path.name for path in folder.iterdir()}
    licenses = {path.name for path in playground.FILES.glob("LICENSE*")}
    assert names >= {"NOTICE", "README.md", "recipe.toml", *licenses}
    recipe = tomllib.loads((folder / "recipe.toml").read_text())
    data = {task["data"] for task in recipe["tasks"].values()}
    assert data == {*TABLES}


def test_the_same_files_are_written_each_time(folder, tmp_path):
    playground.write_files(tmp_path / "again", limit=LIMIT)
    written = sorted(p for p in folder.rglob("*") if p.is_file())
    for path in written:
        again = tmp_path / "again" / path.relative_to(folder)
        assert again.read_bytes() == path.read_bytes(), path


def test_progress_counts_all_files(folder, tmp_path):
    seen = []
    count = playground.write_files(
        tmp_path / "a", 1, lambda done, total: seen.append((done, total))
    )
    assert seen == [(number, count) for number in range(1, count + 1)]
    rows = sum(
        len(read(tmp_path / "a" / name).column(column))
        for name, column in TABLES.items()
    )
    assert rows == count


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="must be a new or an empty one"):
        playground.write_files(tmp_path, limit=1)
    with pytest.raises(FileExistsError, match="must be a new or an empty one"):
        playground.write_files(tmp_path / "note.txt", limit=1)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_an_error_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(writing._WRITERS, "video", full)
    (tmp_path / "files").mkdir()
    with pytest.raises(OSError, match="No space left"):
        playground.write_files(tmp_path / "files", limit=1)
    assert [path.name for path in tmp_path.iterdir()] == ["files"]
    assert [*(tmp_path / "files").iterdir()] == []


KILLED = """
import os, sys
from keras_imp.data import playground

def kill(done, total):
    if done == total - 1:
        os.kill(os.getpid(), 9)

playground.write_files(sys.argv[1], 1, kill)
"""


@pytest.mark.skipif(os.name != "posix", reason="kill is of POSIX")
def test_a_kill_leaves_no_folder_of_that_name(tmp_path):
    target = tmp_path / "files"
    killed = subprocess.run([sys.executable, "-c", KILLED, target])
    assert killed.returncode == -9
    (left,) = tmp_path.iterdir()
    assert left.name.startswith("unfinished-files-")
    playground.write_files(target, limit=1)
    assert json.loads((target / "sounds.jsonl").read_text().splitlines()[0])
