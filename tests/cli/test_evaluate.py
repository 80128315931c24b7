"""A finished run, measured again or on other data."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from keras_imp.cli.commands import app
from keras_imp.evaluation.playground.preset_reports import PresetReports
from tests.helpers import own_files
from tests.helpers.own_data_command import results_of, trained

pytestmark = pytest.mark.usefixtures("smallest_encoder")


def evaluate(*arguments, code=0):
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def refused(code, *arguments):
    text = evaluate(*arguments, code=code).stderr
    return " ".join(text.replace("│", " ").split())


def report_of(folder):
    return json.loads((folder / "report.json").read_text())["tasks"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Images of two colors, images with captions, and their sizes."""
    data = tmp_path_factory.mktemp("data")
    own_files.class_folders(data / "birds")
    table = own_files.captions(data / "photos")
    rng = np.random.default_rng(0)
    with (data / "sizes.csv").open("w", newline="") as file:
        lines = [
            (f"photos/images/{i}.jpg", x)
            for i, x in enumerate(rng.normal(5, 2, 32))
        ]
        csv.writer(file).writerows([("filepath", "label"), *lines])
    folder = data / "run"
    paths = (data / "birds", table, data / "sizes.csv")
    options = [word for path in paths for word in ("--data", path)]
    trained(*options, "--steps", 6, "--out", folder)
    return folder


def test_without_data_the_figures_are_those_of_the_run(run, tmp_path):
    result = evaluate(run, "--out", tmp_path)
    report = report_of(tmp_path)
    rows = results_of(run)["rows"]
    assert {row["task"] for row in rows} == set(report)
    for row in rows:
        what = {"label, accuracy": "accuracy"}.get(row["what"], row["what"])
        what = re.sub(r"^number, R2.*", "R2", what)
        found = report[row["task"]]["values"][what]
        assert found["value"] == pytest.approx(row["keras_imp"], abs=1e-4)
        assert found["low"] <= found["value"] <= found["high"]
        assert report[row["task"]]["examples"] == row["examples"]
    assert {path.name for path in tmp_path.iterdir()} == {
        "report.json",
        "birds.png",
        "photos.png",
        "sizes.png",
    }
    assert "95 % interval" in result.output


@pytest.fixture
def birds(tmp_path):
    """Other images of the same two colors."""
    return own_files.class_folders(tmp_path / "others", rows=8)


def test_other_data_is_evaluated_by_the_tasks_that_it_fits(
    run, birds, tmp_path
):
    result = evaluate(run, "--data", birds, "--out", tmp_path / "report")
    report = report_of(tmp_path / "report")
    # The sizes are numbers, and colors are none; there are no captions.
    assert list(report) == ["birds"]
    assert report["birds"]["examples"] == 8
    assert set(report["birds"]["per_class"]) == {"red", "blue"}
    assert "Task 'photos' is left out." in result.output


def test_a_class_that_is_missing_is_told(run, birds, tmp_path):
    shutil.rmtree(birds / "blue")
    result = evaluate(run, "--data", birds, "--out", tmp_path / "report")
    assert "Task 'birds': no row has the class 'blue'" in result.output
    assert set(report_of(tmp_path / "report")["birds"]["per_class"]) == {"red"}


def test_a_label_that_was_not_learned_is_refused(run, birds):
    (birds / "red").rename(birds / "reds")
    text = refused(1, run, "--data", birds)
    assert text == (
        "Task 'birds' can be evaluated on the classes only that it has "
        "learned. Received: labels={'reds': 4}, others=0, rows=4. Did you mean "
        "'red'? There are: 'blue', 'red'. Correct the labels, or leave their "
        "rows out."
    )


def test_bad_files_are_named_counted_and_left_out(run, birds, tmp_path):
    (birds / "red" / "3.png").write_bytes(b"")
    text = refused(1, run, "--data", birds)
    assert "At most a fraction of 0.01 of the rows may be bad" in text
    options = ("--max-bad", 0.2, "--out", tmp_path / "report")
    result = evaluate(run, "--data", birds, *options)
    assert report_of(tmp_path / "report")["birds"]["examples"] == 7
    assert "red/3.png: empty" in result.output.replace("\n", "")
    assert "of 8 rows were left out: 1 empty." in result.output


def test_a_table_without_the_columns_names_the_nearest(run, tmp_path):
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    table = tmp_path / "rows.csv"
    table.write_text("filepath,group\na.png,x\n")
    text = refused(2, run, "--data", table)
    assert text.startswith(
        "Task 'birds' needs columns that its data does not have. Received: "
        "missing=['label'], kind='classification'."
    )
    assert "There are: 'image', 'group'." in text


def test_a_column_can_be_named(run, birds, tmp_path):
    table = tmp_path / "rows.csv"
    table.write_text(
        "filepath,feathers\nothers/red/0.png,red\nothers/blue/0.png,blue\n"
    )
    options = ("--column", "label=feathers", "--out", tmp_path / "report")
    evaluate(run, "--data", table, *options)
    assert report_of(tmp_path / "report")["birds"]["examples"] == 2


def test_few_rows_can_be_asked_for(run, birds):
    result = evaluate(run, "--data", birds, "--rows", 4)
    assert "measured on 4 of 8 rows, evenly over all." in result.output


def test_what_is_no_run_is_refused(run, birds, tmp_path):
    assert refused(2, birds).startswith(
        "The folder must be that of a run, with its config.json."
    )
    folder = tmp_path / "unfinished"
    shutil.copytree(run, folder)
    (folder / "model.keras").unlink()
    assert refused(2, folder) == (
        "The run has not finished: it has no model.keras. Received: "
        f"run='{folder}'. Continue it: keras-imp train --resume {folder}"
    )
    (folder / "recipe.toml").unlink()
    assert refused(2, folder).startswith(
        "The folder must be that of a run on own data, with its recipe.toml."
    )


def test_a_model_that_is_cut_off_is_refused(run, tmp_path):
    folder = tmp_path / "cut"
    shutil.copytree(run, folder)
    model = folder / "model.keras"
    model.write_bytes(model.read_bytes()[:1000])
    assert refused(1, folder).startswith(
        "The files of a run must be those that it wrote."
    )


def test_columns_are_for_data(run):
    assert refused(2, run, "--column", "label=a") == (
        "--column is for --data. Received: column=['label=a']."
    )


# Presets --------------------------------------------------------------------


@pytest.fixture
def preset_reports(monkeypatch):
    """The reports of a preset, but for those that take long."""
    monkeypatch.setattr(
        PresetReports, "all", lambda self: [self.objects(), self.probe()]
    )


@pytest.mark.usefixtures("preset_reports")
def test_a_preset_is_measured_on_the_playground(tmp_path):
    result = evaluate("imp_tiny_playground", "--out", tmp_path)
    report = report_of(tmp_path)["Fashion-MNIST classes"]
    assert report["examples"] == 2000
    assert report["values"]["accuracy"]["low"] > 0.8
    assert "audio, linear probe" in result.output


@pytest.mark.usefixtures("preset_reports")
def test_shuffled_answers_fall_to_chance(tmp_path):
    evaluate("imp_tiny_playground", "--shuffled", "--out", tmp_path)
    accuracy = report_of(tmp_path)["Fashion-MNIST classes"]["values"][
        "accuracy"
    ]
    assert accuracy["low"] < 0.1 < accuracy["high"]


@pytest.mark.parametrize(
    "option",
    [
        ("--data", "."),
        ("--column", "label=kind"),
        ("--rows", 10),
        ("--max-bad", 0.5),
        ("--strict",),
    ],
    ids=lambda option: option[0],
)
def test_options_of_runs_are_refused_for_a_preset(option):
    assert (
        f"{option[0]} is for runs on own data. A preset is measured on the "
        "test split of the playground. Received: preset='imp_tiny_playground'."
    ) in refused(2, "imp_tiny_playground", *option)


def test_shuffled_is_for_presets(tmp_path):
    assert (
        f"--shuffled is for a preset. Received: run='{tmp_path}'."
        in refused(2, tmp_path, "--shuffled")
    )


def test_a_class_that_was_renamed_since_is_refused(run, tmp_path):
    """Else outputs would be taken for other classes than they are of."""
    recipe = run / "recipe.toml"
    birds = run.parent / "birds"
    before = recipe.read_text()
    (birds / "red").rename(birds / "a red one")
    try:
        text = refused(1, run)
    finally:
        (birds / "a red one").rename(birds / "red")
    assert recipe.read_text() == before
    assert "on the classes only that it has learned" in text
    assert "'a red one'" in text
