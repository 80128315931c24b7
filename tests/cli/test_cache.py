"""`keras-imp train --cache`: the same run, with files decoded once."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_imp.data.manifest import identity
from keras_imp.data.records import row_reader
from tests.helpers import own_files
from tests.helpers.own_data_command import BACKEND, refused, results_of, trained

pytestmark = pytest.mark.usefixtures("smallest_encoder")

RECIPE = """
steps = 6
[sizes]
image = [16, 16]
audio_seconds = 2.0
[tasks.birds]
data = "classes"
batch_size = 8
crop = "{crop}"
[tasks.sounds]
data = "esc"
batch_size = 8
"""


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A folder with the data of two tasks."""
    monkeypatch.setattr(identity, "SETTLED", 0)
    own_files.class_folders(tmp_path / "classes")
    own_files.esc_50(tmp_path / "esc")
    return tmp_path


def recipe(folder, crop="center"):
    path = folder / f"{crop}.toml"
    path.write_text(RECIPE.format(crop=crop))
    return path


def weights_of(folder):
    return keras.models.load_model(folder / "model.keras").get_weights()


def modalities_of(cache):
    return {path.parent.name.split("-")[0] for path in cache.rglob("*.shard")}


def test_a_run_with_a_cache_is_the_run_without(data):
    cache = data / "cache"
    ways = {"without": (), "first": ("--cache", cache)}
    ways["second"] = ways["first"]
    for name, options in ways.items():
        out = ("--out", data / name)
        shown = trained("--recipe", recipe(data), *out, *options).output
        assert "only validation is cached" not in shown
    for name in ("first", "second"):
        assert (
            results_of(data / name)["rows"]
            == results_of(data / "without")["rows"]
        )
        for found, expected in zip(
            weights_of(data / name), weights_of(data / "without"), strict=True
        ):
            np.testing.assert_array_equal(found, expected)
        assert modalities_of(cache) == {"image", "audio"}


def test_a_second_run_decodes_nothing_but_in_its_scan(data, monkeypatch):
    decoded = []

    def counted(decode):
        def count(*arguments, **settings):
            decoded.append(decode.__name__)
            return decode(*arguments, **settings)

        return count

    # The scan decodes in other processes.
    for name in ("decode_image", "decode_audio"):
        decode = getattr(row_reader, name)
        monkeypatch.setattr(row_reader, name, counted(decode))
    options = ("--recipe", recipe(data), "--cache", data / "cache")
    trained(*options, "--steps", 30, "--out", data / "first")
    assert {*decoded} == {"decode_image", "decode_audio"}
    decoded.clear()
    trained(*options, "--steps", 4, "--out", data / "second")
    assert decoded == []


def test_a_task_that_is_cut_at_random_is_told(data):
    path = recipe(data, "inception")
    cache = ("--cache", data / "cache")
    shown = trained("--recipe", path, "--out", data / "run", *cache).output
    told = "Task 'birds': a random part of each image is another one in each"
    assert told in shown
    assert "Task 'sounds': a random" not in shown


def test_a_cache_that_cannot_be_written_is_refused_at_once(data):
    (data / "note.txt").touch()
    options = ("--recipe", recipe(data), "--out", data / "run")
    text = refused(2, *options, "--cache", data / "note.txt" / "cache")
    assert "The folder of a cache must be one that can be written to." in text
    text = refused(2, *options, "--cache", data / "c", "--overfit", 8)
    assert "--overfit reads a few examples once, so it has no cache." in text
    assert not (data / "run").exists()


def test_a_run_is_resumed_with_its_cache_or_another_one(data):
    options = ("--recipe", recipe(data), "--out", data / "run")
    trained(*options, "--cache", data / "cache")
    config = json.loads((data / "run" / "config.json").read_text())
    assert config["cache"] == str(data / "cache")
    results = results_of(data / "run")["rows"]
    trained("--resume", data / "run")
    trained("--resume", data / "run", "--cache", data / "other")
    assert results_of(data / "run")["rows"] == results


FULL = """
import sys
from keras_imp.data.manifest import identity
from keras_imp.data.records import shards
identity.SETTLED = 0
save = shards.np.save

def refuse(file, values):
    if values.ndim == 4:
        raise OSError(28, "No space left on device")
    save(file, values)

shards.np.save = refuse
sys.argv = ["keras-imp", *sys.argv[1:]]
from keras_imp.cli import main
main()
"""


def test_a_full_disk_ends_no_run(data):
    cache = data / "cache"
    command = ["train", "--recipe", str(recipe(data)), "--backend", BACKEND]
    ran = subprocess.run(
        [
            *(sys.executable, "-c", FULL, *command),
            *("--out", str(data / "run"), "--cache", str(cache)),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert "The cache cannot be written any more" in ran.stderr
    assert "No space left on device" in ran.stderr
    assert results_of(data / "run")["rows"]
    assert modalities_of(cache) == {"audio"}
