"""Batches of own data: what varies, what does not, and numbers to predict."""

from pathlib import Path

import numpy as np
import pytest

import keras_imp
from keras_imp.data import Manifest, Tokenizer, read
from keras_imp.evaluation.own_data.choices import choose_sizes
from keras_imp.evaluation.own_data.examples import read_examples
from keras_imp.evaluation.own_data.features import read_features
from keras_imp.evaluation.own_data.inference import infer
from keras_imp.evaluation.own_data.measures import matching
from keras_imp.evaluation.own_data.overfit import find_causes
from keras_imp.evaluation.own_data.recipe import DataRecipe, TaskRecipe
from keras_imp.evaluation.own_data.rows import Limits, fix_rows
from keras_imp.evaluation.own_data.sources import (
    augment_of,
    records,
    some_of,
    training_mixture,
)
from tests.helpers import own_files

pytestmark = pytest.mark.one_backend
LIMITS = Limits(max_bad=0.5, scanned=1)


def fix(folder, manifest, **task):
    recipe = DataRecipe({"a": TaskRecipe("x", **task)})
    manifests = {"a": manifest}
    recipe = choose_sizes(infer(recipe, manifests), manifests)
    folder.mkdir(exist_ok=True)
    return fix_rows(recipe, manifests, folder, LIMITS)["a"]


def numbers(folder):
    """Images with a number each: how red they are."""
    for value in range(20):
        color = (value * 12, 10, 10)
        image = own_files.Image.new("RGB", (20, 20), color)
        image.putpixel((3, 3), (255, 255, 255))
        image.save(folder / f"{value}.png")
    names = [f"{value}.png" for value in range(20)]
    labels = [f"{value}.5" for value in range(20)]
    return Manifest({"image": names, "label": labels}, root=folder)


def test_numbers_to_predict_have_a_mean_of_0_and_a_deviation_of_1(tmp_path):
    rows = fix(tmp_path / "run", numbers(tmp_path), augment=False)
    data = records(
        rows,
        rows.train,
        keras_imp.IMPPreprocessor(image=(16, 16)),
        batch_size=len(rows.train),
        augment=augment_of(rows, False),
    )
    _, y = data.batch_at(0)
    assert y.dtype == "float32"
    assert abs(y.mean()) < 1e-5
    assert abs(y.std() - 1) < 1e-5


def test_each_batch_varies_and_is_the_same_in_another_process(tmp_path):
    rows = fix(tmp_path / "run", numbers(tmp_path), batch_size=4)
    preprocessor = keras_imp.IMPPreprocessor(image=(16, 16))

    def batch(index, seed=0):
        mixture = training_mixture({"a": rows}, preprocessor, {"a": 1}, seed)
        return mixture.sources["a"].data.batch_at(index)[0]["image"]

    np.testing.assert_array_equal(batch(5), batch(5))
    assert not np.array_equal(batch(5), batch(5, seed=1))


def test_small_images_are_moved_and_large_ones_are_cut(tmp_path):
    small = fix(tmp_path / "run", numbers(tmp_path))
    assert small.recipe.crop == "center"
    names = [
        f.func.__name__ for f in augment_of(small, True).of_modality["image"]
    ]
    assert names == ["affine", "mix_colors", "contrast"]
    folder = own_files.class_folders(tmp_path / "classes")
    for path in folder.rglob("*.png"):
        image = own_files.Image.open(path).resize((200, 160))
        image.save(path)
    large = fix(tmp_path / "other", read(folder))
    assert large.recipe.crop == "inception"
    names = [
        f.func.__name__ for f in augment_of(large, True).of_modality["image"]
    ]
    assert names == ["mix_colors", "contrast"]
    for path in folder.rglob("*.png"):
        image = own_files.Image.open(path).resize((100, 90))
        image.save(path)
    # Larger than the small ones, but with no room to cut.
    sprites = fix(tmp_path / "sprites", read(folder))
    assert sprites.recipe.crop == "center"
    audio = fix(tmp_path / "third", read(own_files.esc_50(tmp_path / "esc")))
    assert audio.recipe.crop is None


def test_audio_that_is_made_louder_stays_in_range(tmp_path):
    rows = fix(
        tmp_path / "run", read(own_files.esc_50(tmp_path / "esc")), augment=True
    )
    data = records(
        rows,
        rows.train,
        keras_imp.IMPPreprocessor(audio_seconds=0.5),
        batch_size=8,
        augment=augment_of(rows, True),
    )
    loudest = [
        np.abs(data.batch_at(index)[0]["audio"]).max(axis=1)
        for index in range(4)
    ]
    assert np.max(loudest) <= 1.0
    assert np.std(loudest) > 0.05


def test_a_file_that_turns_out_bad_is_left_out_of_a_measurement(tmp_path):
    table = own_files.captions(tmp_path / "photos")
    rows = fix(tmp_path / "run", read(table))
    row = int(rows.train.numbers[2])
    name = read(table).row(row)["image"]
    path = table.parent / name
    path.write_bytes(path.read_bytes()[:200])
    words = Tokenizer.train(["a red circle"], 60, length=8)
    preprocessor = keras_imp.IMPPreprocessor(image=(16, 16), tokenizer=words)
    examples = read_examples(rows, rows.train, preprocessor, 100)
    assert row not in examples.part.numbers
    assert row in rows.quarantine
    assert len(examples) == len(examples.x["image"]) == len(examples.texts())
    (train, features), _ = read_features(
        rows, [some_of(examples.part, 5), rows.validation], preprocessor, 100
    )
    assert len(train) == 5
    assert features["image"].shape == (5, 16 * 16 * 3)
    assert len(features["text"]) == 5


def test_rows_answer_each_other_by_group_and_by_text():
    found = matching(np.array([0, 0, 1]), ["a", "b", "b"])
    assert found.astype(int).tolist() == [[1, 1, 0], [1, 1, 1], [0, 1, 1]]
    assert matching(np.array([0, 1])).tolist() == np.eye(2).tolist()


def test_equal_images_with_other_captions_are_told(tmp_path):
    folder = tmp_path / "photos"
    table = own_files.captions(folder)
    for path in sorted((folder / "images").iterdir())[:20]:
        Path(path).write_bytes((folder / "images" / "0.jpg").read_bytes())
    rows = fix(tmp_path / "run", read(table))
    words = Tokenizer.train(["a red circle"], 60, length=8)
    preprocessor = keras_imp.IMPPreprocessor(image=(16, 16), tokenizer=words)
    examples = read_examples(rows, rows.train, preprocessor, 16)
    first, second, *_ = find_causes(rows, examples, np.arange(16), words)
    assert "examples have the same image as another one" in first
    assert "The tokenizer does not know" in "".join((second, *_))
