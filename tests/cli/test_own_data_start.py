"""Runs on own data whose encoder starts from trained weights."""

import dataclasses
import tomllib

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp.data import Tokenizer
from keras_imp.evaluation.own_data.inference import RowsOfTasks, add_paths
from keras_imp.evaluation.own_data.lacking import check_start
from keras_imp.evaluation.own_data.recipe import (
    DataRecipe,
    RecipeError,
    TaskRecipe,
)
from keras_imp.evaluation.own_data.run import OwnDataRun, understand
from keras_imp.evaluation.own_data.start import resolve, start_of
from tests.helpers import own_files
from tests.helpers.own_data_command import (
    BACKEND,
    refused,
    results_of,
    trained,
)

PRESET = "imp_tiny_playground"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return own_files.captions(tmp_path_factory.mktemp("start") / "photos")


@pytest.fixture(scope="module")
def first(photos, tmp_path_factory):
    """A run from random weights."""
    folder = tmp_path_factory.mktemp("start") / "first"
    trained("--data", photos, "--steps", 2, "--seed", 3, "--out", folder)
    return folder


def weights_of(encoder):
    return {weight.path: np.asarray(weight) for weight in encoder.weights}


def test_the_weights_and_the_sizes_are_those_of_the_preset(photos, tmp_path):
    rows_of = RowsOfTasks()
    recipe = add_paths(DataRecipe(encoder=PRESET), [photos], {}, rows_of)
    recipe, manifests = understand(recipe, rows_of)
    assert recipe.sizes.image == (32, 32)
    assert recipe.sizes.patch == (4, 8, 8)
    assert recipe.sizes.text == 12
    run = OwnDataRun(tmp_path, recipe, manifests)
    preset = keras_imp.IMPEncoder.from_preset(
        PRESET, modalities=("image", "text")
    )
    expected = weights_of(preset)
    found = weights_of(run.model.encoder)
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        np.testing.assert_array_equal(found[path], value)
    words = keras_imp.IMPPreprocessor.from_preset(PRESET).tokenizer
    texts = ["a red circle", "one square that is blue"]
    np.testing.assert_array_equal(run.tokenizer(texts), words(texts))


def test_a_run_starts_from_the_encoder_of_another(first, photos, tmp_path):
    second = tmp_path / "second"
    options = ("--steps", 2, "--out", second, "--encoder", first)
    result = trained("--data", photos, *options)
    said = " ".join(result.output.split())
    assert "The encoder starts from the weights of" in said
    written = tomllib.loads((second / "recipe.toml").read_text())
    assert written["encoder"] == str((first / "encoder").resolve())
    assert (second / "tokenizer.json").read_text() == (
        first / "tokenizer.json"
    ).read_text()
    assert results_of(second)["rows"]
    model = keras.models.load_model(second / "model.keras")
    start = keras_imp.IMPEncoder.from_preset(first / "encoder")
    # Two steps at a low rate move weights a little; others are far away.
    near = [
        np.abs(a - b).max() < 0.05
        for a, b in zip(
            weights_of(start).values(), weights_of(model.encoder).values()
        )
    ]
    assert np.mean(near) > 0.9


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            "encoder = 'imp_tiny_playgrund'",
            "Did you mean 'imp_tiny_playground'",
        ),
        ("encoder = 'nowhere'", "`encoder` must be a size such as 'imp_tiny'"),
        (
            f"encoder = '{PRESET}'\n[sizes]\npatch = [4, 4, 4]",
            "`sizes.patch` must be that of the encoder's weights, [4, 8, 8].",
        ),
    ],
    ids=["nearest", "nothing", "patch"],
)
def test_what_does_not_fit_is_refused(photos, tmp_path, lines, told):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f"{lines}\n[tasks.a]\ndata = '{photos}'\n")
    text = refused(2, "--recipe", recipe, "--out", tmp_path / "run")
    assert told in text
    assert not (tmp_path / "run").exists()


@pytest.mark.one_backend
@pytest.mark.parametrize("more", [(), ("--dry-run",)], ids=["run", "dry"])
def test_a_modality_without_weights_is_refused(tmp_path, more):
    """Before the files are looked at."""
    data = own_files.esc_50(tmp_path / "esc")
    made(tmp_path / "preset")
    options = ("--encoder", tmp_path / "preset", "--out", tmp_path / "run")
    text = refused(2, "--data", data, *options, *more)
    assert (
        "Task 'esc': the encoder's weights must be of all modalities that it "
        "reads. Received: missing=['audio'], encoder="
    ) in text
    assert (
        "Start from others, or from a size such as 'imp_tiny'; or say in a "
        "recipe what the task reads: inputs."
    ) in text
    assert not (tmp_path / "run").exists()


@pytest.mark.one_backend
def test_weights_for_images_are_those_for_videos(tmp_path):
    made(tmp_path / "preset")
    task = TaskRecipe("clips", inputs=("video", "text"))
    recipe = DataRecipe({"clips": task}, str(tmp_path / "preset"))
    check_start(recipe)
    # But not how far apart their frames are.
    start = start_of(recipe.encoder)
    preprocessor = keras_imp.IMPPreprocessor(image=(32, 32))
    sizes = start._replace(preprocessor=preprocessor).sizes
    assert sizes["image"] == (32, 32)
    assert "video_stride" not in sizes


@pytest.mark.one_backend
def test_images_are_distorted_as_those_of_the_weights(photos, tmp_path):
    tokenizer = Tokenizer.train(["a red circle"], 60, length=8)
    preprocessor = keras_imp.IMPPreprocessor(
        image=(32, 32), tokenizer=tokenizer, crop_to_aspect_ratio=False
    )
    made(tmp_path / "preset", with_tokenizer=False, preprocessor=preprocessor)
    rows_of = RowsOfTasks()
    recipe = DataRecipe(encoder=str(tmp_path / "preset"))
    recipe = add_paths(recipe, [photos], {}, rows_of)
    recipe, manifests = understand(recipe, rows_of)
    (tmp_path / "run").mkdir()
    run = OwnDataRun(tmp_path / "run", recipe, manifests)
    assert not run.preprocessor.crop_to_aspect_ratio


@pytest.mark.one_backend
def test_a_preset_of_version_0_1_0_is_found_without_metadata(tmp_path):
    made(tmp_path / "preset")
    (tmp_path / "preset" / "metadata.json").unlink()
    assert resolve("preset", tmp_path) == str((tmp_path / "preset").resolve())


@pytest.mark.one_backend
@pytest.mark.parametrize("folder", [PRESET, "imp_tiny", f"{PRESET}/encoder"])
def test_a_name_of_a_preset_and_a_folder_is_refused(tmp_path, folder):
    made(tmp_path / folder)
    name = folder.partition("/")[0]
    with pytest.raises(RecipeError) as error:
        resolve(name, tmp_path)
    assert str(error.value) == (
        "`encoder` must stand for one preset only. A folder has the name, too. "
        f"Received: encoder={name!r}, folder="
        f"{str((tmp_path / folder).resolve())!r}. Use './{name}' for the "
        "folder; for the preset, give the folder another name."
    )
    assert resolve(f"./{name}", tmp_path) == str((tmp_path / folder).resolve())


def made(folder, words=(), spare=0, **arguments):
    """An encoder of images and texts as a preset, maybe with a tokenizer."""
    tokenizer = Tokenizer.train(["a red circle", *words], 60, length=8)
    encoder = keras_imp.IMPEncoder(
        16,
        32,
        1,
        2,
        ("image", "text"),
        patch_size=(4, 8, 8),
        vocabulary_size=tokenizer.vocabulary_size + spare,
        max_sequence_length=16,
    )
    if arguments.pop("lora", False):
        encoder.enable_lora(2)
    encoder.trainable = not arguments.pop("frozen", False)
    if arguments.pop("with_tokenizer", True):
        arguments["tokenizer"] = tokenizer
    encoder.save_to_preset(folder, **arguments)
    return tokenizer


@pytest.mark.one_backend
@pytest.mark.parametrize(
    "options", [{}, {"spare": 7}, {"lora": True}, {"frozen": True}], ids=repr
)
def test_presets_of_all_kinds_are_trained_on(photos, tmp_path, options):
    tokenizer = made(tmp_path / "preset", **options)
    out = tmp_path / "run"
    words = ("--encoder", tmp_path / "preset", "--steps", 2, "--out", out)
    trained("--data", photos, *words)
    assert results_of(out)["rows"]
    kept = Tokenizer.load(out / "tokenizer.json")
    assert kept.vocabulary_size == tokenizer.vocabulary_size
    encoder = keras_imp.IMPEncoder.from_preset(out / "encoder")
    assert encoder.lora_rank is None
    assert encoder.trainable


@pytest.mark.one_backend
def test_weights_of_an_unknown_tokenizer_are_refused(photos, tmp_path):
    made(tmp_path / "preset", with_tokenizer=False)
    words = ("--encoder", tmp_path / "preset", "--out", tmp_path / "run")
    text = refused(2, "--data", photos, *words)
    assert (
        "The tokenizer that the encoder's weights were trained with must be "
        "known: the ids of another one mean other words."
    ) in text
    assert (
        "Name its file in a recipe: tokenizer. Or start from a size such as "
        "'imp_tiny'."
    ) in text


@pytest.mark.one_backend
def test_another_tokenizer_than_that_of_the_weights_is_refused(tmp_path):
    own = made(tmp_path / "preset")
    for name, tokenizer in {
        "own.json": Tokenizer(own.tokenizer, 4),
        "other.json": Tokenizer.train(["one blue square"], 60, length=8),
    }.items():
        tokenizer.save(tmp_path / name)
    recipe = DataRecipe(
        {"photos": TaskRecipe("photos", inputs=("image", "text"))},
        str(tmp_path / "preset"),
        tokenizer=str(tmp_path / "own.json"),
    )
    check_start(recipe)
    other = str(tmp_path / "other.json")
    with pytest.raises(RecipeError) as error:
        check_start(dataclasses.replace(recipe, tokenizer=other))
    assert str(error.value) == (
        "`tokenizer` must be that of the encoder's weights: the ids of another "
        f"one mean other words. Received: tokenizer={other!r}, "
        f"encoder={recipe.encoder!r}. Leave it out."
    )


@pytest.mark.one_backend
def test_a_whole_recipe_is_checked_too(first, tmp_path):
    recipe = first / "recipe.toml"
    words = ("--recipe", recipe, "--dry-run", "--out", tmp_path / "run")
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "config.json").write_text("{}")
    text = refused(2, *words, "--encoder", tmp_path / "unfinished")
    assert "That of a run has one when it has ended." in text
    made(tmp_path / "preset")
    trained(*words, "--encoder", tmp_path / "preset")


@pytest.mark.one_backend
def test_a_recipe_whose_encoder_is_gone_takes_another(photos, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f"encoder = 'gone'\n[tasks.a]\ndata = '{photos}'\n")
    words = ("--recipe", recipe, "--dry-run", "--out", tmp_path / "run")
    assert "'gone'" in refused(2, *words)
    trained(*words, "--encoder", "imp_tiny")


@pytest.mark.one_backend
def test_a_run_that_diverges_ends_with_a_sentence(photos, tmp_path):
    recipe = tmp_path / "recipe.toml"
    lines = "learning_rate = 1e30\nsteps = 20\nclip_norm = 1e30"
    recipe.write_text(f"{lines}\n[tasks.a]\ndata = '{photos}'\n")
    text = refused(
        1, "--recipe", recipe, "--out", tmp_path / "run", "--backend", BACKEND
    )
    assert "loss" in text
