"""From files to a report by the command line alone, on own data."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import keras_imp
from tests.helpers import own_files
from tests.helpers.own_data_command import (
    BACKEND,
    invoke,
    refused,
    results_of,
    trained,
)
from tests.helpers.pages import Page

pytestmark = pytest.mark.usefixtures("smallest_encoder")


# One command each -------------------------------------------------------------


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """A run on a folder per class, one file of which is bad."""
    # In rich's markup, this name would lose its brackets.
    data = tmp_path_factory.mktemp("data") / "my[bold]birds"
    own_files.class_folders(data)
    (data / "red" / "3.png").write_bytes(b"")
    folder = data.parent / "run"
    options = ("--steps", 4, "--max-bad", 0.1, "--out", folder)
    return folder, trained("--data", data, *options)


def test_a_folder_per_class_becomes_a_report(classes):
    folder, result = classes
    assert {path.name for path in folder.iterdir()} >= {
        "classes.json",
        "config.json",
        "confusion_my_bold_birds.png",
        "encoder",
        "history.csv",
        "learning_curves.png",
        "logs",
        "model.keras",
        "quarantine.jsonl",
        "recipe.toml",
        "report.html",
        "results.json",
    }
    (line,) = results_of(folder)["rows"]
    assert line["what"] == "label, accuracy"
    assert line["linear"] == 1.0
    for name in ("recipe.toml", "report.html", "results.json"):
        assert f"  {name:24}" in result.output


def test_a_person_sees_what_was_understood_and_what_is_wrong(classes):
    _, result = classes
    shown = result.output.replace("\n", "")
    for text in (
        "my[bold]birds', 24 rows",
        "classification",
        "Sizes: images of 32 x 32 pixels.",
        "1 empty",
        "red/3.png: empty",
        "10% of the groups are held out, drawn by the seed.",
        "so batches have",
    ):
        assert text in shown, text


def test_the_page_shows_the_data_and_needs_no_network(classes):
    folder, _ = classes
    page = Page((folder / "report.html").read_text("utf-8"))
    headings = ["Results", "Data", "Learning", "Classes", "Settings"]
    assert page.headings == headings
    assert "left out: 1 empty" in page.text
    assert "script" not in page.tags
    outside = [
        address
        for address in page.addresses
        if not address.startswith(("#", "data:image/png;base64,"))
    ]
    assert outside == []


def test_the_encoder_reads_files_as_in_training(classes, tmp_path):
    folder, _ = classes
    preprocessor = keras_imp.IMPPreprocessor.from_preset(folder / "encoder")
    model = keras.models.load_model(folder / "model.keras")
    own_files.draw(
        tmp_path / "a.png", "red", "circle", np.random.default_rng(0)
    )
    image = keras_imp.data.decoding.decode_image(tmp_path / "a.png").values
    x = preprocessor({"image": [image]})
    assert model.predict(x, task="my_bold_birds", verbose=0).shape == (1, 2)
    assert json.loads((folder / "classes.json").read_text()) == {
        "my_bold_birds": ["blue", "red"]
    }


def test_the_model_is_used_as_the_guide_says(classes, tmp_path, monkeypatch):
    folder, _ = classes
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    Path("runs/birds-1").symlink_to(folder)
    Image.new("RGB", (40, 30), "red").save("new.jpg")
    ((task, names),) = json.loads((folder / "classes.json").read_text()).items()
    guide = Path(__file__).parents[2] / "docs" / "guides" / "own_data.md"
    section = guide.read_text("utf-8").split("### Use the model")[1]
    code = section.split("```\n")[1].replace('"birds"', repr(task))
    values = {}
    exec(code.replace("print(", "found = ("), values)
    assert values["found"] in names


def test_a_run_that_is_complete_is_resumed_to_the_same_results(classes):
    folder, _ = classes
    before = results_of(folder)["rows"]
    result = trained("--resume", folder)
    assert "Epoch" not in result.output
    assert results_of(folder)["rows"] == before


def test_a_table_with_captions_becomes_a_report(tmp_path):
    table = own_files.captions(tmp_path / "photos")
    folder = tmp_path / "run"
    trained("--data", table, "--steps", 4, "--out", folder)
    whats = [line["what"] for line in results_of(folder)["rows"]]
    assert whats == ["image to text, R@1", "text to image, R@1"]
    with Image.open(folder / "retrieval_photos.png") as plot:
        assert min(plot.size) > 300
    assert (folder / "encoder" / "tokenizer.json").exists()


def test_a_folder_like_esc_50_becomes_a_report(tmp_path):
    data = own_files.esc_50(tmp_path / "esc")
    folder = tmp_path / "run"
    trained("--data", data, "--steps", 4, "--out", folder)
    (line,) = results_of(folder)["rows"]
    assert line["linear"] == 1.0
    assert (folder / "confusion_esc.png").exists()


# A recipe of three tasks ------------------------------------------------------

RECIPE = """
steps = 9
[sizes]
image = [16, 16]
audio_seconds = 0.5
[tasks.birds]
data = "classes"
batch_size = 8
[tasks.photos]
data = "photos/photos.csv"
batch_size = 8
augment = false
crop = "center"
[tasks.loudness]
data = "esc"
kind = "regression"
batch_size = 8
[tasks.loudness.columns]
label = "take_number"
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("three")
    own_files.class_folders(folder / "classes")
    own_files.captions(folder / "photos")
    table = own_files.esc_50(folder / "esc") / "meta" / "esc50.csv"
    header, *lines = table.read_text().splitlines()
    numbered = [f"{line},{n / 3}" for n, line in enumerate(lines)]
    table.write_text("\n".join([header + ",take_number", *numbered]))
    (folder / "recipe.toml").write_text(RECIPE)
    return folder / "recipe.toml"


def test_a_recipe_of_three_tasks_trains_one_encoder(recipe, tmp_path):
    folder = tmp_path / "run"
    result = trained("--recipe", recipe, "--out", folder, "--seed", 3)
    rows = results_of(folder)["rows"]
    assert [row["task"] for row in rows] == [
        "birds",
        "photos",
        "photos",
        "loudness",
    ]
    assert rows[-1]["what"].startswith("number, R2 (mean absolute error ")
    assert all(0 <= row["keras_imp"] <= 1 for row in rows)
    model = keras.models.load_model(folder / "model.keras")
    assert list(model.tasks) == ["birds", "photos", "loudness"]
    assert int(model.step_counter) == 9
    assert "regression" in result.output
    saved = keras_imp.evaluation.own_data.recipe.DataRecipe.read(
        folder / "recipe.toml"
    )
    assert (saved.seed, saved.steps) == (3, 9)
    assert saved.tasks["photos"].crop == "center"


@pytest.mark.slow
def test_killed_runs_end_with_the_weights_of_one_that_was_not(recipe, tmp_path):
    # The scan decodes four rows of each task: these it does not reach.
    for name in ("classes/red/3.png", "photos/images/11.jpg"):
        path = recipe.parent / name
        path.write_bytes(path.read_bytes()[:120])
    for name in ("classes/blue/0.png", "photos/images/0.jpg"):
        (recipe.parent / name).write_bytes(b"")

    def run(folder, *kill):
        command = (sys.executable, "-m", "tests.helpers.own_data_run")
        arguments = (recipe, folder, *kill)
        environment = {**os.environ, "KERAS_BACKEND": BACKEND}
        return subprocess.run(
            [*command, *map(str, arguments)],
            cwd=Path(__file__).parents[2],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    whole = run(tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    for step in (1, 5):
        assert run(tmp_path / "killed", step).returncode == -9
    last = run(tmp_path / "killed")
    assert last.returncode == 0, last.stderr
    first, second = (
        keras.models.load_model(tmp_path / name / "model.keras")
        for name in ("whole", "killed")
    )
    assert int(first.step_counter) == int(second.step_counter) == 9
    for one, other in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other)
        )
    for name in ("whole", "killed"):
        lines = (tmp_path / name / "quarantine.jsonl").read_text().splitlines()
        listed = {json.loads(line)["file"].split("/")[-1] for line in lines}
        scans = json.loads((tmp_path / name / "scan.json").read_text())
        assert {"0.png", "0.jpg", "3.png", "11.jpg"} <= listed
        late = {"3.png", "11.jpg"}
        reached = " ".join(x for scan in scans.values() for x in scan["first"])
        assert not [each for each in late if each in reached]


# Dry runs, and examples learned by heart --------------------------------------


def test_a_dry_run_writes_a_recipe_that_can_be_followed(recipe, tmp_path):
    result = trained(
        "--data",
        recipe.parent / "esc",
        "--column",
        "label=take",
        "--dry-run",
        "--out",
        tmp_path / "dry",
        "--steps",
        7,
    )
    assert "Nothing was trained. To train: keras-imp train --recipe" in (
        result.output
    )
    names = {path.name for path in (tmp_path / "dry").iterdir()}
    assert names == {"config.json", "recipe.toml"}
    again = trained(
        "--recipe",
        tmp_path / "dry" / "recipe.toml",
        "--dry-run",
        "--out",
        tmp_path / "again",
    )
    assert "classification" in again.output
    texts = [
        (tmp_path / name / "recipe.toml").read_text()
        for name in ("dry", "again")
    ]
    assert texts[0] == texts[1]
    assert "steps = 7" in texts[0]


def test_what_a_dry_run_says_to_type_keeps_the_options(recipe, tmp_path):
    options = ("--overfit", 8, "--steps", 50, "--max-bad", 0.2, "--strict")
    out = tmp_path / "dry"
    found = trained("--recipe", recipe, *options, "--dry-run", "--out", out)
    said = "".join(found.output.split("To train: ")[1].split())
    assert said.endswith(
        f"--backend{BACKEND}--overfit8--steps50--max-bad0.2--strict"
    )


def test_a_run_has_as_many_steps_as_are_told(recipe, tmp_path):
    """Its epochs are equally long, so 23 steps become 24."""
    told = {}
    for out, options in {
        "own": ("--steps", 23),
        "kept": (),
        "heart": ("--steps", 23, "--overfit", 8),
        "kept heart": ("--overfit", 8),
    }.items():
        words = (*options, "--dry-run", "--out", tmp_path / out)
        trained("--recipe", recipe, *words)
        written = (tmp_path / out / "recipe.toml").read_text()
        told[out] = tomllib.loads(written)["steps"]
    own = tomllib.loads(recipe.read_text())["steps"]
    # What is learned by heart is one epoch.
    assert told == {"own": 24, "kept": own, "heart": 23, "kept heart": own}


def test_a_few_examples_are_learned_by_heart(recipe, tmp_path):
    data = own_files.class_folders(tmp_path / "classes")
    result = trained(
        "--data", data, "--overfit", 8, "--steps", 30, "--out", tmp_path / "x"
    )
    (line,) = results_of(tmp_path / "x")["overfit"]
    assert line["learned"]
    assert line["chance_is"] == "ln(2), the classes"
    assert line["loss"] < 0.3 < line["chance"] == pytest.approx(np.log(2), 1e-3)
    assert "yes" in result.output


def test_what_is_wrong_with_examples_that_cannot_be_learned_is_told(tmp_path):
    data = own_files.class_folders(tmp_path / "classes")
    for path in data.rglob("*.png"):
        Image.new("RGB", (40, 40), "white").save(path)
    result = trained(
        "--data",
        data,
        "--overfit",
        8,
        "--steps",
        3,
        "--out",
        tmp_path / "x",
        code=1,
    )
    (line,) = results_of(tmp_path / "x")["overfit"]
    assert not line["learned"]
    assert line["causes"] == [
        "8 of 8 examples have the same image as another one with another "
        "answer: nothing can tell them apart.",
        "8 of 8 examples have image that is blank or silent.",
    ]
    assert "Not all tasks learned their examples by heart." in result.stderr


# What is refused --------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ("--data", "{folder}/none.csv"),
            "The data must be there, with the permission to read it.",
        ),
        (
            ("--data", "{folder}/esc", "--column", "label=categroy"),
            "The table has no such column.",
        ),
        (
            ("--data", "{folder}/esc", "--column", "label"),
            "A column is named as --column label=NAME.",
        ),
        (
            ("--recipe", "{folder}/recipe.toml", "--column", "label=take"),
            "--column is for --data.",
        ),
        (
            ("--data", "{folder}/esc", "--encoder", "imp_tiniest"),
            "Did you mean 'imp_tiny'?",
        ),
        (("--overfit", "64"), "These options are for data of your own."),
        (("--recipe", "{folder}/none.toml"), "'--recipe'"),
    ],
)
def test_bad_options_make_no_folder(recipe, tmp_path, options, told):
    given = [each.format(folder=recipe.parent) for each in options]
    assert told in refused(2, *given, "--out", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_wrong_key_of_a_recipe_is_told(tmp_path):
    (tmp_path / "recipe.toml").write_text("stepz = 3")
    text = refused(2, "--recipe", tmp_path / "recipe.toml")
    assert "Did you mean 'steps'?" in text


def test_bad_data_ends_a_run_with_its_reason(tmp_path):
    data = own_files.class_folders(tmp_path / "classes")
    (data / "red" / "3.png").write_bytes(b"")
    told = refused(1, "--data", data, "--strict", "--out", tmp_path / "run")
    assert "red/3.png: The file holds nothing." in told
    listed = (tmp_path / "run" / "quarantine.jsonl").read_text()
    assert json.loads(listed)["reason"] == "empty"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--steps", 5), "A run keeps the --steps that it was started with."),
        (("--seed", 5), "A run keeps the --seed that it was started with."),
        (("--out", "x"), "A run that is resumed stays in its folder."),
        (("--data", "x"), "A run keeps the data and the recipe"),
        (("--scan-rows", 5), "Leave --scan-rows out."),
    ],
)
def test_a_run_is_not_resumed_with_other_options(classes, options, told):
    folder, _ = classes
    assert told in refused(2, "--resume", folder, *options)


def test_a_run_whose_config_is_broken_is_not_resumed(classes, tmp_path):
    folder, _ = classes
    for name, text in (
        ("recipe.toml", (folder / "recipe.toml").read_text()),
        ("config.json", "{}"),
    ):
        (tmp_path / name).write_text(text)
    told = "The folder must hold a run that was started before"
    assert told in refused(2, "--resume", tmp_path)


def test_the_help_has_all_options_of_own_data():
    text = re.sub(r"\x1b\[[\d;]*m", "", invoke("--help").output)
    assert "Your own data" in text
    for option in ("--data", "--recipe", "--dry-run", "--overfit", "--strict"):
        assert option in text
